//! What one large map should hold, kept up to date entry by entry, and which entries the kernel does not have so yet.
//! Pure.
//!
//! Nothing but the kernel holds what the kernel holds: a second copy of a million entries would cost more than it is
//! worth. What differs is known from the changes, and from an audit, which reads the map.

use std::collections::BTreeMap;
use std::hash::Hash;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use crate::change::Operation;

/// What routes contribute to an entry.
pub(crate) trait Source<K>: Clone + PartialEq {
    type Value: Copy + Eq;

    /// The entry at `key`.
    fn value(&self, key: &K) -> Self::Value;

    /// Whether packets may be judged otherwise by one entry than by the other.
    fn judges_otherwise(_before: Option<&Self::Value>, _after: Option<&Self::Value>) -> bool {
        false
    }
}

/// The wanted entries of a map.
#[derive(Debug)]
pub(crate) struct Entries<K, S: Source<K>> {
    /// Those of this host's own.
    local: HashMap<K, S::Value>,
    /// Those of routes. They win: there is one for an address of this host only once another host took it over
    /// (RFC 7432 section 15).
    remote: HashMap<K, S>,
    /// Keys at which the kernel's map may differ, and whether it holds an entry there. A key that comes twice counts as
    /// it came first.
    stale: Vec<(K, bool)>,
    /// Whether the kernel's map was read, and all that differs is in `stale`.
    audited: bool,
    /// Whether something became wanted, or was found, by which packets are judged otherwise.
    rejudge: bool,
}

/// A state of entries, but for what routes contribute.
#[derive(Debug)]
pub(super) struct EntriesMark<K, V> {
    local: HashMap<K, V>,
    stale: Vec<(K, bool)>,
    audited: bool,
    rejudge: bool,
}

/// What must be done to a map, each list in the order of the keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Work<K, V> {
    pub(crate) writes: Vec<(K, V, Operation)>,
    pub(crate) removals: Vec<K>,
}

impl<K: Copy + Ord + Hash, S: Source<K>> Entries<K, S> {
    pub(crate) fn new() -> Self {
        Self {
            local: HashMap::new(),
            remote: HashMap::new(),
            stale: Vec::new(),
            audited: false,
            rejudge: false,
        }
    }

    /// The wanted entry.
    pub(crate) fn get(&self, key: &K) -> Option<S::Value> {
        self.remote.get(key).map(|source| source.value(key)).or_else(|| self.local.get(key).copied())
    }

    /// Whether it is one of this host's own.
    pub(super) fn is_local(&self, key: &K) -> bool {
        self.local.contains_key(key)
    }

    /// What routes contribute.
    pub(super) fn source(&self, key: &K) -> Option<&S> {
        self.remote.get(key)
    }

