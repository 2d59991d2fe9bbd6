//! Which rule is best where, against asking every rule.

use proptest::prelude::*;

use super::*;

fn spec(first: u32, last: u32, bits: u64) -> Spec {
    Spec {
        first: Service::from_bits(first),
        last: Service::from_bits(last),
        candidate: Candidate::from_bits(bits),
    }
}

fn pieces(profile: &Profile) -> Vec<(u32, u64)> {
    profile.pieces.iter().map(|piece| (piece.first, piece.best.bits())).collect()
}

const NONE: u64 = u64::MAX;

#[test]
fn pieces_begin_where_the_best_changes() {
    let table = [
        (vec![], vec![(0, NONE)]),
        (vec![spec(0, 0xff_ffff, 5)], vec![(0, 5)]),
        (vec![spec(3, 3, 5)], vec![(0, NONE), (3, 5), (4, NONE)]),
        (vec![spec(0, 9, 5), spec(10, 0xff_ffff, 5)], vec![(0, 5)]),
        (vec![spec(0, 9, 5), spec(4, 6, 4)], vec![(0, 5), (4, 4), (7, 5), (10, NONE)]),
        (vec![spec(0, 9, 4), spec(4, 20, 5)], vec![(0, 4), (10, 5), (21, NONE)]),
    ];
    for (specs, expected) in table {
        assert_eq!(pieces(&Profile::of(&specs)), expected, "{specs:?}");
    }
}

#[test]
fn any_is_the_best_rule_about_all_services() {
    let specs = [spec(0, 0xff_ffff, 7), spec(0, 0xff_ffff, 9), spec(0, 5, 1)];
    assert_eq!(Profile::of(&specs).any, Candidate::from_bits(7));
    let better = Profile::of(&[spec(0, 0xff_ffff, 3)]);
    assert_eq!(Profile::of(&specs).best(&better).any, Candidate::from_bits(3));
    assert_eq!(Profile::of(&specs[2..]).any, Candidate::NONE);
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (0u32..40, 0u32..40, 0u64..20).prop_map(|(a, b, bits)| spec(a.min(b), a.max(b), bits));
    proptest::collection::vec(spec, 0..8)
}

proptest! {
    #[test]
    fn best_of_all_rules(one in specs(), two in specs()) {
        let both: Vec<_> = one.iter().chain(&two).copied().collect();
        let profile = Profile::of(&one).best(&Profile::of(&two));
        prop_assert_eq!(&profile, &Profile::of(&both));
        for service in 0..41 {
            let piece = profile.pieces.iter().rev().find(|piece| piece.first <= service).unwrap();
            let inside = both.iter().filter(|spec| (spec.first.get()..=spec.last.get()).contains(&service));
            prop_assert_eq!(piece.best, inside.map(|spec| spec.candidate).min().unwrap_or(Candidate::NONE));
        }
        prop_assert!(profile.pieces.windows(2).all(|pair| pair[0].best != pair[1].best));
    }
}
