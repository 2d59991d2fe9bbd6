//! The tables find what a walk over the rules finds.

use proptest::prelude::*;
use weft_policy::{Action, Direction, Maps, Policy, Size, Table, Tables};

use super::universe::{NO_LIMIT, identities, packets, rules};

proptest! {
    // Each with 24 packets: 48,000 look-ups.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn tables_decide_as_the_rules_do(rules in rules(), cases in packets(), denied in any::<bool>()) {
        let default = if denied { Action::Deny } else { Action::Allow };
        let policy = Policy::new(Direction::Ingress, rules).with_default(default);
        let tables = Tables::compile(&policy, &identities(), &NO_LIMIT).unwrap();
        let maps = Maps::of(&tables);
        prop_assert_eq!(maps.size(), tables.size());
        for case in cases {
            let found = maps.look_up(&case.packet(), case.identity);
            prop_assert_eq!(tables.explain(found), policy.evaluate(&case.packet()), "{:?}", case);
        }
    }
}

proptest! {
    /// The size is what the maps need, and the limit is exact.
    #[test]
    fn one_entry_less_is_too_little(rules in rules()) {
        let policy = Policy::new(Direction::Ingress, rules);
        let size = Tables::compile(&policy, &identities(), &NO_LIMIT).unwrap().size();
        prop_assert!(Tables::compile(&policy, &identities(), &size).is_ok());
        let smaller = [
            (Table::Peers, size.peers, Size { peers: size.peers.saturating_sub(1), ..size }),
            (Table::Identities, size.identities, Size { identities: size.identities.saturating_sub(1), ..size }),
            (Table::Services, size.services, Size { services: size.services.saturating_sub(1), ..size }),
        ];
        for (table, needed, limit) in smaller {
            if needed > 0 {
                let error = Tables::compile(&policy, &identities(), &limit).unwrap_err();
                prop_assert_eq!((error.table, error.limit), (table, needed - 1));
                prop_assert!(error.needed >= needed);
            }
        }
    }
}
