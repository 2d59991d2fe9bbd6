//! Two hosts on one cable.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                      ┌ red-2 10.0.0.12
//! red-3 10.0.1.13 ┴ h1 192.0.2.1 ─────── 192.0.2.2 h2 ┴ red-4 10.0.1.14
//! ```
//! Subnet red-a (VNI 101) has red-1 and red-2, red-b (VNI 102) red-3 and red-4; their network has VNI 100.

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Capture, Lab, Packet, Wire, underlay};

fn intent() -> Result<Intent> {
    Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-4", "red-b", 1, 14)
}

/// In: ping, UDP and TCP between all pods, IPv4 and IPv6. Out: all answers, and on the cable nothing of the pods but
/// what is inside VXLAN.
#[test]
fn pods_of_two_hosts_talk() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let watch = cloud.watch()?;
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for from in cloud.pods() {
            from.gateways().into_iter().try_for_each(|gateway| from.pings_address(gateway))?;
            for to in cloud.pods().filter(|to| to.name != from.name) {
                from.talks_to(to)?;
            }
        }
        drop(servers);
        watch.assert_clean().map(drop)
    })
}

/// In: pings from red-1 to red-2 (same subnet) and to red-4 (the other one). Out, on the cable: the first with the
/// subnet's VNI, both pods' MACs and its hops untouched; the second with the network's VNI, the hosts' router MACs,
/// and one hop less (RFC 9135, symmetric IRB). The source port of every outer packet is one of the upper half.
#[test]
fn switched_and_routed_on_the_wire() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let (from, same, other) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-4"));
        let routers = [0, 1].map(|host| cloud.machine(host).vtep.default_router_mac());
        for (to, vni, macs, hops) in
            [(same, 101, (from.mac, same.mac), 64), (other, 100, (routers[0], routers[1]), 63)]
        {
            for (source, destination) in from.addresses().into_iter().zip(to.addresses()) {
                let is_ping = move |packet: &Packet| {
                    let inner = packet.vxlan().and_then(|vxlan| vxlan.inner.ip.as_ref());
                    inner.is_some_and(|ip| ip.source == source && ip.destination == destination)
                };
                let wire = Capture::start(&cloud.machine(1).namespace, underlay::UPLINK, is_ping)?;
                from.pings_address(destination)?;
                let caught = wire.finish()?;
                ensure!(caught.count == 1, "{} packets to {destination} on the cable", caught.count);
                for packet in &caught.packets {
                    let vxlan = packet.vxlan().expect("the capture picked VXLAN");
                    let inner = &vxlan.inner;
                    let ip = inner.ip.as_ref().expect("the capture picked IP");
                    let outer_port = packet.ip.as_ref().and_then(|ip| ip.ports).map_or(0, |ports| ports.0);
                    ensure!(vxlan.vni == vni, "{packet:#?}");
                    ensure!((inner.source_mac, inner.destination_mac) == macs, "{packet:#?}");
                    ensure!(ip.hops == hops, "{packet:#?}");
                    ensure!(outer_port >= 0x8000, "{packet:#?}");
                }
            }
        }
        Ok(())
    })
}

/// In: UDP from red-1 to port 4789 of red-2. Out: it arrives as any other datagram, payload as sent: VXLAN's port
/// means something on the underlay only.
#[test]
fn the_vxlan_port_is_the_tenants_too() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let arrived = to.capture(|packet| {
            packet.ip.as_ref().is_some_and(|ip| ip.ports.is_some_and(|ports| ports.1 == 4789))
                && packet.says("mine")
        })?;
        let destination = (to.v4, 4789);
        from.namespace.run(|| -> std::io::Result<usize> {
            std::net::UdpSocket::bind("0.0.0.0:0")?.send_to(b"mine", destination)
        })??;
        weft_tests::wait_until(weft_tests::PATIENCE, "the datagram", || arrived.count() == 1)
    })
}

/// In: h1 forgets h2 (its remote is deleted), then is told of it again. Out: in between h1 takes nothing from h2 and
/// sends nothing to it, though h2 still sends; afterwards all is as before.
#[test]
fn a_forgotten_host_is_a_stranger() -> Result<()> {
    use weft_dataplane_abi::DropReason;
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let (here, there) = (cloud.pod("red-1"), cloud.pod("red-2"));
        here.pings(there)?;
        let weft = cloud.daemon(0).weft();
        weft.must(&["delete", "remote", "h2"])?;
        let theirs = there.addresses();
        let arrived = here.capture(move |packet| {
            let source = packet.ip.as_ref().map(|ip| ip.source);
            packet.direction == weft_tests::Direction::In
                && source.is_some_and(|source| theirs.contains(&source))
        })?;
        let patience = std::time::Duration::from_millis(300);
        for address in here.addresses() {
            let before = weft.drops(DropReason::UnknownVtep)?;
            ensure!(there.namespace.ping_sized(address, 56, patience)?.is_err(), "{address} answers");
            ensure!(weft.drops(DropReason::UnknownVtep)? > before, "nothing was dropped");
        }
        arrived.assert_none("a stranger's packets")?;
        for address in there.addresses() {
            ensure!(here.namespace.ping_sized(address, 56, patience)?.is_err(), "{address} answers");
        }
        cloud.deploy(&intent()?)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))
    })
}
