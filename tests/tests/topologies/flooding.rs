//! What is for a whole subnet.
//!
//! ```text
//!  red-1 .11, red-2 .12, red-b-1, blue-1 ─ h1 ┐                    ┌ h3 ─ red-4 .14
//!                                            ├ r1 ──────── r2 ┤
//!                        red-3 .13 ─ h2 ┤                    └ h4 ─ blue-4
//! ```
//! red-1 to red-4 are in subnet red-a (VNI 101), red-b-1 is in another subnet of their network, blue's pods have the same
//! addresses in another network.

mod other_vendor;
mod rate;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Direction, Lab, PATIENCE, Packet, Wire, underlay, wait_until};
use weft_vxlan::MacAddr;

const WORD: &str = "to everyone";
/// All nodes (RFC 4291 section 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay::two_data_centres(lab, Wire::default())?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .tenant("blue", 200)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 0, 12)?
        .pod("red-3", "red-a", 1, 13)?
        .pod("red-4", "red-a", 2, 14)?
        .pod("red-b-1", "red-b", 0, 11)?
        .pod("blue-1", "blue-a", 0, 11)?
        .pod("blue-4", "blue-a", 3, 14)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// Sends the word `times` to all of the pod's subnet, as IPv4 broadcast.
fn broadcast(pod: &Pod, times: usize) -> Result<()> {
    pod.namespace.run(|| -> std::io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_broadcast(true)?;
        for _ in 0..times {
            socket.send_to(WORD.as_bytes(), (Ipv4Addr::new(10, 0, 0, 255), 9))?;
        }
        Ok(())
    })??;
    Ok(())
}

/// Sends the word to all of the pod's subnet, as IPv6 multicast.
fn multicast(pod: &Pod) -> Result<()> {
    let index = pod.namespace.link(POD_DEVICE)?.index;
    pod.namespace.run(|| -> std::io::Result<usize> {
        let to = SocketAddrV6::new(ALL_NODES, 9, 0, index);
        UdpSocket::bind("[::]:0")?.send_to(WORD.as_bytes(), to)
    })??;
    Ok(())
}

/// Captures what a pod hears of the word.
fn hears(pod: &Pod) -> Result<Capture> {
    pod.capture(|packet| packet.direction == Direction::In && packet.says(WORD))
}

/// Captures what a host sends, or receives, of the word inside VXLAN.
fn tunnels(cloud: &Cloud<'_>, host: usize, direction: Direction) -> Result<Capture> {
    let carries = move |packet: &Packet| {
        packet.direction == direction && packet.vxlan().is_some_and(|vxlan| vxlan.inner.says(WORD))
    };
    Capture::start(&cloud.machine(host).namespace, underlay::UPLINK, carries)
}

