//! MAC addresses for ports that bring none: locally administered, the same each time for the same port.

use weft_vxlan::MacAddr;

/// A locally administered unicast MAC address made from `seed` that is not `taken`.
///
/// The seed is what makes the port unique among all hosts, such as its subnet's VNI, name and addresses: two hosts
/// that do not know of each other then do not give the same MAC within a subnet.
#[must_use]
pub fn allocate_mac(seed: &str, taken: impl Fn(MacAddr) -> bool) -> MacAddr {
    let mut state = fnv1a(seed.as_bytes());
    loop {
        let mac = from_hash(mix(state));
        if !taken(mac) {
            return mac;
        }
        state = state.wrapping_add(1);
    }
}

/// 46 bits of the hash; the group bit is clear, the local bit set (IEEE 802 section 8.4).
fn from_hash(hash: u64) -> MacAddr {
    let [_, _, a, b, c, d, e, f] = hash.to_be_bytes();
    MacAddr::new([a & 0xfc | 0x02, b, c, d, e, f])
}

/// FNV-1a: short, and written down, so that a port's MAC does not change with the compiler.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of SplitMix64: neighbouring states give unlike addresses.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_port_has_the_same_mac() {
        let mac = allocate_mac("5001/web-1/10.0.0.2", |_| false);
        assert_eq!(mac, allocate_mac("5001/web-1/10.0.0.2", |_| false));
        assert_ne!(mac, allocate_mac("5001/web-1/10.0.0.3", |_| false));
        assert_ne!(mac, allocate_mac("5001/web-1/10.0.0.2", |other| other == mac));
    }

    proptest! {
        #[test]
        fn local_unicast_and_not_taken(seed in ".{0,40}", collisions in 0usize..20) {
            let mut taken = BTreeSet::new();
            for _ in 0..=collisions {
                let mac = allocate_mac(&seed, |mac| taken.contains(&mac));
                prop_assert!(mac.is_unicast());
                prop_assert_eq!(mac.bytes()[0] & 2, 2);
                prop_assert!(taken.insert(mac));
            }
        }
    }
}
