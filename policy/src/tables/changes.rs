//! The way from one version of the tables to the next, entry by entry, while packets are looked up.
//!
//! Of prefixes within each other, the longer is written first, and then the shorter removed first. So the entry that a
//! packet finds is at each moment its old or its new one: as long as the old entries are all there, the longest that is
//! old is the right old one, and the longest that was written is the right new one.
//!
//! An identity that gets another class gets one that is new, or leaves one that goes: were both there before and after,
//! they would stand for the same groups. So new classes are written before identities come to them, and classes that
//! stay change when no identity that leaves them, or comes to them, would meet half of it.
//!
//! Besides, what adds comes before what takes away. A rule that is replaced by one for another kind of peer is thus for
//! a moment there in both forms, of which the better counts, as it did before or will after.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::classes::{Class, ClassKey};
use super::{ClassId, Identity, ServiceKey, Size, Tables};
use crate::cover::Entry;
use crate::{Action, Candidate, GroupSet, RuleNumber};

/// One entry that is written or removed, or a wait. Writing takes the place of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What happens without a rule.
    SetDefault(Action),
    /// In `services`.
    SetService(ServiceKey, Candidate),
    /// In `services`.
    RemoveService(ServiceKey),
    /// In `peers`.
    SetPeer(IpNet, ClassId),
    /// In `peers`.
    RemovePeer(IpNet),
    /// In `identities`.
    SetIdentity(Identity, ClassId),
    /// In `identities`.
    RemoveIdentity(Identity),
    /// Until every look-up that has begun has ended, which is a grace period of the kernel's RCU.
    Wait,
}

/// The classes that differ.
#[derive(Default)]
struct ClassChanges<'a> {
    new: Vec<&'a (ClassKey, Arc<Class>)>,
    gone: Vec<&'a (ClassKey, Arc<Class>)>,
    /// Before and after.
    changed: Vec<(&'a Class, &'a Class)>,
}

/// The identities whose class differs.
#[derive(Default)]
struct IdentityChanges {
    /// To new classes, with all groups that the old ones have: these add rules.
    first: Vec<Change>,
    /// To classes without a group that the old ones have, or to none.
    last: Vec<Change>,
    /// How many had no class.
    inserted: usize,
}

/// The changes from `old` to `new`, in which the rules `added` are new; and how many entries there are at most on the
/// way.
pub(super) fn between(old: &Tables, new: &Tables, added: &[RuleNumber]) -> (Vec<Change>, Size) {
    let classes = ClassChanges::between(old, new);
    let added: HashSet<_> = added.iter().copied().collect();
    let gains = |class: &Class| {
        class.entries.iter().any(|entry| entry.best.rule().is_some_and(|rule| added.contains(&rule)))
    };
    let identities = IdentityChanges::between(old, new, &classes);

    let new_entries = classes.new.iter().flat_map(|(_, class)| class.entries());
    let mut come: Vec<_> = new_entries.map(|(key, best)| Change::SetService(key, best)).collect();
    let mut inserted = come.len();
    come.extend(peers(&classes.new).rev().map(|(prefix, class)| Change::SetPeer(prefix, class)));
    come.extend(identities.first);

    let (mut gain, mut lose) = (Vec::new(), Vec::new());
    for (before, after) in &classes.changed {
        let changes = if gains(after) { &mut gain } else { &mut lose };
        inserted += service_changes(before, after, changes);
    }
    let default = new.policy().default_action();
    lose.extend((old.policy().default_action() != default).then_some(Change::SetDefault(default)));
    lose.extend(identities.last);
    lose.extend(peers(&classes.gone).map(|(prefix, _)| Change::RemovePeer(prefix)));

    let old_entries = classes.gone.iter().flat_map(|(_, class)| class.entries());
    let go = old_entries.map(|(key, _)| Change::RemoveService(key)).collect();
    let most = Size {
        peers: old.size.peers + peers(&classes.new).count(),
        identities: old.size.identities + identities.inserted,
        services: old.size.services + inserted,
    };
    (one_after_the_other([come, gain, lose, go]), most)
}

