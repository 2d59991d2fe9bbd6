//! Which policies are the same, found without comparing each with each.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use hashbrown::HashMap;
use weft_policy::{Policy, Rule};

/// Policies, each once, by their place.
#[derive(Debug, Default)]
pub(super) struct Distinct<'a> {
    policies: Vec<&'a Policy>,
    places: HashMap<u64, Vec<usize>>,
}

impl<'a> Distinct<'a> {
    /// The place of a policy, which it gets if it has none.
    pub(super) fn place(&mut self, policy: &'a Policy) -> usize {
        let places = self.places.entry(fingerprint(policy)).or_default();
        if let Some(place) = places.iter().find(|place| self.policies.get(**place) == Some(&policy)) {
            return *place;
        }
        let place = self.policies.len();
        self.policies.push(policy);
        places.push(place);
        place
    }

    /// The place of a policy, if it has one.
    pub(super) fn find(&self, policy: &Policy) -> Option<usize> {
        let places = self.places.get(&fingerprint(policy))?;
        places.iter().copied().find(|place| self.policies.get(*place) == Some(&policy))
    }
}

/// What tells most policies apart, however many rules they have: comparing the rules themselves is left to those for which
/// it is the same. Equal ones mostly share their rules, which is seen at once.
fn fingerprint(policy: &Policy) -> u64 {
    let rules = policy.rules();
    let some: [Option<&Rule>; 3] = [rules.first(), rules.get(rules.len() / 2), rules.last()];
    BuildHasherDefault::<DefaultHasher>::default().hash_one((
        policy.direction(),
        policy.default_action(),
        rules.len(),
        some,
    ))
}
