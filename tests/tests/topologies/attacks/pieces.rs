//! Fragments that are made to get past a firewall.
//!
//! ```text
//! h2 ── VXLAN with fragments as if of red-3, made by hand ──► red-1 (lets UDP and TCP in), red-4 (lets nothing in)
//! ```

use std::ops::Range;

use anyhow::{Context as _, Result};
use weft_dataplane_abi::{DropReason, flags};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::frame;
use weft_tests::{Direction, underlay};
use weft_vxlan::Vni;

use super::{Honest, as_host, between};

const TIMES: u16 = 50;

/// What is cut how, and why what of it is dropped.
type Attack = (&'static str, &'static str, Vec<u8>, &'static [Range<usize>], &'static [(DropReason, u64)]);

fn attacks(from: &Pod, victim: &Pod, closed: &Pod) -> Result<Vec<Attack>> {
    const HEADER: DropReason = DropReason::FragmentedHeader;
    const ORPHAN: DropReason = DropReason::FragmentWithoutFirst;
    let segment = frame::tcp(between(from, victim), (1, 7), flags::SYN, (1, 0))?;
    let datagram = frame::udp(between(from, victim), (1, 9), &[0x5a; 96])?;
    let denied = frame::udp(between(from, closed), (1, 9), &[0x5a; 96])?;
    Ok(vec![
        // RFC 1858 sections 3 and 4: the flags are in the second, or are written over by it.
        ("a first one without the flags", "red-1", segment.clone(), &[0..8, 8..20], &[(HEADER, 2)]),
        ("one that begins in the header", "red-1", segment, std::slice::from_ref(&(8..20)), &[(HEADER, 1)]),
        ("no first one", "red-1", datagram, &[48..96, 96..104], &[(ORPHAN, 2)]),
        (
            "a first one that is denied",
            "red-4",
            denied,
            &[0..48, 48..96, 96..104],
            &[(DropReason::PolicyDenied, 1), (ORPHAN, 2)],
        ),
    ])
}

/// In: with honest traffic beside, fragments of TCP of which the first is too short for the flags, or a later one overwrites them;
/// fragments without a first one, and behind one that was denied; and fragments that overlap, behind a first one that is let in.
/// Out: each is dropped by h1 for its reason, but for those that overlap: they come to the victim's kernel, which puts nothing
/// together of them.
pub fn that_hide_what_they_are(cloud: &Cloud<'_>) -> Result<()> {
    let (from, victim, closed) = (cloud.pod("red-3"), cloud.pod("red-1"), cloud.pod("red-4"));
    let honest = Honest::begin(cloud, "fragments")?;
    let weft = cloud.daemon(victim.host).weft();
    let source = std::net::IpAddr::from(from.v4);
    let arrives = move |packet: &weft_tests::Packet| {
        packet.direction == Direction::In && packet.ip.as_ref().is_some_and(|ip| ip.source == source)
    };
    let mut id = 0;
    for (what, to, whole, parts, reasons) in attacks(from, victim, closed)? {
        let capture = cloud.pod(to).capture(arrives)?;
        let mut before = Vec::new();
        for (reason, _) in reasons {
            before.push(weft.drops(*reason)?);
        }
        for _ in 0..TIMES {
            id += 1;
            send(cloud, from, &frame::pieces(&whole, id, parts)?)?;
        }
        for ((reason, each), before) in reasons.iter().zip(before) {
            let least = u64::from(TIMES) * each;
            weft.wait_for_drop(*reason, before + least - 1).context(what)?;
        }
        capture.assert_none(what)?;
    }
    let inbox = victim.namespace.run(|| std::net::UdpSocket::bind("0.0.0.0:9"))??;
    inbox.set_nonblocking(true)?;
    let capture = victim.capture(arrives)?;
    for _ in 0..TIMES {
        id += 1;
        let whole = frame::udp(between(from, victim), (id, 9), &[0x5a; 96])?;
        send(cloud, from, &frame::pieces(&whole, id, &[0..48, 40..96, 96..104])?)?;
    }
    let all = u64::from(TIMES) * 3;
    weft_tests::wait_until(weft_tests::PATIENCE, "fragments that overlap", || capture.count() >= all)?;
    let got = inbox.recv(&mut [0; 128]).err().map(|error| error.kind());
    anyhow::ensure!(got == Some(std::io::ErrorKind::WouldBlock), "the kernel put together what overlaps");
    honest.beside(Vec::new(), true).map(drop)
}

/// Sends frames in VXLAN as h2 would.
fn send(cloud: &Cloud<'_>, from: &Pod, inner: &[Vec<u8>]) -> Result<()> {
    let (far, outer) = as_host(cloud, from)?;
    let vni = Vni::new(101)?;
    let frames = inner.iter().map(|frame| frame::vxlan(outer, vni, frame)).collect::<Result<Vec<_>>>()?;
    far.namespace.inject_all(underlay::UPLINK, &frames)
}
