//! ICMP errors of the underlay that the daemon must know of (RFC 1191, RFC 8201; docs/design/datapath.md, "Next hops").

use std::net::IpAddr;

use super::Arrival;
use super::facts::Facts;
use super::outer;
use super::parse::{Ethernet, Family, ICMP, ICMPV6, UDP, byte, ipv4, ipv6, word};

/// Whether it says that one of our outer packets was too big for its way, and by which MTU we did not know.
pub fn is_news(facts: &Facts, arrival: &Arrival) -> bool {
    let frame = &arrival.frame;
    let is_for_us = Ethernet::read(frame).is_ok_and(|ethernet| ethernet.destination == facts.underlay.1);
    if !facts.configured || !is_for_us || outer::ours(facts, frame).is_some() {
        return false;
    }
    let told = match Ethernet::read(frame).and_then(|ethernet| ethernet.family()) {
        Ok(Family::V4) => told_over_ipv4(facts, frame),
        Ok(Family::V6) => told_over_ipv6(facts, frame),
        Err(_) => None,
    };
    told.is_some_and(|(vtep, mtu)| facts.far(vtep).is_some_and(|far| mtu < far.mtu))
}

fn told_over_ipv4(facts: &Facts, frame: &[u8]) -> Option<(IpAddr, usize)> {
    let whole = byte(frame, 14)? == 0x45 && word(frame, 20)? & 0x3fff == 0;
    let error = byte(frame, 23)? == ICMP && ipv4(frame, 30)? == facts.vtep && word(frame, 34)? == 0x0304;
    let quote = frame.get(42..)?;
    let ours = byte(quote, 0)? == 0x45 && byte(quote, 9)? == UDP && ipv4(quote, 12)? == facts.vtep;
    quote.get(..28)?;
    let mtu = word(frame, 40)?;
    (whole && error && ours && word(quote, 22)? == 4789).then_some((ipv4(quote, 16)?, mtu.into()))
}

fn told_over_ipv6(facts: &Facts, frame: &[u8]) -> Option<(IpAddr, usize)> {
    let error = byte(frame, 20)? == ICMPV6 && ipv6(frame, 38)? == facts.vtep && word(frame, 54)? == 0x0200;
    let quote = frame.get(62..)?;
    let ours = byte(quote, 6)? == UDP && ipv6(quote, 8)? == facts.vtep;
    quote.get(..48)?;
    let mtu = u32::from_be_bytes([frame[58], frame[59], frame[60], frame[61]]);
    (error && ours && word(quote, 42)? == 4789).then_some((ipv6(quote, 24)?, usize::try_from(mtu).ok()?))
}
