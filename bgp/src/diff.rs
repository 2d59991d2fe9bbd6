//! What is so, and what of it the taker does not know yet: only the difference between what was taken and what is so is
//! given out, in the order in which it came to be, and what comes before what goes.

use std::collections::VecDeque;
use std::hash::Hash;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Values by key, with changes that wait.
#[derive(Debug)]
pub(crate) struct Diff<K, V> {
    now: HashMap<K, V>,
    waiting: HashMap<K, Waiting<V>>,
    /// Keys that got a value: each once, and it may have gone since.
    come: VecDeque<K>,
    /// Keys that lost theirs: each once, and it may have come back.
    gone: VecDeque<K>,
}

/// A key that is in one of the queues.
#[derive(Debug)]
struct Waiting<V> {
    /// What the taker has.
    taken: Option<V>,
    comes: bool,
    goes: bool,
}

impl<K, V> Default for Diff<K, V> {
    fn default() -> Self {
        Self { now: HashMap::new(), waiting: HashMap::new(), come: VecDeque::new(), gone: VecDeque::new() }
    }
}

impl<K: Eq + Hash + Clone, V: PartialEq + Clone> Diff<K, V> {
    /// What is so.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.now.get(key)
    }

    /// All that is so.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// From now on it is `value`, or nothing.
    pub(crate) fn set(&mut self, key: &K, value: Option<V>) {
        let comes = value.is_some();
        let before = match (self.now.entry(key.clone()), value) {
            (Entry::Occupied(held), Some(value)) if *held.get() == value => return,
            (Entry::Occupied(mut held), Some(value)) => Some(held.insert(value)),
            (Entry::Occupied(held), None) => Some(held.remove()),
            (Entry::Vacant(free), Some(value)) => {
                free.insert(value);
                None
            }
            (Entry::Vacant(_), None) => return,
        };
        let waiting =
            self.waiting.entry(key.clone()).or_insert(Waiting { taken: before, comes: false, goes: false });
        let (queued, queue) =
            if comes { (&mut waiting.comes, &mut self.come) } else { (&mut waiting.goes, &mut self.gone) };
        if !std::mem::replace(queued, true) {
            queue.push_back(key.clone());
        }
    }

    /// The next change.
    pub(crate) fn poll(&mut self) -> Option<(K, Option<V>)> {
        while let Some(key) = self.come.pop_front() {
            if let Some(change) = self.take(key, true) {
                return Some(change);
            }
        }
        while let Some(key) = self.gone.pop_front() {
            if let Some(change) = self.take(key, false) {
                return Some(change);
            }
        }
        None
    }

    /// What there is to tell of a key from one of the queues.
    fn take(&mut self, key: K, comes: bool) -> Option<(K, Option<V>)> {
        let waiting = self.waiting.get_mut(&key)?;
        if comes {
            waiting.comes = false;
        } else {
            waiting.goes = false;
        }
        let now = self.now.get(&key);
        let told = (now.is_some() == comes && waiting.taken.as_ref() != now).then(|| now.cloned());
        if !waiting.comes && !waiting.goes {
            self.waiting.remove(&key);
        } else if let Some(told) = &told {
            waiting.taken.clone_from(told);
        }
        Some((key, told?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

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

    #[test]
    fn in_the_order_in_which_they_came() {
        let mut diff = Diff::default();
        for key in [3, 1, 2] {
            diff.set(&key, Some('a'));
        }
        diff.set(&1, None);
        diff.set(&3, Some('b'));
        assert_eq!(all(&mut diff), [(3, Some('b')), (2, Some('a'))]);
    }

    proptest! {
        /// However changes and questions follow each other: who takes all has what is so, and is told nothing twice.
        #[test]
        fn the_taker_has_what_is_so(steps in prop::collection::vec((0..4_u8, 0..4_u8), 0..64)) {
            let (mut diff, mut taker) = (Diff::default(), BTreeMap::new());
            let mut take = |diff: &mut Diff<u8, u8>, most: usize| {
                for (key, value) in std::iter::from_fn(|| diff.poll()).take(most) {
                    let before = match value {
                        Some(value) => taker.insert(key, value),
                        None => taker.remove(&key),
                    };
                    assert_ne!(before, value, "{key}");
                }
                taker.clone()
            };
            for (key, value) in steps {
                match value {
                    0 => diff.set(&key, None),
                    3 => drop(take(&mut diff, 1)),
                    value => diff.set(&key, Some(value)),
                }
            }
            let taken = take(&mut diff, usize::MAX);
            prop_assert_eq!(taken, diff.iter().map(|(key, value)| (*key, *value)).collect());
            prop_assert!(diff.waiting.is_empty() && diff.come.is_empty() && diff.gone.is_empty());
        }
    }
}