/// Joins steps. A look-up reads several entries: it must not find the first ones as they are before a step, and the
/// others as they are after the next.
fn one_after_the_other(steps: [Vec<Change>; 4]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for step in steps.into_iter().filter(|step| !step.is_empty()) {
        changes.extend((!changes.is_empty()).then_some(Change::Wait));
        changes.extend(step);
    }
    changes
}

/// The prefixes of classes, each behind those that contain it.
fn peers<'a>(
    classes: &'a [&(ClassKey, Arc<Class>)],
) -> impl DoubleEndedIterator<Item = (IpNet, ClassId)> + use<'a> {
    classes.iter().filter_map(|(key, class)| key.prefix().map(|prefix| (prefix, class.id)))
}

/// How a class gets other entries; says how many are under a prefix that had none. Both lists are in the order of their
/// prefixes, in which each is behind those that contain it.
fn service_changes(before: &Class, after: &Class, changes: &mut Vec<Change>) -> usize {
    let (mut written, mut removed, mut inserted) = (Vec::new(), Vec::new(), 0);
    let mut old = before.entries.iter().peekable();
    for entry in &after.entries {
        while let Some(gone) = old.next_if(|old| old.prefix < entry.prefix) {
            removed.push(gone.prefix);
        }
        let had = old.next_if(|old| old.prefix == entry.prefix);
        inserted += usize::from(had.is_none());
        if had.is_none_or(|old| old.best != entry.best) {
            written.push(*entry);
        }
    }
    removed.extend(old.map(|gone| gone.prefix));
    let key = |prefix| ServiceKey { class: after.id, prefix };
    let written = written.into_iter().rev();
    changes.extend(written.map(|Entry { prefix, best }| Change::SetService(key(prefix), best)));
    changes.extend(removed.into_iter().map(|prefix| Change::RemoveService(key(prefix))));
    inserted
}

fn group_sets<'a>(classes: &[&'a (ClassKey, Arc<Class>)]) -> HashMap<ClassId, &'a GroupSet> {
    classes.iter().filter_map(|(key, class)| key.groups().map(|groups| (class.id, groups))).collect()
}

impl IdentityChanges {
    fn between(old: &Tables, new: &Tables, classes: &ClassChanges<'_>) -> Self {
        let (new_sets, gone_sets) = (group_sets(&classes.new), group_sets(&classes.gone));
        let mut changes = Self::default();
        let mut before = old.identities.iter().peekable();
        for (identity, class) in &new.identities {
            while let Some((gone, _)) = before.next_if(|(other, _)| other < identity) {
                changes.last.push(Change::RemoveIdentity(*gone));
            }
            let had = before.next_if(|(other, _)| other == identity).map(|(_, class)| class);
            if had == Some(class) {
                continue;
            }
            changes.inserted += usize::from(had.is_none());
            // A class that stays has no group that the new one lacks: those that it has are still named.
            let before = had.and_then(|had| gone_sets.get(had));
            let adds = |now: &&GroupSet| before.is_none_or(|before| before.iter().all(|it| now.contains(it)));
            let first = new_sets.get(class).is_some_and(adds);
            let list = if first { &mut changes.first } else { &mut changes.last };
            list.push(Change::SetIdentity(*identity, *class));
        }
        changes.last.extend(before.map(|(gone, _)| Change::RemoveIdentity(*gone)));
        changes
    }
}

impl<'a> ClassChanges<'a> {
    fn between(old: &'a Tables, new: &'a Tables) -> Self {
        let mut changes = Self::default();
        let mut before = old.classes.iter().peekable();
        for after in &new.classes {
            while let Some(gone) = before.next_if(|(key, _)| *key < after.0) {
                changes.gone.push(gone);
            }
            match before.next_if(|(key, _)| key.cmp(&after.0) == Ordering::Equal) {
                Some((_, class)) if Arc::ptr_eq(class, &after.1) => {}
                Some((_, class)) => changes.changed.push((class, &after.1)),
                None => changes.new.push(after),
            }
        }
        changes.gone.extend(before);
        changes
    }
}
