//! The difference between two maps.

use std::collections::BTreeMap;

use crate::change::Operation;
use crate::plan::Work;

/// What makes one map another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MapDiff<K, V> {
    /// Entries to write, and keys to remove.
    pub(crate) work: Work<K, V>,
    /// How many entries there would be if all writes came before all removals.
    pub(crate) peak: usize,
}

impl<K: Copy + Ord, V: Copy + Eq> MapDiff<K, V> {
    /// What turns `old` into `new`.
    pub(crate) fn new(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        let writes: Vec<_> = new
            .iter()
            .filter_map(|(key, value)| match old.get(key) {
                None => Some((*key, *value, Operation::Insert)),
                Some(held) if held != value => Some((*key, *value, Operation::Replace)),
                Some(_) => None,
            })
            .collect();
        let inserts = writes.iter().filter(|(.., operation)| *operation == Operation::Insert).count();
        let removals = old.keys().filter(|key| !new.contains_key(key)).copied().collect();
        Self { peak: old.len() + inserts, work: Work { writes, removals } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_replaces_and_removes() {
        let old = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let new = BTreeMap::from([(2, 'b'), (3, 'x'), (4, 'd')]);
        let writes = vec![(3, 'x', Operation::Replace), (4, 'd', Operation::Insert)];
        let expected = MapDiff { work: Work { writes, removals: vec![1] }, peak: 4 };
        assert_eq!(MapDiff::new(&old, &new), expected);
    }

    #[test]
    fn equal_maps_differ_in_nothing() {
        let map = BTreeMap::from([(1, 'a')]);
        let nothing = Work { writes: vec![], removals: vec![] };
        assert_eq!(MapDiff::new(&map, &map), MapDiff { work: nothing, peak: 1 });
    }
}
