//! How few entries there are, and that the longest of them is right.

use proptest::prelude::*;

use super::*;
use crate::Service;
use crate::profile::Spec;

const TCP: u32 = 6 << 16;

fn spec(first: u32, last: u32, bits: u64) -> Spec {
    Spec {
        first: Service::from_bits(first),
        last: Service::from_bits(last),
        candidate: Candidate::from_bits(bits),
    }
}

fn entries(specs: &[Spec]) -> Vec<([u8; 3], u8, u64)> {
    let entries = Cover::default().entries(&Profile::of(specs));
    entries.iter().map(|entry| (entry.prefix.to_bytes(), entry.prefix.len(), entry.best.bits())).collect()
}

#[test]
fn few_entries() {
    const NONE: u64 = u64::MAX;
    let all = spec(0, 0xff_ffff, 9);
    let table = [
        (vec![], vec![]),
        (vec![all], vec![([0, 0, 0], 0, 9)]),
        (vec![spec(TCP, TCP + 0xffff, 5)], vec![([6, 0, 0], 8, 5)]),
        (vec![spec(TCP, TCP, 5)], vec![([6, 0, 0], 24, 5)]),
        (vec![spec(TCP + 0xffff, TCP + 0xffff, 5)], vec![([6, 255, 255], 24, 5)]),
        // All ports, but not this one.
        (vec![spec(TCP + 1, TCP + 0xffff, 5)], vec![([6, 0, 0], 8, 5), ([6, 0, 0], 24, NONE)]),
        (vec![spec(TCP + 1024, TCP + 0xffff, 5)], vec![([6, 0, 0], 8, 5), ([6, 0, 0], 14, NONE)]),
        // What is worse than a rule about all services is not there.
        (vec![all, spec(TCP, TCP + 0xffff, 10)], vec![([0, 0, 0], 0, 9)]),
        (vec![all, spec(TCP + 80, TCP + 80, 5)], vec![([0, 0, 0], 0, 9), ([6, 0, 80], 24, 5)]),
    ];
    for (specs, expected) in table {
        assert_eq!(entries(&specs), expected, "{specs:?}");
    }
}

/// The only entry for packets without a service is that of a rule about all of them, however many protocols have rules.
#[test]
fn no_rule_about_a_protocol_is_one_about_all() {
    let specs: Vec<_> = (0..256).map(|protocol| spec(protocol << 16, protocol << 16 | 0xffff, 5)).collect();
    assert!(entries(&specs[1..]).iter().all(|(_, len, _)| *len > 0));
}

#[test]
fn the_ends_of_a_prefix() {
    let service = Service::new(6, 0x1234);
    assert_eq!(ServicePrefix::containing(service, 0), ServicePrefix::ALL);
    assert_eq!(ServicePrefix::containing(service, 8).to_bytes(), [6, 0, 0]);
    assert_eq!(ServicePrefix::containing(service, 24).to_bytes(), [6, 0x12, 0x34]);
    let (low, high) = ServicePrefix::containing(service, 8).halves();
    assert_eq!((low.to_bytes(), high.to_bytes(), high.len()), ([6, 0, 0], [6, 0x80, 0], 9));
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let port = || prop_oneof![0u32..20, 0xfff0u32..=0xffff];
    let spec = (0u32..4, port(), port(), 0u64..6)
        .prop_map(|(protocol, a, b, bits)| spec(protocol << 16 | a.min(b), protocol << 16 | a.max(b), bits));
    proptest::collection::vec(spec, 0..12)
}

proptest! {
    #[test]
    fn the_longest_entry_is_right(specs in specs(), all in proptest::option::of(0u64..6)) {
        let mut specs = specs;
        specs.extend(all.map(|bits| spec(0, 0xff_ffff, bits)));
        let profile = Profile::of(&specs);
        let entries = Cover::default().entries(&profile);
        prop_assert!(entries.is_sorted_by(|one, other| one.prefix < other.prefix));
        prop_assert!(entries.len() <= 1 + 2 * 16 * profile.pieces.len());
        for protocol in 0..5 {
            for port in (0..24).chain(0xffe8..=0xffff) {
                let service = Service::new(protocol, port);
                let longest = entries.iter().rev().find(|entry| {
                    entry.prefix == ServicePrefix::containing(service, entry.prefix.len())
                });
                let expected = profile.pieces.iter().rev().find(|piece| piece.first <= service.get()).unwrap();
                prop_assert_eq!(longest.map_or(Candidate::NONE, |entry| entry.best), expected.best);
            }
        }
    }
}
