//! Headers of seeds. Checksums of transport headers are left out where nobody looks at them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::reference::Mac;
use crate::reference::checksum;

/// Sender and receiver, in both families.
pub struct Ends {
    pub destination_mac: Mac,
    pub source_mac: Mac,
    /// From and to.
    pub ipv4: (Ipv4Addr, Ipv4Addr),
    pub ipv6: (Ipv6Addr, Ipv6Addr),
}

fn word(of: usize) -> [u8; 2] {
    u16::try_from(of & 0xffff).unwrap().to_be_bytes()
}

fn ethernet((to, from): (Mac, Mac), ethertype: u16) -> Vec<u8> {
    [to.as_slice(), &from, &ethertype.to_be_bytes()].concat()
}

pub fn udp((from, to): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let [a, b] = from.to_be_bytes();
    let [c, d] = to.to_be_bytes();
    [&[a, b, c, d], word(8 + payload.len()).as_slice(), &[0, 0], payload].concat()
}

pub fn tcp((from, to): (u16, u16), options: usize, payload: &[u8]) -> Vec<u8> {
    let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    header.extend([u8::try_from((20 + options) / 4).unwrap() << 4, 0x10, 4, 0, 0, 0, 0, 0]);
    header.extend(vec![1; options]);
    header.extend(payload);
    header
}

pub fn icmp(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0, 0, 7, 0, 1], payload].concat();
    let sum = checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum);
    message
}

/// An IPv4 packet with so many bytes of options, and a fragment word.
pub fn ipv4(
    ends: &Ends,
    (tos, ttl): (u8, u8),
    protocol: u8,
    fragment: u16,
    options: usize,
    body: &[u8],
) -> Vec<u8> {
    let mut header = vec![0x40 | u8::try_from((20 + options) / 4).unwrap(), tos];
    header.extend(word(20 + options + body.len()));
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([ttl, protocol, 0, 0]);
    header.extend(ends.ipv4.0.octets());
    header.extend(ends.ipv4.1.octets());
    header.extend(vec![1; options]);
    let sum = checksum::checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [ethernet((ends.destination_mac, ends.source_mac), 0x0800), header, body.to_vec()].concat()
}

/// An IPv6 packet with extension headers: their numbers, and lengths in units of eight bytes behind the first.
pub fn ipv6(
    ends: &Ends,
    (class, hops): (u8, u8),
    protocol: u8,
    extensions: &[(u8, u8)],
    fragment: u16,
    body: &[u8],
) -> Vec<u8> {
    let mut payload = Vec::new();
    for (at, (kind, length)) in extensions.iter().enumerate() {
        let next = extensions.get(at + 1).map_or(protocol, |next| next.0);
        let [high, low] = fragment.to_be_bytes();
        let bytes = match kind {
            44 => 8,
            51 => (usize::from(*length) + 2) * 4,
            _ => (usize::from(*length) + 1) * 8,
        };
        let mut header = vec![next, *length, high, low];
        header.resize(bytes, 0);
        payload.extend(header);
    }
    payload.extend(body);
    let first = extensions.first().map_or(protocol, |first| first.0);
    let mut header = vec![0x60 | class >> 4, class << 4 | 1, 2, 3];
    header.extend(word(payload.len()));
    header.extend([first, hops]);
    header.extend(ends.ipv6.0.octets());
    header.extend(ends.ipv6.1.octets());
    [ethernet((ends.destination_mac, ends.source_mac), 0x86dd), header, payload].concat()
}

pub fn arp(macs: (Mac, Mac), operation: u16, sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(macs, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(sender.0);
    frame.extend(sender.1.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// A message of neighbour discovery with an option, its kind and the MAC in it. Router solicitations have no target.
pub fn discovery(ends: &Ends, kind: u8, target: Ipv6Addr, option: Option<(u8, Mac)>) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    if kind != 133 {
        message.extend(target.octets());
    }
    if let Some((option, mac)) = option {
        message.extend([option, 1]);
        message.extend(mac);
    }
    ipv6(ends, (0, 255), 58, &[], 0, &message)
}

/// A frame of IP between two hosts.
fn between(
    (to_mac, from_mac): (Mac, Mac),
    from: IpAddr,
    to: IpAddr,
    ecn: u8,
    bodies: (u8, u8),
    body: &[u8],
) -> Vec<u8> {
    let mut ends = Ends {
        destination_mac: to_mac,
        source_mac: from_mac,
        ipv4: (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
        ipv6: (Ipv6Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
    };
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ends.ipv4 = (from, to);
            ipv4(&ends, (ecn, 64), bodies.0, 0x4000, 0, body)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            ends.ipv6 = (from, to);
            ipv6(&ends, (ecn, 64), bodies.1, &[], 0, body)
        }
        (from, to) => panic!("{from} does not send to {to}"),
    }
}

/// A frame in VXLAN.
pub fn outer(
    macs: (Mac, Mac),
    from: IpAddr,
    to: IpAddr,
    ecn: u8,
    port: u16,
    vni: u32,
    inner: &[u8],
) -> Vec<u8> {
    let vxlan = [&[8, 0, 0, 0], (vni << 8).to_be_bytes().as_slice(), inner].concat();
    between(macs, from, to, ecn, (17, 17), &udp((45000, port), &vxlan))
}

/// An ICMP error that says that the quoted packet was too big.
pub fn too_big(macs: (Mac, Mac), from: IpAddr, to: IpAddr, mtu: u16, quote: &[u8]) -> Vec<u8> {
    let mut message = if to.is_ipv4() { vec![3, 4, 0, 0] } else { vec![2, 0, 0, 0] };
    message.extend(u32::from(mtu).to_be_bytes());
    message.extend(quote);
    between(macs, from, to, 0, (1, 58), &message)
}
