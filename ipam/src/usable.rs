//! Which addresses of a prefix a workload or a gateway can have.
//!
//! IPv4: all but the network's own and the broadcast address; both of a /31 (RFC 3021) and the one of a /32.
//! IPv6: all but the first, the subnet-router anycast address (RFC 4291 section 2.6.1); both of a /127 (RFC 6164)
//! and the one of a /128. IPv6 has no broadcast address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The span of usable addresses, both ends included, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usable {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// The first address of `prefix` that can be used: the default gateway.
#[must_use]
pub fn first_usable(prefix: IpNet) -> IpAddr {
    to_address(prefix, usable(prefix).first)
}

pub(crate) fn usable(prefix: IpNet) -> Usable {
    let (network, broadcast) = (to_number(prefix.network()), to_number(prefix.broadcast()));
    if prefix.prefix_len() + 1 >= prefix.max_prefix_len() {
        return Usable { first: network, last: broadcast };
    }
    match prefix {
        IpNet::V4(_) => Usable { first: network + 1, last: broadcast - 1 },
        IpNet::V6(_) => Usable { first: network + 1, last: broadcast },
    }
}

pub(crate) fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address with this number in the family of `prefix`.
pub(crate) fn to_address(prefix: IpNet, number: u128) -> IpAddr {
    match prefix {
        // A number from an IPv4 prefix has 32 bits; the mask only tells the compiler.
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((number & 0xffff_ffff) as u32)),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_nobody_can_have() {
        let table = [
            ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
            ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
            ("10.0.0.9/32", "10.0.0.9", "10.0.0.9"),
            ("0.0.0.0/0", "0.0.0.1", "255.255.255.254"),
            ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
            ("fd00::/126", "fd00::1", "fd00::3"),
            ("fd00::/127", "fd00::", "fd00::1"),
            ("fd00::9/128", "fd00::9", "fd00::9"),
            ("::/0", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for (prefix, first, last) in table {
            let prefix: IpNet = prefix.parse().unwrap();
            let span = usable(prefix);
            let span =
                (to_address(prefix, span.first).to_string(), to_address(prefix, span.last).to_string());
            assert_eq!(span, (first.to_owned(), last.to_owned()), "{prefix}");
        }
    }
}
