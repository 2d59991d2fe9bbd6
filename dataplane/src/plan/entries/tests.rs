use std::convert::Infallible;

use super::*;

impl<K> Source<K> for char {
    type Value = Self;

    fn value(&self, _: &K) -> Self {
        *self
    }
}

fn audited(held: &[(u32, char)], wanted: &[(u32, char)]) -> Entries<u32, char> {
    let mut entries = Entries::new();
    for (key, value) in wanted {
        entries.set(*key, Some(*value));
    }
    read(&mut entries, held);
    entries
}

fn read(entries: &mut Entries<u32, char>, held: &[(u32, char)]) {
    let each = |each: &mut dyn FnMut(u32, char)| {
        held.iter().for_each(|(key, value)| each(*key, *value));
        Ok::<_, Infallible>(())
    };
    entries.audit(each).unwrap();
}

fn work(writes: &[(u32, char, Operation)], removals: &[u32]) -> Work<u32, char> {
    Work { writes: writes.to_vec(), removals: removals.to_vec() }
}

#[test]
fn an_audit_finds_what_differs() {
    let mut entries = audited(&[(1, 'a'), (2, 'x'), (9, 'z')], &[(1, 'a'), (2, 'b'), (3, 'c')]);
    assert_eq!(entries.take_work(), work(&[(2, 'b', Operation::Replace), (3, 'c', Operation::Insert)], &[9]));
    assert_eq!(entries.take_work(), work(&[], &[]), "it counts as done");
    // Somebody removed 3 and changed 1 meanwhile.
    read(&mut entries, &[(1, 'y'), (2, 'b')]);
    assert_eq!(entries.take_work(), work(&[(1, 'a', Operation::Replace), (3, 'c', Operation::Insert)], &[]));
}

#[test]
fn only_what_changed_is_work() {
    let held = [(1, 'a'), (2, 'b'), (3, 'c')];
    let mut entries = audited(&held, &held);
    entries.set(3, None);
    entries.set(2, Some('B'));
    entries.set(1, Some('a'));
    entries.set(5, Some('e'));
    entries.set(4, Some('d'));
    entries.set(5, None);
    assert_eq!(entries.take_work(), work(&[(2, 'B', Operation::Replace), (4, 'd', Operation::Insert)], &[3]));
}

#[test]
fn what_failed_is_work_again_as_it_is_wanted_by_then() {
    let mut entries = audited(&[(1, 'a')], &[(1, 'a')]);
    entries.set(1, None);
    entries.set(2, Some('b'));
    entries.set(3, Some('c'));
    let undone = entries.take_work();
    entries.set(1, Some('A'));
    entries.set(3, None);
    entries.put_back(undone);
    assert_eq!(entries.take_work(), work(&[(1, 'A', Operation::Replace), (2, 'b', Operation::Insert)], &[]));
}

#[test]
fn routes_win_over_this_hosts_own_entries_as_long_as_they_are_there() {
    let mut entries = audited(&[(1, 'r')], &[(1, 'r')]);
    entries.set_local(&BTreeMap::from([(1, 'l'), (2, 'm')]));
    assert_eq!((entries.get(&1), entries.len()), (Some('r'), 2));
    entries.set(1, Some('s'));
    assert_eq!(entries.take_work(), work(&[(1, 's', Operation::Replace), (2, 'm', Operation::Insert)], &[]));
    entries.set(1, None);
    assert_eq!(entries.get(&1), Some('l'));
    assert_eq!(entries.take_work(), work(&[(1, 'l', Operation::Replace)], &[]));
    entries.set_local(&BTreeMap::new());
    assert_eq!(entries.take_work(), work(&[], &[1, 2]));
}

#[test]
fn a_mark_is_come_back_to() {
    let mut entries = audited(&[], &[(1, 'a')]);
    let mark = entries.mark();
    entries.set_local(&BTreeMap::from([(2, 'b')]));
    entries.take_work();
    entries.back_to(mark);
    assert_eq!((entries.get(&2), entries.take_work()), (None, work(&[(1, 'a', Operation::Insert)], &[])));
}

#[test]
fn the_greatest_claim_wins_whatever_the_order() {
    // Claims of a, a, b and c, in any order, and released in any order.
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
    let values = ['a', 'a', 'b', 'c'];
    for claimed in orders {
        for released in orders {
            let mut claims: Claims<u32, char> = Claims::new();
            let mut held = Vec::new();
            for value in claimed.map(|at| values[at]) {
                claims.claim(7, value);
                held.push(value);
                assert_eq!(claims.entries.get(&7), held.iter().max().copied(), "{claimed:?}");
            }
            for value in released.map(|at| values[at]) {
                claims.release(7, value);
                held.remove(held.iter().position(|held| *held == value).unwrap());
                assert_eq!(claims.entries.get(&7), held.iter().max().copied(), "{claimed:?} {released:?}");
            }
            assert!(claims.rivals.is_empty());
        }
    }
}
