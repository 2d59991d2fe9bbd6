//! Numbers of sets of groups: what an entry of an address says of whoever has it. Pure.
//!
//! A number outlives the daemon, because entries do: what it stands for is recorded before anything has it. No number is
//! given out twice while a daemon runs, and none that anything may still have when it starts.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use weft_dataplane_abi::MembershipKey;
use weft_policy::{GroupId, GroupSet, Identity};

/// Number of the set of no group, which nobody records.
pub(crate) const NONE: u32 = 0;

/// The sets that have numbers.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    numbers: HashMap<GroupSet, u32>,
    sets: BTreeMap<Identity, GroupSet>,
    /// How many routes have each.
    routes: HashMap<u32, usize>,
    /// Those of this host's own ports.
    local: BTreeSet<u32>,
    /// Those that are not recorded yet.
    unrecorded: BTreeSet<u32>,
    /// Groups of sets that came or went since policies were compiled.
    changed: BTreeSet<GroupId>,
    /// The highest that was ever given out.
    last: u32,
}

impl Identities {
    /// Those that were recorded.
    pub(crate) fn recorded(memberships: impl IntoIterator<Item = MembershipKey>) -> Self {
        let mut groups: BTreeMap<u32, Vec<GroupId>> = BTreeMap::new();
        for MembershipKey { identity, group } in memberships {
            groups.entry(identity).or_default().push(GroupId(group));
        }
        let mut identities = Self::default();
        for (number, groups) in groups {
            let set: GroupSet = groups.into_iter().collect();
            identities.last = identities.last.max(number);
            identities.changed.extend(set.iter());
            // Of two numbers of one set both stand for it, and the first is the one that is given out.
            identities.numbers.entry(set.clone()).or_insert(number);
            identities.sets.insert(Identity(number), set);
        }
        identities
    }

    /// Something has this number, whatever it stands for: it is not given out.
    pub(crate) fn avoid(&mut self, number: u32) {
        self.last = self.last.max(number);
    }

    /// The number of a set, a new one if it has none.
    pub(crate) fn number(&mut self, set: &GroupSet) -> u32 {
        if set.is_empty() {
            return NONE;
        }
        if let Some(number) = self.numbers.get(set) {
            return *number;
        }
        let number = self.last.checked_add(1).expect("a host does not see 2^32 sets of groups");
        self.last = number;
        self.numbers.insert(set.clone(), number);
        self.sets.insert(Identity(number), set.clone());
        self.unrecorded.insert(number);
        self.changed.extend(set.iter());
        number
    }

    /// The number of a set, if it has one.
    pub(crate) fn number_of(&self, set: &GroupSet) -> Option<u32> {
        if set.is_empty() { Some(NONE) } else { self.numbers.get(set).copied() }
    }

    /// What a number stands for; `None` if nobody knows.
    pub(crate) fn set(&self, number: u32) -> Option<GroupSet> {
        if number == NONE { Some(GroupSet::empty()) } else { self.sets.get(&Identity(number)).cloned() }
    }

    /// All of them.
    pub(crate) const fn sets(&self) -> &BTreeMap<Identity, GroupSet> {
        &self.sets
    }

    /// Another one for other sets: they come with a number that was never there, and go.
    pub(crate) fn version(&self) -> (u32, usize) {
        (self.last, self.sets.len())
    }

    /// One more route has the set.
    pub(crate) fn claim(&mut self, set: &GroupSet) -> u32 {
        let number = self.number(set);
        if number != NONE {
            *self.routes.entry(number).or_default() += 1;
        }
        number
    }

    /// One route less has the number.
    pub(crate) fn release(&mut self, number: u32) {
        match self.routes.get_mut(&number) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.routes.remove(&number)),
        }
    }

    /// This host's own ports are members of these sets.
    pub(crate) fn set_local<'a>(&mut self, sets: impl IntoIterator<Item = &'a GroupSet>) {
        self.local = sets.into_iter().map(|set| self.number(set)).collect();
    }

    /// What is to be recorded, by number.
    pub(crate) fn take_unrecorded(&mut self) -> BTreeMap<u32, Vec<MembershipKey>> {
        std::mem::take(&mut self.unrecorded)
            .into_iter()
            .map(|number| (number, self.memberships(number)))
            .collect()
    }

    /// Could not be recorded.
    pub(crate) fn put_back(&mut self, number: u32) {
        self.unrecorded.insert(number);
    }

    /// The groups of sets that came or went since [`Identities::settle`].
    pub(crate) const fn changed(&self) -> &BTreeSet<GroupId> {
        &self.changed
    }

    /// The policies know all sets as they are.
    pub(crate) fn settle(&mut self) {
        self.changed.clear();
    }

    /// Forgets the sets that neither a route nor a port has; returns what was recorded of them. Nothing that leads packets
    /// may have their numbers any more.
    pub(crate) fn forget_unused(&mut self) -> Vec<MembershipKey> {
        let used = |number: u32| self.local.contains(&number) || self.routes.contains_key(&number);
        let unused: Vec<_> = self.sets.keys().map(|identity| identity.0).filter(|it| !used(*it)).collect();
        let mut gone = Vec::new();
        for number in unused {
            if !self.unrecorded.remove(&number) {
                gone.extend(self.memberships(number));
            }
            if let Some(set) = self.sets.remove(&Identity(number)) {
                self.changed.extend(set.iter());
                if self.numbers.get(&set) == Some(&number) {
                    self.numbers.remove(&set);
                }
            }
        }
        gone
    }

    fn memberships(&self, identity: u32) -> Vec<MembershipKey> {
        let groups = self.sets.get(&Identity(identity)).into_iter().flat_map(GroupSet::iter);
        groups.map(|group| MembershipKey { identity, group: group.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(groups: &[u32]) -> GroupSet {
        groups.iter().map(|group| GroupId(*group)).collect()
    }

    #[test]
    fn a_set_keeps_its_number_over_a_restart() {
        let mut identities = Identities::default();
        assert_eq!(identities.number(&GroupSet::empty()), NONE);
        assert_eq!([&[7][..], &[7, 8], &[7]].map(|groups| identities.number(&set(groups))), [1, 2, 1]);
        let recorded = identities.take_unrecorded();
        assert!(identities.take_unrecorded().is_empty());
        let mut again = Identities::recorded(recorded.into_values().flatten());
        assert_eq!(again.number(&set(&[8, 7])), 2);
        assert_eq!((again.set(1), again.set(3)), (Some(set(&[7])), None));
        again.avoid(9);
        assert_eq!(again.number(&set(&[9])), 10);
        assert_eq!(again.take_unrecorded().keys().collect::<Vec<_>>(), [&10]);
    }

    #[test]
    fn what_nobody_has_is_forgotten_and_its_number_not_given_out_again() {
        let mut identities = Identities::default();
        let (one, other) = (set(&[1]), set(&[2]));
        let number = identities.claim(&one);
        identities.claim(&one);
        identities.set_local([&other]);
        identities.take_unrecorded();
        identities.settle();
        identities.release(number);
        assert_eq!(identities.forget_unused(), []);
        identities.release(number);
        assert_eq!(identities.forget_unused(), [MembershipKey { identity: 1, group: 1 }]);
        assert_eq!(identities.changed(), &BTreeSet::from([GroupId(1)]));
        assert_eq!(identities.number(&one), 3);
        identities.set_local([]);
        assert_eq!(identities.forget_unused(), [MembershipKey { identity: 2, group: 2 }]);
    }
}
