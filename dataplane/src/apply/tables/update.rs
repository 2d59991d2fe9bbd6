//! The changes of one map: told one by one while they are few, and counted when they are many.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::io;

use crate::bpf::Table;
use crate::change::{Change, Operation};
use crate::error::chain;
use crate::plan::{Entries, Source, Work};
use crate::{Failure, Report};

/// More changes of a map than these are counted instead of told one by one.
const TOLD: usize = 100;
/// More failures of a map than these are counted.
const FAILURES_TOLD: usize = 10;
/// Entries whose keys and values are held at once.
const CHUNK: usize = 1 << 16;

/// The changes of one map that wait to be made.
pub(crate) trait Pending {
    /// What would be changed.
    fn changes(&self) -> Vec<Change>;
    /// Whether the map has no room for the new entries before the old ones have gone.
    fn is_tight(&self) -> bool;
    /// Writes the new entries.
    fn write(&mut self, report: &mut Report);
    /// Removes the old ones.
    fn remove(&mut self, report: &mut Report);
}

/// Where the values of entries come from, and where work goes that could not be done.
pub(super) trait Wanted<K, V> {
    fn value(&self, key: &K) -> Option<V>;
    fn put_back(&mut self, work: Work<K>);
}

/// A small map is read and compared anew each time: nothing is to be remembered.
impl<K: Ord, V: Copy> Wanted<K, V> for &BTreeMap<K, V> {
    fn value(&self, key: &K) -> Option<V> {
        self.get(key).copied()
    }

    fn put_back(&mut self, _work: Work<K>) {}
}

impl<K: Copy + Ord + Hash, S: Source> Wanted<K, S::Value> for &mut Entries<K, S> {
    fn value(&self, key: &K) -> Option<S::Value> {
        self.get(key)
    }

    fn put_back(&mut self, work: Work<K>) {
        Entries::put_back(self, work);
    }
}

/// A map, how it must change, and each entry in words.
pub(super) struct Update<'a, T: Table, W, D> {
    pub(super) table: &'a mut T,
    pub(super) wanted: W,
    pub(super) work: Work<T::Key>,
    pub(super) tight: bool,
    pub(super) describe: D,
}

impl<T, W, D> Pending for Update<'_, T, W, D>
where
    T: Table,
    W: Wanted<T::Key, T::Value>,
    D: Fn(&T::Key) -> String,
{
    fn changes(&self) -> Vec<Change> {
        let mut told = self.told(&self.work.writes);
        let removals: Vec<_> = self.work.removals.iter().map(|key| (*key, Operation::Remove)).collect();
        told.extend(self.told(&removals));
        told
    }

    fn is_tight(&self) -> bool {
        self.tight
    }

    fn write(&mut self, report: &mut Report) {
        let writes = std::mem::take(&mut self.work.writes);
        let mut refused = Vec::new();
        for (chunk, entries) in writes.chunks(CHUNK).enumerate() {
            // Each key is wanted: that is what work is made of.
            let (keys, values): (Vec<_>, Vec<_>) =
                entries.iter().filter_map(|(key, _)| Some((*key, self.wanted.value(key)?))).unzip();
            let errors = self.table.write(&keys, &values);
            refused.extend(errors.into_iter().map(|(at, error)| (chunk * CHUNK + at, error)));
        }
        self.finish(writes, refused, report);
    }

    fn remove(&mut self, report: &mut Report) {
        let keys = std::mem::take(&mut self.work.removals);
        let refused = self.table.remove(&keys);
        self.finish(keys.into_iter().map(|key| (key, Operation::Remove)).collect(), refused, report);
    }
}

impl<T, W, D> Update<'_, T, W, D>
where
    T: Table,
    W: Wanted<T::Key, T::Value>,
    D: Fn(&T::Key) -> String,
{
    /// Tells what was done and what was not; that is to be done later.
    fn finish(
        &mut self,
        work: Vec<(T::Key, Operation)>,
        refused: Vec<(usize, io::Error)>,
        report: &mut Report,
    ) {
        if refused.is_empty() {
            report.changes.extend(self.told(&work));
            return;
        }
        let mut refused: BTreeMap<usize, io::Error> = refused.into_iter().collect();
        let failed = refused.len();
        let (mut done, mut undone) = (Vec::new(), Work { writes: Vec::new(), removals: Vec::new() });
        for (at, (key, operation)) in work.into_iter().enumerate() {
            let Some(error) = refused.remove(&at) else {
                done.push((key, operation));
                continue;
            };
            if undone.writes.len() + undone.removals.len() < FAILURES_TOLD {
                let object = self.change(operation, &key).object();
                report.failures.push(Failure::new(object, chain(&error)));
            }
            match operation {
                Operation::Insert | Operation::Replace => undone.writes.push((key, operation)),
                Operation::Remove => undone.removals.push(key),
            }
        }
        if failed > FAILURES_TOLD {
            let more = failed - FAILURES_TOLD;
            let object = format!("map {}", self.table.name());
            report.failures.push(Failure::new(object, format!("{more} more entries failed likewise")));
        }
        report.changes.extend(self.told(&done));
        self.wanted.put_back(undone);
    }

    fn told(&self, work: &[(T::Key, Operation)]) -> Vec<Change> {
        if work.len() <= TOLD {
            return work.iter().map(|(key, operation)| self.change(*operation, key)).collect();
        }
        let counted = [Operation::Insert, Operation::Replace, Operation::Remove].map(|operation| {
            let count = work.iter().filter(|(_, done)| *done == operation).count();
            Change::Entries { map: self.table.name(), operation, count }
        });
        let some = |change: &Change| !matches!(change, Change::Entries { count: 0, .. });
        counted.into_iter().filter(some).collect()
    }

    fn change(&self, operation: Operation, key: &T::Key) -> Change {
        Change::Table { map: self.table.name(), operation, entry: (self.describe)(key) }
    }
}
