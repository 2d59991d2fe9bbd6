//! Numbers and addresses of the self-test's network. They are the same in every weftd, for a host makes those of the
//! others from their VTEPs: a change of any of them is a change of what is spoken between hosts.
//!
//! ```text
//! fd77:6566:7400::/64            of all hosts
//!   IPv4 VTEP a.b.c.d            fd77:6566:7400::aabb:ccdd:1, its gateway …:0
//!   IPv6 VTEP                    64 bits of FNV-1a of its bytes, the lowest one 1; its gateway with a 0 there
//! ```
//! A host's own subnet is the /127 of the two: all other hosts are routed to, and no host is in another's list of
//! neighbours.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;
use weft_vxlan::{MacAddr, Vni, Vtep};

/// L2 VNI of the host's own subnet. Nothing is switched in it, so none is ever on the wire.
pub const SUBNET: Vni = Vni::MAX;
/// L3 VNI, which probes and answers travel with.
pub const NETWORK: Vni = match Vni::new(Vni::MAX.get() - 1) {
    Ok(vni) => vni,
    Err(_) => Vni::MAX,
};
/// The port's name: none that a tenant can give.
pub const PORT: &str = "(self-test)";
/// Name of the port's device in its namespace.
pub const DEVICE: &str = "eth0";
/// UDP port that probes are answered at.
pub const UDP_PORT: u16 = 4789;

/// `fd`, "weft" in ASCII as the global ID's first four bytes, subnet 0.
const PREFIX: [u16; 4] = [0xfd77, 0x6566, 0x7400, 0];

/// Address of a host's self-test port.
#[must_use]
pub fn address(vtep: Vtep) -> Ipv6Addr {
    in_prefix(interface(vtep) | 1)
}

/// Whether an address may be that of a host's self-test port.
#[must_use]
pub fn is_of_a_host(address: Ipv6Addr) -> bool {
    address.segments().starts_with(&PREFIX)
}

/// A host's own subnet: its prefix and gateway.
#[must_use]
pub fn subnet(vtep: Vtep) -> (Ipv6Net, Ipv6Addr) {
    let gateway = in_prefix(interface(vtep) & !1);
    (Ipv6Net::new_assert(gateway, 127), gateway)
}

/// MAC of a host's self-test port. It is seen on its own host only.
#[must_use]
pub fn mac(vtep: Vtep) -> MacAddr {
    let [.., a, b, c, d, _, _] = interface(vtep).to_be_bytes();
    MacAddr::new([0x02, b'w', a, b, c, d])
}

fn interface(vtep: Vtep) -> u64 {
    match vtep.address() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()) << 16,
        // FNV-1a, 64 bits.
        IpAddr::V6(v6) => v6.octets().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }),
    }
}

fn in_prefix(interface: u64) -> Ipv6Addr {
    let [a, b, c, d] = PREFIX;
    let prefix = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
    Ipv6Addr::from_bits(prefix.to_bits() | u128::from(interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other hosts of other versions make them too: they must stay.
    #[test]
    fn addresses_stay_as_they_are() {
        let table = [
            (
                "192.0.2.1",
                "fd77:6566:7400::c000:201:1",
                "fd77:6566:7400::c000:201:0/127",
                "02:77:c0:00:02:01",
            ),
            (
                "2001:db8::1",
                "fd77:6566:7400:0:f971:61b7:a3be:1c15",
                "fd77:6566:7400:0:f971:61b7:a3be:1c14/127",
                "02:77:61:b7:a3:be",
            ),
        ];
        for (vtep, expected, prefix, expected_mac) in table {
            let vtep = vtep.parse().unwrap();
            let (net, gateway) = subnet(vtep);
            let said = (address(vtep).to_string(), net.to_string(), mac(vtep).to_string());
            let prefix: Ipv6Net = prefix.parse().unwrap();
            assert_eq!(said, (expected.to_owned(), prefix.to_string(), expected_mac.to_owned()));
            assert!(is_of_a_host(address(vtep)) && !is_of_a_host("fd77:6566:7401::1".parse().unwrap()));
            assert!(net.contains(&address(vtep)) && net.contains(&gateway) && gateway != address(vtep));
        }
        assert_eq!((SUBNET.get(), NETWORK.get()), (16_777_215, 16_777_214));
    }
}
