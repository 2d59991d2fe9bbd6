//! What encapsulation costs in bytes, and the MTU that is left for the inner packet.

use crate::Vtep;
use core::net::IpAddr;

const ETHERNET_LEN: u16 = 14;
const UDP_LEN: u16 = 8;
const VXLAN_LEN: u16 = 8;
const _: () = assert!(VXLAN_LEN as usize == crate::HEADER_LEN);

/// Bytes that are added to an inner frame over IPv4: IPv4, UDP and VXLAN headers and the inner Ethernet header,
/// which the outer MTU counts and the inner one does not.
pub const OVERHEAD_IPV4: u16 = 20 + UDP_LEN + VXLAN_LEN + ETHERNET_LEN;

/// The same over IPv6.
pub const OVERHEAD_IPV6: u16 = OVERHEAD_IPV4 + 20;

/// Bytes between the MTU of the underlay and the MTU of the workloads, by the family of the VTEP's address.
#[must_use]
pub const fn overhead(vtep: Vtep) -> u16 {
    match vtep.address() {
        IpAddr::V4(_) => OVERHEAD_IPV4,
        IpAddr::V6(_) => OVERHEAD_IPV6,
    }
}

/// The largest inner IP packet that fits into an underlay of `outer_mtu` bytes, or `None` if the underlay is so
/// narrow that IPv6 (1280 bytes, RFC 8200 section 5) would not fit inside.
#[must_use]
pub const fn inner_mtu(outer_mtu: u16, vtep: Vtep) -> Option<u16> {
    match outer_mtu.checked_sub(overhead(vtep)) {
        Some(mtu) if mtu >= 1280 => Some(mtu),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_sizes() {
        let v4: Vtep = "192.0.2.1".parse().unwrap();
        let v6: Vtep = "2001:db8::1".parse().unwrap();
        assert_eq!(inner_mtu(1500, v4), Some(1450));
        assert_eq!(inner_mtu(1500, v6), Some(1430));
        assert_eq!(inner_mtu(9000, v4), Some(8950));
        assert_eq!(inner_mtu(1329, v4), None);
        assert_eq!(inner_mtu(20, v4), None);
    }
}