/// In: from red-1 an IPv4 broadcast and an IPv6 multicast. Out: red-2, red-3 and red-4 hear each once; red-1 itself and
/// the pods of the other subnet and the other network hear nothing. h1 sends each once to h2 and to h3, and nothing to
/// h4; h2 and h3 send none of it on.
#[test]
fn everyone_of_the_subnet_hears_it_once() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let watch = cloud.watch()?;
        let listeners = ["red-2", "red-3", "red-4"].map(|name| hears(cloud.pod(name)));
        let others = ["red-1", "red-b-1", "blue-1", "blue-4"].map(|name| hears(cloud.pod(name)));
        let sent = tunnels(&cloud, 0, Direction::Out)?;
        let sent_on = [1, 2, 3].map(|host| tunnels(&cloud, host, Direction::Out));
        let received = [1, 2, 3].map(|host| tunnels(&cloud, host, Direction::In));
        let from = cloud.pod("red-1");
        broadcast(from, 1)?;
        multicast(from)?;
        let listeners = listeners.into_iter().collect::<Result<Vec<_>>>()?;
        for listener in &listeners {
            wait_until(PATIENCE, listener.name(), || listener.count() >= 2)?;
        }
        // Whatever comes twice has come when the pings have gone the same ways.
        for name in ["red-2", "red-3", "red-4"] {
            cloud.pod(name).pings(from)?;
        }
        for listener in listeners {
            let name = listener.name().to_owned();
            let caught = listener.finish()?;
            ensure!(caught.count == 2, "{} on {name}: {:#?}", caught.count, caught.packets);
            ensure!(
                caught.packets.iter().all(|packet| packet.source_mac == from.mac),
                "{:#?}",
                caught.packets
            );
        }
        for other in others {
            other?.assert_none("not of this subnet")?;
        }
        let sent = sent.finish()?;
        ensure!(sent.count == 4, "h1 sent {}: {:#?}", sent.count, sent.packets);
        ensure!(sent.packets.iter().all(|packet| packet.vxlan().is_some_and(|vxlan| vxlan.vni == 101)));
        for (received, expected) in received.into_iter().zip([2, 2, 0]) {
            let received = received?;
            let name = received.name().to_owned();
            let count = received.finish()?.count;
            ensure!(count == expected, "{count} instead of {expected} on {name}");
        }
        for sent_on in sent_on {
            sent_on?.assert_none("what came out of a tunnel went into one")?;
        }
        watch.assert_clean().map(drop)
    })
}

/// In: from red-1 a frame to a MAC that nobody knows. Out: h2 and h3 get it, for it may be behind one of them, and drop
/// it as `unknown_mac`; no pod reads what is not for it, on h1 neither.
#[test]
fn an_unknown_mac_is_looked_for_on_other_hosts_only() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let from = cloud.pod("red-1");
        let pods = cloud.pods().map(hears).collect::<Result<Vec<_>>>()?;
        let received = [1, 2].map(|host| tunnels(&cloud, host, Direction::In));
        let before =
            [1, 2].map(|host| cloud.daemon(host).weft().drops(DropReason::UnknownMac).unwrap_or_default());
        let between = Between {
            source_mac: from.mac,
            destination_mac: MacAddr::new([2, 0xbb, 0, 0, 0, 1]),
            source: from.v4.into(),
            destination: "10.0.0.77".parse()?,
        };
        from.namespace.inject(POD_DEVICE, &frame::udp(between, (9, 9), WORD.as_bytes())?)?;
        for (host, before) in [1, 2].into_iter().zip(before) {
            let more = cloud.daemon(host).weft().wait_for_drop(DropReason::UnknownMac, before)?;
            ensure!(more == 1, "h{} dropped {more}", host + 1);
        }
        for received in received {
            let caught = received?.finish()?;
            ensure!(caught.count == 1, "{:#?}", caught.packets);
        }
        pods.into_iter().try_for_each(|pod| pod.assert_none("a frame for somebody else"))
    })
}

/// In: a pod that comes up: its group reports, duplicate address detection and router solicitations; and DHCP, from
/// nobody's address. Out: none of it leaves the host.
#[test]
fn noise_is_not_spread() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let from = cloud.pod("red-1");
        let spread = Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, |packet| {
            packet.direction == Direction::Out && packet.vxlan().is_some()
        })?;
        let weft = cloud.daemon(0).weft();
        let before = weft.drops(DropReason::Multicast)?;
        let between = Between {
            source_mac: from.mac,
            destination_mac: MacAddr::BROADCAST,
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::BROADCAST.into(),
        };
        from.namespace.inject(POD_DEVICE, &frame::udp(between, (68, 67), b"DHCPDISCOVER")?)?;
        weft.wait_for_drop(DropReason::Multicast, before)?;
        from.namespace.set_up(POD_DEVICE, false)?;
        let before = weft.drops(DropReason::NeighbourNoise)?;
        from.namespace.set_up(POD_DEVICE, true)?;
        weft.wait_for_drop(DropReason::NeighbourNoise, before)?;
        spread.assert_none("noise went to other hosts")
    })
}
