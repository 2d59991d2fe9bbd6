//! Prefixes of IPv4 and IPv6 unicast (RFC 4271 section 4.3, RFC 4760 section 5).
//!
//! ```text
//! +------------+----------------------------------------+
//! | length (1) | prefix: as many bytes as the length has |
//! +------------+----------------------------------------+
//! ```
//!
//! Bits behind the length mean nothing: they are read as zero.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::reader::Reader;
use super::{Family, RoutesError};

/// The bytes of one prefix, filled up with zeros.
fn decode<const N: usize>(reader: &mut Reader<'_>, family: Family) -> Result<([u8; N], u8), RoutesError> {
    let len = reader.u8().ok_or(RoutesError::Truncated)?;
    let used = usize::from(len).div_ceil(8);
    let mut bytes = [0; N];
    let room = bytes.get_mut(..used).ok_or(RoutesError::PrefixLength { family, len })?;
    room.copy_from_slice(reader.take(used).ok_or(RoutesError::Truncated)?);
    Ok((bytes, len))
}

pub(super) fn decode_v4(reader: &mut Reader<'_>) -> Result<Ipv4Net, RoutesError> {
    let family = Family::IPV4_UNICAST;
    let (bytes, len) = decode::<4>(reader, family)?;
    let net = Ipv4Net::new(Ipv4Addr::from(bytes), len);
    net.map(|net| net.trunc()).map_err(|_| RoutesError::PrefixLength { family, len })
}

pub(super) fn decode_v6(reader: &mut Reader<'_>) -> Result<Ipv6Net, RoutesError> {
    let family = Family::IPV6_UNICAST;
    let (bytes, len) = decode::<16>(reader, family)?;
    let net = Ipv6Net::new(Ipv6Addr::from(bytes), len);
    net.map(|net| net.trunc()).map_err(|_| RoutesError::PrefixLength { family, len })
}

pub(super) fn encode_v4(net: Ipv4Net, out: &mut Vec<u8>) {
    encode(net.prefix_len(), &net.network().octets(), out);
}

pub(super) fn encode_v6(net: Ipv6Net, out: &mut Vec<u8>) {
    encode(net.prefix_len(), &net.network().octets(), out);
}

fn encode(len: u8, address: &[u8], out: &mut Vec<u8>) {
    out.push(len);
    out.extend(address.iter().take(usize::from(len).div_ceil(8)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        for (bytes, text) in [
            (&[0][..], "0.0.0.0/0"),
            (&[8, 10], "10.0.0.0/8"),
            (&[17, 10, 1, 0x80], "10.1.128.0/17"),
            (&[32, 10, 1, 2, 3], "10.1.2.3/32"),
        ] {
            let net: Ipv4Net = text.parse().unwrap();
            assert_eq!(decode_v4(&mut Reader::new(bytes)), Ok(net));
            let mut out = Vec::new();
            encode_v4(net, &mut out);
            assert_eq!(out, bytes);
        }
        let net: Ipv6Net = "2001:db8:1::/48".parse().unwrap();
        let bytes = [48, 0x20, 1, 0xd, 0xb8, 0, 1];
        assert_eq!(decode_v6(&mut Reader::new(&bytes)), Ok(net));
        let mut out = Vec::new();
        encode_v6(net, &mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn bits_behind_the_length_mean_nothing() {
        assert_eq!(decode_v4(&mut Reader::new(&[9, 10, 0xff])), Ok("10.128.0.0/9".parse().unwrap()));
    }

    #[test]
    fn refusals() {
        let (v4, v6) = (Family::IPV4_UNICAST, Family::IPV6_UNICAST);
        for (bytes, error) in [
            (&[][..], RoutesError::Truncated),
            (&[24, 10, 1], RoutesError::Truncated),
            (&[33, 10, 1, 2, 3, 4], RoutesError::PrefixLength { family: v4, len: 33 }),
            (&[255], RoutesError::PrefixLength { family: v4, len: 255 }),
        ] {
            assert_eq!(decode_v4(&mut Reader::new(bytes)), Err(error));
        }
        let refused = decode_v6(&mut Reader::new(&[129; 18]));
        assert_eq!(refused, Err(RoutesError::PrefixLength { family: v6, len: 129 }));
    }
}
