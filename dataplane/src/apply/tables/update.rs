//! The changes of one map: told one by one while they are few, and counted when they are many.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use crate::bpf::{Refused, Table};
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

/// Where work goes that could not be done.
pub(super) trait Wanted<K, V> {
    fn put_back(&mut self, work: Work<K, V>);
}

/// A small map is read and compared anew each time: nothing is to be remembered.
impl<K, V> Wanted<K, V> for &BTreeMap<K, V> {
    fn put_back(&mut self, _work: Work<K, V>) {}
}

impl<K: Copy + Ord + Hash, S: Source<K>> Wanted<K, S::Value> for &mut Entries<K, S> {
    fn put_back(&mut self, work: Work<K, S::Value>) {
        Entries::put_back(self, work);
    }
}

/// A map, how it must change, and each entry in words.
pub(super) struct Update<'a, T: Table, W, D> {
    pub(super) table: &'a mut T,
    pub(super) wanted: W,
    pub(super) work: Work<T::Key, T::Value>,
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
        let writes: Vec<_> = self.work.writes.iter().map(|(key, _, operation)| (*key, *operation)).collect();
        let removals: Vec<_> = self.work.removals.iter().map(|key| (*key, Operation::Remove)).collect();
        let mut told = self.told(&writes);
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
            let (keys, values): (Vec<_>, Vec<_>) =
                entries.iter().map(|(key, value, _)| (*key, *value)).unzip();
            let errors = self.table.write(&keys, &values);
            refused.extend(errors.into_iter().map(|(at, error)| (chunk * CHUNK + at, error)));
        }
        let mut undone = Work { writes: Vec::new(), removals: Vec::new() };
        undone.writes = refused.iter().filter_map(|(at, _)| writes.get(*at).copied()).collect();
        self.wanted.put_back(undone);
        let work: Vec<_> = writes.into_iter().map(|(key, _, operation)| (key, operation)).collect();
        self.finish(&work, refused, report);
    }

    fn remove(&mut self, report: &mut Report) {
        let keys = std::mem::take(&mut self.work.removals);
        let refused = self.table.remove(&keys);
        let removals = refused.iter().filter_map(|(at, _)| keys.get(*at).copied()).collect();
        self.wanted.put_back(Work { writes: Vec::new(), removals });
        let work: Vec<_> = keys.into_iter().map(|key| (key, Operation::Remove)).collect();
        self.finish(&work, refused, report);
    }
}

impl<T, W, D> Update<'_, T, W, D>
where
    T: Table,
    W: Wanted<T::Key, T::Value>,
    D: Fn(&T::Key) -> String,
{
    /// Tells what was done and what was not.
    fn finish(&self, work: &[(T::Key, Operation)], refused: Vec<Refused>, report: &mut Report) {
        let failed = refused.len();
        for (at, error) in refused.iter().take(FAILURES_TOLD) {
            if let Some((key, operation)) = work.get(*at) {
                let object = self.change(*operation, key).object();
                report.failures.push(Failure::new(object, chain(error)));
            }
        }
        if failed > FAILURES_TOLD {
            let object = format!("map {}", self.table.name());
            let more = failed - FAILURES_TOLD;
            report.failures.push(Failure::new(object, format!("{more} more entries failed likewise")));
        }
        if failed == 0 {
            report.changes.extend(self.told(work));
            return;
        }
        let refused: BTreeSet<usize> = refused.into_iter().map(|(at, _)| at).collect();
        let done = work.iter().enumerate().filter(|(at, _)| !refused.contains(at));
        report.changes.extend(self.told(&done.map(|(_, work)| *work).collect::<Vec<_>>()));
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
