//! Who rules are about that no packet of the pods meets: addresses and ports of their own, the same for weft and for nftables.

use std::net::Ipv4Addr;

/// The first of 172.16.0.0/12, which has room for a million.
const FIRST: u32 = 0xac10_0000;

/// The prefix that all pods are in, which the last rule lets through.
pub(crate) const PODS: &str = "10.0.0.0/24";

/// Address and port of the stranger with this number.
pub(crate) fn stranger(number: u32) -> (Ipv4Addr, u32) {
    (Ipv4Addr::from(FIRST + number), 10_000 + number % 50_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_differ_and_are_no_pods() {
        let all: std::collections::BTreeSet<_> = (0..100_000).map(stranger).collect();
        assert_eq!(all.len(), 100_000);
        let pods: ipnet::Ipv4Net = PODS.parse().unwrap();
        assert!(all.iter().all(|(address, port)| !pods.contains(address) && *port <= 65_535));
    }
}
