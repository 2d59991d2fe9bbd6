//! Segments and answers of connections that there are not, from a host that does not judge what it sends.
//!
//! ```text
//! h2 ── VXLAN with segments as if of red-3, made by hand ──► red-1, which lets TCP in, and red-4, which lets nothing in
//! ```

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::flags::{ACK, FIN, RST, SYN};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::ECHO_PORT;
use weft_tests::{Direction, Flood, underlay};
use weft_vxlan::Vni;

use super::{Honest, as_host, between};

/// Length of the outer headers: what is inside begins behind them.
const OUTER: usize = 14 + 20 + 8 + 8;
const FORGED: u64 = 10_000;

/// In: with honest traffic beside, ACK, SYN and ACK, FIN, and RST to red-1's open port from ports that have no connection; the same
/// to red-4, and answers to pings and datagrams that nobody sent there; and RST to red-4 from another port than the one that it is
/// connected to. Out: not one arrives. At red-1 they have no connection, and red-4 has no rule that lets them in.
pub fn segments_and_answers(cloud: &Cloud<'_>) -> Result<()> {
    let (from, victim, customer) = (cloud.pod("red-3"), cloud.pod("red-1"), cloud.pod("red-4"));
    let honest = Honest::begin(cloud, "forged segments")?;
    let source = std::net::IpAddr::from(from.v4);
    let arrives = move |packet: &weft_tests::Packet| {
        packet.direction == Direction::In && packet.ip.as_ref().is_some_and(|ip| ip.source == source)
    };
    let captures = [victim.capture(arrives)?, customer.capture(arrives)?];
    let mut floods = Vec::new();
    for to in [victim, customer] {
        for flags in [ACK, SYN | ACK, FIN | ACK, RST, RST | ACK] {
            let segment = frame::tcp(between(from, to), (0, ECHO_PORT), flags, (7, 7))?;
            floods.push(flood(cloud, from, &segment, 34)?);
        }
    }
    let way = between(from, customer);
    floods.push(flood(cloud, from, &frame::icmp(way, (0, 0), [0; 4], b"an answer")?, 38)?);
    floods.push(flood(cloud, from, &frame::udp(way, (ECHO_PORT, 0), b"an answer")?, 36)?);
    // As if the victim itself aborted, but for the port; and as if it had been asked.
    let victims = Between { source: victim.v4.into(), source_mac: victim.mac, ..way };
    let reset = frame::tcp(victims, (0, ECHO_PORT), RST, (7, 7))?;
    floods.push(flood(cloud, from, &reset, 34)?);
    let outcome = honest.beside(floods, true)?;
    for capture in captures {
        capture.assert_none("a forged segment arrived")?;
    }
    // A line that is full loses some.
    outcome.at_least(0, DropReason::NoConnection, 5 * FORGED / 2)?;
    outcome.at_least(0, DropReason::PolicyDenied, 8 * FORGED / 2)
}

/// Sends `inner` in VXLAN as h2 would, with other numbers where two of its bytes are.
fn flood(cloud: &Cloud<'_>, from: &Pod, inner: &[u8], varied: usize) -> Result<Flood> {
    let (far, outer) = as_host(cloud, from)?;
    let mut frame = frame::vxlan(outer, Vni::new(101)?, inner)?;
    ensure!(frame.get(OUTER..).context("an inner frame")? == inner);
    // RFC 768: no checksum was computed.
    frame[40..42].fill(0);
    far.namespace.flood(underlay::UPLINK, FORGED, frame, move |number, frame| {
        let low = u16::try_from(number % 65_536).unwrap_or_default();
        frame::patch(frame, OUTER + varied, low, &[]);
    })
}
