//! Floods of what starts connections: SYN, and datagrams.
//!
//! ```text
//! red-2 ── SYN from 65,536 ports, a million datagrams ──► red-1 ◄── red-4, red-5
//! red-3 ── SYN from 128 addresses ──────────────────────► red-1
//! ```

use anyhow::{Result, ensure};
use weft_dataplane_abi::flags::SYN;
use weft_tests::cloud::{Cloud, Connections, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::probe::ECHO_PORT;

use super::{Honest, between};

/// Connections that a port may ask for (`half_open_per_port`), and the ports of h1.
const HALF_OPEN: usize = 1024;
const PORTS: usize = 3;
/// More than all honest ones of all attacks together.
const HONEST: usize = 10_000;
const DATAGRAMS: u64 = 1_000_000;

/// Where fields are in a frame of IPv4 without options.
const IP_SUM: usize = 24;
const SOURCE: usize = 28;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
const TCP_SUM: usize = 50;

/// In: SYN to the port that honest customers ask, from all ports of a neighbour, and from all ports of 128 addresses of a pod on
/// the other host. Out: none of the honest ones notices; the attackers' connections are no more than a port may ask for.
pub fn of_syn(cloud: &Cloud<'_>) -> Result<()> {
    let (near, far, victim) = (cloud.pod("red-2"), cloud.pod("red-3"), cloud.pod("red-1"));
    let honest = Honest::begin(cloud, "SYN flood")?;
    let before = cloud.connections(victim.host)?;
    let syn = |way: Between| frame::tcp(way, (0, ECHO_PORT), SYN, (1, 0));
    let own = near.namespace.flood(POD_DEVICE, u64::MAX, syn(between(near, victim))?, |number, frame| {
        frame::patch(frame, SOURCE_PORT, low(number), &[TCP_SUM]);
    })?;
    let many = Between { source: "10.0.0.128".parse()?, ..between(far, victim) };
    let many = far.namespace.flood(POD_DEVICE, u64::MAX, syn(many)?, |number, frame| {
        frame::patch(frame, SOURCE_PORT, low(number >> 7), &[TCP_SUM]);
        frame::patch(frame, SOURCE, 128 | (low(number) & 0x7f), &[IP_SUM, TCP_SUM]);
    })?;
    own.wait_for_more(50_000)?;
    many.wait_for_more(50_000)?;
    let outcome = honest.beside(vec![own, many], false)?;
    bounded(before, cloud.connections(victim.host)?, outcome.sent / 4)
}

/// In: a million datagrams to a port that nobody listens at, each of another connection: from 65,536 ports to 16. Out: likewise.
pub fn of_datagrams(cloud: &Cloud<'_>) -> Result<()> {
    let (attacker, victim) = (cloud.pod("red-2"), cloud.pod("red-1"));
    let honest = Honest::begin(cloud, "UDP flood")?;
    let before = cloud.connections(victim.host)?;
    let mut datagram = frame::udp(between(attacker, victim), (0, 9000), b"flood")?;
    // RFC 768: no checksum was computed.
    datagram[40..42].fill(0);
    let flood = attacker.namespace.flood(POD_DEVICE, DATAGRAMS, datagram, |number, frame| {
        frame::patch(frame, SOURCE_PORT, low(number), &[]);
        frame::patch(frame, DESTINATION_PORT, 9000 + low(number >> 16), &[]);
    })?;
    let outcome = honest.beside(vec![flood], true)?;
    ensure!(outcome.sent == DATAGRAMS, "{} sent", outcome.sent);
    bounded(before, cloud.connections(victim.host)?, DATAGRAMS / 2)
}

/// That so many were asked for at least, and room was found by having the oldest go.
fn bounded(before: Connections, after: Connections, asked: u64) -> Result<()> {
    let (more, displaced) = (after.asked - before.asked, after.displaced - before.displaced);
    println!(
        "  {more} connections asked for, {displaced} of them displaced; {} half open, {} open",
        after.half_open, after.open
    );
    ensure!(more >= asked, "only {more} were asked for");
    ensure!(
        displaced + HONEST as u64 + (HALF_OPEN * PORTS) as u64 >= more,
        "{displaced} of {more} displaced"
    );
    ensure!(after.half_open <= HALF_OPEN * PORTS, "{} are half open", after.half_open);
    ensure!(after.open <= HONEST, "{} are open", after.open);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the rest is left out")]
fn low(number: u64) -> u16 {
    number as u16
}
