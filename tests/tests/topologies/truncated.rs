//! Frames that end too early, cut at every byte.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.0.13 ┴ h1 up0 ────── up0 h2 ─ red-2 10.0.0.12
//! ```
//! A cut frame promises more than it holds: weft drops it as `malformed`, for the port that sent it or for the wire, and
//! counts each.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_api::view::Xdp;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::Steady;
use weft_tests::underlay::{UPLINK, Underlay, two_hosts, two_hosts_over_ipv6};
use weft_tests::{Capture, Direction, Lab, Offloads, PATIENCE, Wire, wait_for};
use weft_vxlan::{MacAddr, Vni};

const WORD: &str = "truncated";
/// The gateways' MAC.
const GATEWAY: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 1]);
const ETHERNET: usize = 14;
const WIRE: Wire = Wire { mtu: 1500, offloads: Offloads::Off };

fn start(lab: &Lab, underlay: Underlay, xdp: Xdp) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.xdp = xdp)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// Whole frames from `from` to `to`, by the MAC `mac`: UDP of both families, plain and behind options and extension headers.
fn packets(from: &Pod, to: &Pod, mac: MacAddr) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let between = |source: IpAddr, destination: IpAddr| Between {
        source_mac: from.mac,
        destination_mac: mac,
        source,
        destination,
    };
    let v4 = frame::udp(between(from.v4.into(), to.v4.into()), (1000, 2000), WORD.as_bytes())?;
    let v6 = frame::udp(between(from.v6.into(), to.v6.into()), (1000, 2000), WORD.as_bytes())?;
    let extended = frame::behind_extension_header(&frame::behind_extension_header(&v6, 60)?, 0)?;
    let options = frame::with_ipv4_options(&v4, &[1; 40])?;
    Ok(vec![
        ("IPv4", v4),
        ("IPv4 with options", options),
        ("IPv6", v6),
        ("IPv6 behind two headers", extended),
    ])
}

/// ARP and a neighbour solicitation of `from` for `to`.
fn questions(from: &Pod, to: &Pod) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let macs = (from.mac, MacAddr::BROADCAST);
    let nobody = MacAddr::new([0; 6]);
    let between = Between {
        source_mac: from.mac,
        destination_mac: to.mac,
        source: from.v6.into(),
        destination: to.v6.into(),
    };
    Ok(vec![
        ("ARP", frame::arp(macs, ArpOperation::REQUEST, (from.mac, from.v4), (nobody, to.v4))?),
        ("a solicitation", frame::neighbour_solicitation(between, to.v6)?),
    ])
}

/// What arrives at a pod from `source` and is no more than a piece.
fn pieces(pod: &Pod, source: MacAddr) -> Result<Capture> {
    pod.capture(move |packet| {
        let data = packet.ip.as_ref().is_none_or(|ip| ip.protocol != 1 && ip.protocol != 58);
        packet.direction == Direction::In && packet.source_mac == source && data && packet.ethertype != 0x0806
    })
}

/// Sends pieces by `send` and waits until `host` dropped each as malformed.
fn malformed(
    cloud: &Cloud<'_>,
    host: usize,
    what: &str,
    pieces: &[Vec<u8>],
    send: impl Fn(&[Vec<u8>]) -> Result<()>,
) -> Result<()> {
    let weft = cloud.daemon(host).weft();
    let before = weft.drops(DropReason::Malformed)?;
    send(pieces).with_context(|| what.to_owned())?;
    let all = before + u64::try_from(pieces.len())?;
    wait_for(PATIENCE, what, || match weft.drops(DropReason::Malformed) {
        Ok(drops) if drops == all => Ok(()),
        seen => Err(format!("{seen:?} drops, not {all}, of which {before} were before")),
    })
}

/// The frame, cut after each number of bytes from `least` on.
fn cuts(frame: &[u8], least: usize) -> Vec<Vec<u8>> {
    (least..frame.len()).map(|end| frame[..end].to_vec()).collect()
}

