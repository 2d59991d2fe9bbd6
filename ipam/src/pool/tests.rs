//! Tables for the refusals, properties for the allocation.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn pool(prefix: &str, gateway: &str) -> Pool {
    Pool::new(prefix.parse().unwrap(), gateway.parse().unwrap()).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn refusals_say_why() {
    let mut pool = pool("10.0.0.0/24", "10.0.0.1");
    pool.claim(address("10.0.0.7"), "port/web-1").unwrap();
    let table = [
        ("10.0.1.7", "10.0.1.7 is outside 10.0.0.0/24"),
        ("fd00::7", "fd00::7 is outside 10.0.0.0/24"),
        ("10.0.0.0", "10.0.0.0 is the address of the network 10.0.0.0/24 itself; take one after it"),
        ("10.0.0.255", "10.0.0.255 is the broadcast address of 10.0.0.0/24; take one before it"),
        ("10.0.0.1", "10.0.0.1 is the gateway of 10.0.0.0/24"),
        ("10.0.0.7", "10.0.0.7 is taken by port/web-1"),
    ];
    for (text, message) in table {
        assert_eq!(pool.claim(address(text), "port/web-2").unwrap_err().to_string(), message);
    }
    let gateway = Pool::new("10.0.0.0/24".parse().unwrap(), address("10.0.0.255")).unwrap_err();
    assert_eq!(
        gateway,
        Refusal::Broadcast { address: address("10.0.0.255"), prefix: "10.0.0.0/24".parse().unwrap() }
    );
}

#[test]
fn the_lowest_free_one_and_then_full() {
    let mut small = pool("10.0.0.0/29", "10.0.0.3");
    small.claim(address("10.0.0.2"), "port/a").unwrap();
    let got: Vec<_> = std::iter::from_fn(|| small.allocate("port/b").ok()).map(|ip| ip.to_string()).collect();
    assert_eq!(got, ["10.0.0.1", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    assert_eq!(
        small.allocate("port/c").unwrap_err().to_string(),
        "10.0.0.0/29 is full: 5 addresses are taken, besides the gateway; delete ports or use a wider prefix"
    );
}

#[test]
fn point_to_point_and_single() {
    for (prefix, gateway, other) in
        [("10.0.0.0/31", "10.0.0.0", "10.0.0.1"), ("fd00::/127", "fd00::", "fd00::1")]
    {
        let mut pool = pool(prefix, gateway);
        assert_eq!(pool.allocate("port/a"), Ok(address(other)));
        assert!(pool.allocate("port/b").is_err());
    }
    assert!(pool("10.0.0.9/32", "10.0.0.9").allocate("port/a").is_err());
    assert!(pool("fd00::9/128", "fd00::9").allocate("port/a").is_err());
}

#[test]
fn wide_prefixes_cost_no_more() {
    for (prefix, gateway) in [("10.0.0.0/8", "10.0.0.1"), ("fd00::/64", "fd00::1"), ("::/0", "::1")] {
        let mut pool = pool(prefix, gateway);
        for _ in 0..10_000 {
            pool.allocate("port/a").unwrap();
        }
        assert_eq!(pool.free.len(), 1);
    }
}

proptest! {
    /// Whatever was claimed before: an allocated address is usable, nobody else's, and the lowest such; and exactly
    /// as many can be had as there are.
    #[test]
    fn no_address_twice(len in 24u8..=32, gateway in any::<u8>(), claims in proptest::collection::vec(any::<u8>(), 0..64)) {
        let prefix: IpNet = format!("192.0.2.0/{len}").parse().unwrap();
        let Ok(mut pool) = Pool::new(prefix, IpAddr::from([192, 0, 2, gateway])) else { return Ok(()) };
        let mut held = BTreeSet::from([IpAddr::from([192, 0, 2, gateway])]);
        for claim in claims {
            let claim = IpAddr::from([192, 0, 2, claim]);
            let had = held.contains(&claim);
            let given = pool.claim(claim, "port/a").is_ok();
            prop_assert!(!(had && given));
            if given { held.insert(claim); }
        }
        let mut last = None;
        while let Ok(next) = pool.allocate("port/b") {
            prop_assert!(prefix.contains(&next));
            prop_assert!(last < Some(next));
            prop_assert!(held.insert(next), "{} twice", next);
            last = Some(next);
        }
        let hosts = match len { 32 => 1, 31 => 2, _ => (1usize << (32 - len)) - 2 };
        prop_assert_eq!(held.len(), hosts);
    }

    /// Claims split and shrink gaps, never lose or invent an address.
    #[test]
    fn gaps_and_holders_are_the_whole(claims in proptest::collection::vec(1u128..5_000, 0..200)) {
        let mut pool = pool("fd00::/64", "fd00::1");
        for claim in claims {
            let base = to_number(address("fd00::"));
            let _ = pool.claim(to_address(pool.prefix, base + claim), "port/a");
        }
        let free: u128 = pool.free.iter().map(|(first, last)| last - first + 1).sum();
        prop_assert_eq!(free + pool.holders.len() as u128 + 1, (1u128 << 64) - 1);
    }
}
