//! What is so, and what of it the taker does not know yet: only the difference between what was taken and what is so is
//! given out, and what comes is given before what goes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use hashbrown::HashMap;

/// Values by key, with changes that wait.
#[derive(Debug)]
pub(super) struct Diff<K, V> {
    now: HashMap<K, V>,
    /// What the taker has for keys that differ from it.
    taken: BTreeMap<K, Option<V>>,
    /// Of those, the keys that have a value now.
    come: BTreeSet<K>,
}

impl<K, V> Default for Diff<K, V> {
    fn default() -> Self {
        Self { now: HashMap::new(), taken: BTreeMap::new(), come: BTreeSet::new() }
    }
}

impl<K: Ord + Hash + Clone, V: PartialEq + Clone> Diff<K, V> {
    /// What is so.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.now.get(key)
    }

    /// All that is so.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// From now on it is `value`, or nothing.
    pub(super) fn set(&mut self, key: &K, value: Option<V>) {
        let before = self.now.get(key);
        if before == value.as_ref() {
            return;
        }
        let taken = self.taken.entry(key.clone()).or_insert_with(|| before.cloned());
        if *taken == value {
            self.taken.remove(key);
            self.come.remove(key);
        } else if value.is_some() {
            self.come.insert(key.clone());
        } else {
            self.come.remove(key);
        }
        match value {
            Some(value) => self.now.insert(key.clone(), value),
            None => self.now.remove(key),
        };
    }

    /// The next change.
    pub(super) fn poll(&mut self) -> Option<(K, Option<V>)> {
        let key = match self.come.pop_first() {
            Some(key) => key,
            None => self.taken.first_key_value()?.0.clone(),
        };
        self.taken.remove(&key);
        let value = self.now.get(&key).cloned();
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(diff: &mut Diff<u8, char>) -> Vec<(u8, Option<char>)> {
        std::iter::from_fn(|| diff.poll()).collect()
    }

    #[test]
    fn only_differences_and_what_comes_first() {
        let mut diff = Diff::default();
        diff.set(&1, Some('a'));
        diff.set(&2, Some('b'));
        assert_eq!(all(&mut diff), [(1, Some('a')), (2, Some('b'))]);
        diff.set(&1, None);
        diff.set(&2, Some('c'));
        diff.set(&3, Some('d'));
        assert_eq!(all(&mut diff), [(2, Some('c')), (3, Some('d')), (1, None)]);
        diff.set(&2, Some('e'));
        diff.set(&2, Some('c'));
        diff.set(&4, Some('f'));
        diff.set(&4, None);
        diff.set(&3, None);
        diff.set(&3, Some('d'));
        assert_eq!(all(&mut diff), []);
    }
}