/// In: from red-1's device each frame cut after every byte behind its Ethernet header: switched to a pod of this host and
/// of the other, and to the gateway's MAC; and headers that say that they are longer than their packet. Meanwhile red-1
/// pings red-2. Out: a drop for each, nothing delivered, no ping lost.
#[test]
fn of_a_pod_are_malformed() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, two_hosts(lab, WIRE)?, Xdp::Off)?;
        let from = cloud.pod("red-1");
        let send = |frames: &[Vec<u8>]| from.namespace.inject_all(POD_DEVICE, frames);
        let pings = Steady::ping(&from.namespace, cloud.pod("red-2").v4.into(), 200)?;
        for to in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
            let arrived = pieces(to, from.mac)?;
            for (mac, way) in [(to.mac, "switched"), (GATEWAY, "routed")] {
                for (what, frame) in packets(from, to, mac)? {
                    let what = format!("{what} {way} to {}", to.name);
                    malformed(&cloud, 0, &what, &cuts(&frame, ETHERNET), send)?;
                }
            }
            for (what, frame) in questions(from, to)? {
                malformed(&cloud, 0, what, &cuts(&frame, ETHERNET), send)?;
            }
            let (_, plain) = packets(from, to, to.mac)?.swap_remove(0);
            malformed(&cloud, 0, "a header that is longer than its packet", &long_headers(&plain), send)?;
            arrived.assert_none("a piece was delivered")?;
        }
        let tally = pings.stop()?;
        ensure!(tally.lost() == 0 && tally.answered > 0, "{tally:?}");
        from.pings(cloud.pod("red-2"))
    })
}

/// A packet of IPv4 whose header says that it has options, as many as there is no room for; and none at all.
fn long_headers(frame: &[u8]) -> Vec<Vec<u8>> {
    let fits = (frame.len() - ETHERNET) / 4;
    let words = (0..5).chain(u8::try_from(fits).unwrap_or(15) + 1..16);
    let with = |words: u8| {
        let mut frame = frame.to_vec();
        frame[ETHERNET] = 0x40 | words;
        frame
    };
    words.map(with).collect()
}

/// In: from h2, VXLAN for red-1 cut after every byte behind the outer UDP header; then whole VXLAN around an inner frame that
/// is cut after every byte; over each family, with each mode of XDP. Meanwhile red-2 pings red-1. Out: a drop for each,
/// nothing delivered, no ping lost.
#[test]
fn from_the_wire_are_malformed() -> Result<()> {
    for over_ipv6 in [false, true] {
        for xdp in [Xdp::Off, Xdp::Guard, Xdp::Forward] {
            Lab::test(|lab| {
                let underlay = if over_ipv6 { two_hosts_over_ipv6(lab, WIRE) } else { two_hosts(lab, WIRE) };
                from_the_wire(&start(lab, underlay?, xdp)?, over_ipv6)
            })
            .with_context(|| format!("over IPv6: {over_ipv6}, XDP {xdp}"))?;
        }
    }
    Ok(())
}

fn from_the_wire(cloud: &Cloud<'_>, over_ipv6: bool) -> Result<()> {
    let (here, there) = (cloud.machine(0), cloud.machine(1));
    let (from, to) = (cloud.pod("red-2"), cloud.pod("red-1"));
    let outer = Between {
        source_mac: there.namespace.mac(UPLINK)?,
        destination_mac: here.namespace.mac(UPLINK)?,
        source: there.vtep.address(),
        destination: here.vtep.address(),
    };
    let send = |frames: &[Vec<u8>]| there.namespace.inject_all(UPLINK, frames);
    // Up to there it is not known to be VXLAN, and the host's own stack's to drop.
    let known = ETHERNET + if over_ipv6 { 40 } else { 20 } + 8;
    let wrapped = |inner: &[u8]| -> Result<Vec<u8>> {
        let mut frame = frame::vxlan(outer, Vni::new(101)?, inner)?;
        // As senders of VXLAN have it, and must over IPv6 to be read by weft itself.
        frame[known - 2..known].copy_from_slice(&[0, 0]);
        Ok(frame)
    };
    let arrived = pieces(to, from.mac)?;
    let pings = Steady::ping(&from.namespace, to.v4.into(), 200)?;
    for (what, inner) in packets(from, to, to.mac)? {
        malformed(cloud, 0, &format!("{what}, cut outside"), &cuts(&wrapped(&inner)?, known), send)?;
        let inside = cuts(&inner, 0).iter().map(|inner| wrapped(inner)).collect::<Result<Vec<_>>>()?;
        malformed(cloud, 0, &format!("{what}, cut inside"), &inside, send)?;
    }
    let (_, plain) = packets(from, to, to.mac)?.swap_remove(0);
    let long = long_headers(&plain).iter().map(|inner| wrapped(inner)).collect::<Result<Vec<_>>>()?;
    malformed(cloud, 0, "a header that is longer than its packet", &long, send)?;
    let tally = pings.stop()?;
    ensure!(tally.lost() == 0 && tally.answered > 0, "{tally:?}");
    arrived.assert_none("a piece was delivered")
}
