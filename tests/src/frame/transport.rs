//! What is behind the IP header, where a firewall looks: TCP with any flags, ICMP of any type, errors, other protocols.

use std::net::IpAddr;

use anyhow::{Result, bail};
use etherparse::IpNumber;

use super::Between;
use crate::probe::sum;

/// Protocol numbers (RFC 9293, RFC 792, RFC 4443).
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Where IP begins in a frame, and how long the headers of IP are without options.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;

/// Any IP protocol in a frame, without options or extension headers, that may pass 64 routers.
///
/// # Errors
/// The addresses are not of one family.
pub fn ip(between: Between, protocol: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    super::addressed(between)?.write(&mut frame, IpNumber(protocol), payload)?;
    Ok(frame)
}

/// A TCP segment in a frame, with any [flags](weft_dataplane_abi::flags) and numbers, checksum right.
///
/// # Errors
/// The addresses are not of one family.
pub fn tcp(
    between: Between,
    ports: (u16, u16),
    flags: u8,
    (sequence, acknowledged): (u32, u32),
) -> Result<Vec<u8>> {
    let mut segment = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    // Five words of header; window; checksum; urgent pointer.
    segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let sum = checksum(between, TCP, &segment)?;
    segment[16..18].copy_from_slice(&sum);
    ip(between, TCP, &segment)
}

/// An ICMP or ICMPv6 message in a frame, after the family of the addresses; `word` is what follows the checksum.
///
/// # Errors
/// The addresses are not of one family.
pub fn icmp(between: Between, (kind, code): (u8, u8), word: [u8; 4], payload: &[u8]) -> Result<Vec<u8>> {
    let mut message = [&[kind, code, 0, 0], &word[..], payload].concat();
    let (protocol, sum) = match between.source {
        IpAddr::V4(_) => (ICMP, complement(sum(&message))),
        IpAddr::V6(_) => (ICMPV6, checksum(between, ICMPV6, &message)?),
    };
    message[2..4].copy_from_slice(&sum);
    ip(between, protocol, &message)
}

/// An ICMP error that quotes the packet in the frame `about`, as much of it as every error holds.
///
/// # Errors
/// The addresses are not of one family, or the frame is shorter than that.
pub fn icmp_error(between: Between, message: (u8, u8), about: &[u8]) -> Result<Vec<u8>> {
    let header = if between.source.is_ipv4() { IPV4 } else { IPV6 };
    let Some(quote) = about.get(ETHERNET..ETHERNET + header + 8) else { bail!("{about:02x?} is too short") };
    icmp(between, message, [0; 4], quote)
}

/// Puts `new` where two bytes of a frame are, and has the checksums at `sums` hold again (RFC 1624 section 3). All is at even
/// distances.
pub fn patch(frame: &mut [u8], at: usize, new: u16, sums: &[usize]) {
    let word = |frame: &[u8], at: usize| frame.get(at..at + 2).map_or(0, sum);
    let most = u32::from(u16::MAX);
    let old = word(frame, at);
    for place in sums {
        let changed = (most - word(frame, *place)) + (most - old) + u32::from(new);
        let bytes = complement((changed & most) + (changed >> 16));
        if let Some(place) = frame.get_mut(*place..place + 2) {
            place.copy_from_slice(&bytes);
        }
    }
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&new.to_be_bytes());
    }
}

/// That of a transport header with its pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1): that of both families has
/// the same words, in another order.
fn checksum(between: Between, protocol: u8, segment: &[u8]) -> Result<[u8; 2]> {
    let length = u32::try_from(segment.len())?.to_be_bytes();
    let addresses = match (between.source, between.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        (from, to) => bail!("{from} and {to} are not of one family"),
    };
    Ok(complement(sum(&[&addresses, &length[..], &[0, 0, 0, protocol], segment].concat())))
}

#[expect(clippy::cast_possible_truncation, reason = "the carry has been added")]
fn complement(sum: u32) -> [u8; 2] {
    (!((sum + (sum >> 16)) as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use etherparse::{NetHeaders, PacketHeaders, TransportHeader};
    use weft_vxlan::MacAddr;

    use super::*;

    fn between(source: &str, destination: &str) -> Between {
        let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
        Between { source_mac: MacAddr::BROADCAST, destination_mac: MacAddr::BROADCAST, source, destination }
    }

    fn is_right(frame: &[u8]) -> bool {
        let headers = PacketHeaders::from_ethernet_slice(frame).unwrap();
        let payload = headers.payload.slice();
        let Some(TransportHeader::Tcp(tcp)) = headers.transport else { panic!("{frame:02x?}") };
        match headers.net.unwrap() {
            NetHeaders::Ipv4(v4, _) => {
                v4.header_checksum == v4.calc_header_checksum()
                    && tcp.checksum == tcp.calc_checksum_ipv4(&v4, payload).unwrap()
            }
            NetHeaders::Ipv6(v6, _) => tcp.checksum == tcp.calc_checksum_ipv6(&v6, payload).unwrap(),
            other @ NetHeaders::Arp(_) => panic!("{other:?}"),
        }
    }

    /// In: segments of both families, then with another port, another sequence number and, of IPv4, another address. Out:
    /// checksums that another implementation computes too.
    #[test]
    fn checksums_hold_after_changes() {
        for (between, transport) in
            [(between("10.0.0.1", "10.0.0.2"), 34), (between("fd00::1", "fd00::2"), 54)]
        {
            let mut frame = tcp(between, (1, 2), weft_dataplane_abi::flags::SYN, (7, 0)).unwrap();
            assert!(is_right(&frame), "{frame:02x?}");
            for new in [0, 1, 0x1234, 0xffff, 0xfffe] {
                patch(&mut frame, transport, new, &[transport + 16]);
                patch(&mut frame, transport + 6, !new, &[transport + 16]);
                if transport == 34 {
                    patch(&mut frame, 28, new, &[24, transport + 16]);
                }
                assert!(is_right(&frame), "{new}: {frame:02x?}");
            }
        }
    }
}
