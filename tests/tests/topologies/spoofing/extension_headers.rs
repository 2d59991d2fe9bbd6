//! Neighbour discovery behind IPv6 extension headers, where a program that looks at the first header alone would take
//! it for any other packet, and the receiver's kernel would believe it.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                     ┌ red-3 10.0.0.13
//! red-2 10.0.0.12 ┴ h1 192.0.2.1 ────── 192.0.2.2 h2 ┘
//! ```
//! red-1 says to red-2 and to red-3 that the gateway is at its own MAC.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Lab, Wire, underlay};
use weft_vxlan::{MacAddr, Vni};

use super::start;

/// Headers, by their next header value, that may stand before ICMPv6.
const CHAINS: [(&str, &[u8]); 5] = [
    ("hop-by-hop options", &[0]),
    ("a routing header", &[43]),
    ("destination options", &[60]),
    ("a fragment header", &[44]),
    ("hop-by-hop options, a fragment header and destination options", &[0, 44, 60]),
];

/// `liar` says that the gateway is at its MAC, with the override flag, behind a chain of headers.
fn advertisement(liar: &Pod, victim: &Pod, chain: &[u8]) -> Result<Vec<u8>> {
    let between = Between {
        source_mac: liar.mac,
        destination_mac: victim.mac,
        source: liar.v6.into(),
        destination: victim.v6.into(),
    };
    let plain = frame::neighbour_advertisement(between, liar.gateway6, liar.mac)?;
    // From the last to the first, which is then outermost.
    chain.iter().rev().try_fold(plain, |frame, number| frame::behind_extension_header(&frame, *number))
}

/// What the pod takes for its gateway's MAC.
fn gateway_of(pod: &Pod) -> Result<MacAddr> {
    let neighbours = pod.namespace.neighbours()?;
    let gateway = neighbours.iter().find(|neighbour| neighbour.address == IpAddr::V6(pod.gateway6));
    gateway.and_then(|neighbour| neighbour.mac).with_context(|| format!("a gateway among {neighbours:?}"))
}

/// Advertisements that reach the pod from outside, at any depth of the packet.
fn advertisements(pod: &Pod) -> Result<Capture> {
    let liar = pod.gateway6;
    pod.capture(move |packet| {
        let ip = packet.ip.as_ref();
        packet.direction == weft_tests::Direction::In
            && ip.is_some_and(|ip| ip.source != IpAddr::V6(liar) && ip.protocol != 6 && ip.protocol != 17)
    })
}

/// Sends the lie behind each chain to `victim`, by `send`, and sees that the host with number `host` drops it.
fn refused(cloud: &Cloud<'_>, victim: &Pod, host: usize, send: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
    let liar = cloud.pod("red-1");
    victim.pings_address(victim.gateway6.into())?;
    let before = gateway_of(victim)?;
    ensure!(before != liar.mac);
    let arrived = advertisements(victim)?;
    let weft = cloud.daemon(host).weft();
    for (what, chain) in CHAINS {
        let drops = weft.drops(DropReason::ExtensionHeaders)?;
        send(&advertisement(liar, victim, chain)?)?;
        weft.wait_for_drop(DropReason::ExtensionHeaders, drops)
            .with_context(|| format!("behind {what}, to {}", victim.name))?;
        ensure!(gateway_of(victim)? == before, "{} believed it, behind {what}", victim.name);
    }
    arrived.assert_none("a lie was delivered")?;
    victim.pings_address(victim.gateway6.into())
}

/// In: the lie behind each chain of headers, from red-1's device, to the neighbour on the same host and to the one on
/// the other. Out: h1 drops each as `extension_headers`; both victims keep the gateway's MAC and reach it.
#[test]
fn hide_no_lie_of_a_pod() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let liar = cloud.pod("red-1");
        for victim in [cloud.pod("red-2"), cloud.pod("red-3")] {
            refused(&cloud, victim, 0, |frame| liar.namespace.inject(POD_DEVICE, frame))?;
        }
        Ok(())
    })
}

/// In: the lie where a program may not come to read it: cut off from the first fragment, which ends with the headers in
/// front of it; and behind options of 640 bytes, in a frame that lies in several pieces of memory. Out: as above.
#[test]
fn hide_no_lie_where_nobody_reads() -> Result<()> {
    Lab::test(|lab| {
        let wire = Wire { mtu: 9000, ..Wire::default() };
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, wire)?)?;
        let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
        cloud.deploy(&intent.pod("red-2", "red-a", 0, 12)?.pod("red-3", "red-a", 1, 13)?)?;
        let liar = cloud.pod("red-1");
        let weft = cloud.daemon(0).weft();
        for victim in [cloud.pod("red-2"), cloud.pod("red-3")] {
            victim.pings_address(victim.gateway6.into())?;
            let arrived = advertisements(victim)?;
            let cut = frame::pieces(&advertisement(liar, victim, &[60])?, 7, &[0..8, 8..40])?;
            for (what, lies) in
                [("a first fragment", &cut[..1]), ("long options", &[far_behind(liar, victim)?])]
            {
                let drops = weft.drops(DropReason::ExtensionHeaders)?;
                liar.namespace.inject_all(POD_DEVICE, lies)?;
                weft.wait_for_drop(DropReason::ExtensionHeaders, drops)
                    .with_context(|| format!("{what}, to {}", victim.name))?;
                ensure!(gateway_of(victim)? != liar.mac, "{} believed it: {what}", victim.name);
            }
            arrived.assert_none("a lie was delivered")?;
        }
        Ok(())
    })
}

/// The lie behind destination options of 648 bytes that a receiver skips, and with options of its own up to more than a
/// page, which the kernel does not keep in one piece.
fn far_behind(liar: &Pod, victim: &Pod) -> Result<Vec<u8>> {
    let mut message = liar.gateway6.octets().to_vec();
    message.extend([2, 1]);
    message.extend(liar.mac.bytes());
    for _ in 0..2 {
        // Of a kind for experiments, 255 units of eight bytes.
        message.extend([253, 255]);
        message.resize(message.len() + 2038, 0);
    }
    let mut plain = Vec::new();
    etherparse::PacketBuilder::ethernet2(liar.mac.bytes(), victim.mac.bytes())
        .ipv6(liar.v6.octets(), victim.v6.octets(), 255)
        .icmpv6_raw(136, 0, [0x20, 0, 0, 0])
        .write(&mut plain, &message)?;
    let mut body = vec![80];
    for length in [255_u8, 255, 130] {
        body.extend([0x1e, length]);
        body.resize(body.len() + usize::from(length), 0);
    }
    frame::behind_extension(&plain, 60, &body)
}

/// In: the lies of the first test from h1 itself, in VXLAN, as a host would send it whose weft does not look. Out: h2 drops each.
#[test]
fn hide_no_lie_of_a_host() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (from, to) = (cloud.machine(0), cloud.machine(1));
        let outer = Between {
            source_mac: from.namespace.mac(underlay::UPLINK)?,
            destination_mac: to.namespace.mac(underlay::UPLINK)?,
            source: from.vtep.address(),
            destination: to.vtep.address(),
        };
        refused(&cloud, cloud.pod("red-3"), 1, |inner| {
            from.namespace.inject(underlay::UPLINK, &frame::vxlan(outer, Vni::new(101)?, inner)?)
        })
    })
}
