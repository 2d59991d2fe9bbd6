//! What the gateway itself answers: ping (RFC 792, RFC 4443 section 4.2).

use super::checksum::changed;
use super::encapsulate::with_macs;
use super::facts::Facts;
use super::frame::Frame;
use super::parse::{ETHERNET, Ethernet, Family, ICMP, ICMPV6, Ip, TCP, UDP, word};

pub enum Answer {
    Echo(Frame),
    /// What should be a ping is cut short.
    Cut,
    /// It has no UDP and TCP ports, and says so.
    NoSuchPort,
    None,
}

pub fn answer(facts: &Facts, frame: &[u8], ip: &Ip) -> Answer {
    if matches!(ip.protocol, UDP | TCP) {
        return Answer::NoSuchPort;
    }
    let echo = match ip.family {
        // Neither options nor fragments: nobody pings a gateway with those.
        Family::V4 if ip.header == 20 && !ip.more_fragments && ip.fragment_offset == 0 => (ICMP, 8, 0),
        Family::V4 => return Answer::None,
        Family::V6 => (ICMPV6, 128, 129),
    };
    let (protocol, request, reply) = echo;
    if ip.protocol != protocol {
        return Answer::None;
    }
    let at = ETHERNET + ip.header;
    if ip.total < ip.header + 8 {
        return Answer::Cut;
    }
    let (true, Ok(ethernet)) = (frame[at..at + 2] == [request, 0], Ethernet::read(frame)) else {
        return Answer::None;
    };
    let mut bytes = frame.to_vec();
    bytes[at] = reply;
    let sum = changed([frame[at + 2], frame[at + 3]], word(frame, at).unwrap(), u16::from(reply) << 8);
    bytes[at + 2..at + 4].copy_from_slice(&sum);
    let mut answer = Frame::from(Vec::new()).summed_at(at + 2);
    match ip.family {
        Family::V4 => {
            bytes[26..30].copy_from_slice(&frame[30..34]);
            bytes[30..34].copy_from_slice(&frame[26..30]);
            bytes[22] = 64;
            let sum = changed([frame[24], frame[25]], word(frame, 22).unwrap(), 64 << 8 | u16::from(ICMP));
            bytes[24..26].copy_from_slice(&sum);
            answer = answer.summed_at(24);
        }
        Family::V6 => {
            bytes[22..38].copy_from_slice(&frame[38..54]);
            bytes[38..54].copy_from_slice(&frame[22..38]);
            bytes[21] = 64;
        }
    }
    answer.bytes = bytes;
    Answer::Echo(with_macs(answer, ethernet.source, facts.gateway_mac))
}