    /// What all routes contribute.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&K, &S)> {
        self.remote.iter()
    }

    /// How many entries are wanted.
    pub(crate) fn len(&self) -> usize {
        let both = self.local.keys().filter(|key| self.remote.contains_key(*key)).count();
        self.local.len() + self.remote.len() - both
    }

    /// Has routes contribute `source`, or nothing.
    pub(super) fn set(&mut self, key: K, source: Option<S>) {
        let before = self.get(&key);
        match source {
            Some(source) => self.remote.insert(key, source),
            None => self.remote.remove(&key),
        };
        self.note(key, before);
    }

    /// This host's own entries are `local` from now on.
    pub(crate) fn set_local(&mut self, local: &BTreeMap<K, S::Value>) {
        let gone: Vec<_> = self.local.keys().filter(|key| !local.contains_key(key)).copied().collect();
        for key in gone {
            let before = self.get(&key);
            self.local.remove(&key);
            self.note(key, before);
        }
        for (key, value) in local {
            let before = self.get(key);
            self.local.insert(*key, *value);
            self.note(*key, before);
        }
    }

    /// Makes room for so many more contributions at once.
    pub(super) fn reserve(&mut self, additional: usize) {
        self.remote.reserve(additional);
    }

    fn note(&mut self, key: K, before: Option<S::Value>) {
        let after = self.get(&key);
        if self.audited && after != before {
            self.stale.push((key, before.is_some()));
            self.rejudge |= S::judges_otherwise(before.as_ref(), after.as_ref());
        }
    }

    /// Whether connections have to be judged again, since this was last asked.
    pub(crate) fn take_rejudge(&mut self) -> bool {
        std::mem::take(&mut self.rejudge)
    }

    /// Whether the kernel's map is as wanted, as far as is known.
    pub(crate) fn is_settled(&self) -> bool {
        self.audited && self.stale.is_empty()
    }

    /// Whether the kernel's map has never been read.
    pub(crate) const fn is_unknown(&self) -> bool {
        !self.audited
    }

    /// Compares with what the kernel's map holds. Whatever was known of differences before is forgotten.
    pub(crate) fn audit<E>(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(K, S::Value)) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stale = Vec::new();
        let mut present = Vec::new();
        let mut rejudge = self.rejudge;
        read(&mut |key, held| {
            let wanted = self.get(&key);
            if wanted != Some(held) {
                stale.push((key, true));
                rejudge |= S::judges_otherwise(Some(&held), wanted.as_ref());
            }
            if wanted.is_some() {
                present.push(key);
            }
        })?;
        if present.len() < self.len() {
            let present: HashSet<K> = present.into_iter().collect();
            let remote = self.remote.keys().filter(|key| !self.local.contains_key(*key));
            let missing = self.local.keys().chain(remote).filter(|key| !present.contains(*key));
            for key in missing {
                stale.push((*key, false));
                rejudge |= S::judges_otherwise(None, self.get(key).as_ref());
            }
        }
        (self.stale, self.audited, self.rejudge) = (stale, true, rejudge);
        Ok(())
    }

    pub(super) fn mark(&self) -> EntriesMark<K, S::Value> {
        let Self { local, stale, audited, rejudge, .. } = self;
        EntriesMark { local: local.clone(), stale: stale.clone(), audited: *audited, rejudge: *rejudge }
    }

    pub(super) fn back_to(&mut self, mark: EntriesMark<K, S::Value>) {
        EntriesMark { local: self.local, stale: self.stale, audited: self.audited, rejudge: self.rejudge } =
            mark;
    }

    /// What must be done for the kernel's map to be as wanted. It counts as done.
    pub(crate) fn take_work(&mut self) -> Work<K, S::Value> {
        let mut stale = std::mem::take(&mut self.stale);
        // Stable: of a key that comes twice, the first stays.
        stale.sort_by_key(|(key, _)| *key);
        stale.dedup_by_key(|(key, _)| *key);
        let mut work = Work { writes: Vec::with_capacity(stale.len()), removals: Vec::new() };
        for (key, held) in stale {
            match (self.get(&key), held) {
                (Some(value), false) => work.writes.push((key, value, Operation::Insert)),
                (Some(value), true) => work.writes.push((key, value, Operation::Replace)),
                (None, true) => work.removals.push(key),
                (None, false) => {}
            }
        }
        work
    }

    /// Gives work back that was not done.
    pub(crate) fn put_back(&mut self, work: Work<K, S::Value>) {
        let writes =
            work.writes.into_iter().map(|(key, _, operation)| (key, operation == Operation::Replace));
        let removals = work.removals.into_iter().map(|key| (key, true));
        let later = std::mem::take(&mut self.stale);
        self.stale = writes.chain(removals).chain(later).collect();
    }
}

/// A value that several routes want, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim<V> {
    value: V,
    count: u32,
}

impl<K, V: Copy + Eq> Source<K> for Claim<V> {
    type Value = V;

    fn value(&self, _: &K) -> V {
        self.value
    }
}

/// Entries that exist as long as some route wants them: two addresses of a workload share its MAC.
#[derive(Debug)]
pub(crate) struct Claims<K, V: Copy + Eq> {
    pub(crate) entries: Entries<K, Claim<V>>,
    /// Claims of other, lesser values: routes contradict each other, as while a workload moves. The greatest value
    /// wins, so that the order in which routes came does not matter.
    rivals: HashMap<K, BTreeMap<V, u32>>,
}

impl<K: Copy + Ord + Hash, V: Copy + Ord> Claims<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: Entries::new(), rivals: HashMap::new() }
    }

    /// One more route wants `value` at `key`.
    pub(super) fn claim(&mut self, key: K, value: V) {
        let Some(held) = self.entries.remote.get_mut(&key) else {
            return self.entries.set(key, Some(Claim { value, count: 1 }));
        };
        if held.value == value {
            held.count += 1;
            return;
        }
        let rivals = self.rivals.entry(key).or_default();
        if value < held.value {
            *rivals.entry(value).or_default() += 1;
        } else {
            rivals.insert(held.value, held.count);
            self.entries.set(key, Some(Claim { value, count: 1 }));
        }
    }

    /// One route less wants `value` at `key`.
    pub(super) fn release(&mut self, key: K, value: V) {
        let Some(held) = self.entries.remote.get_mut(&key) else { return };
        if held.value != value {
            self.forget_rival(key, value);
        } else if held.count > 1 {
            held.count -= 1;
        } else {
            let heir = self.rivals.get_mut(&key).and_then(BTreeMap::pop_last);
            if self.rivals.get(&key).is_some_and(BTreeMap::is_empty) {
                self.rivals.remove(&key);
            }
            self.entries.set(key, heir.map(|(value, count)| Claim { value, count }));
        }
    }

    fn forget_rival(&mut self, key: K, value: V) {
        let Entry::Occupied(mut rivals) = self.rivals.entry(key) else { return };
        match rivals.get_mut().get_mut(&value) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(rivals.get_mut().remove(&value)),
        }
        if rivals.get().is_empty() {
            rivals.remove();
        }
    }
}

#[cfg(test)]
mod tests;
