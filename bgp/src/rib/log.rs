//! What changed, in order, for consumers that each read at their own pace.
//!
//! A change says which slot, not what: a consumer sees the route as it is now. A slot that changes again gets a new
//! item, and its older ones count no more, so that changes coalesce. Whoever joins late walks the table first, then
//! reads the log from where it was when the walk began. A removed route keeps its slot until all have seen it.

use std::collections::VecDeque;

use super::families::Families;
use super::table::{Paths, Table};
use crate::wire::Family;

/// Items beyond one for each route before those that count no more are thrown out.
const SLACK: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Item {
    at: u64,
    slot: u32,
}

/// What changed.
#[derive(Debug, Default)]
pub(super) struct Log {
    items: VecDeque<Item>,
    next: u64,
}

/// How far a consumer has read.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    at: u64,
    walk: Option<Walk>,
    /// Families whose first walk is over once the log is read up to here.
    pub(super) complete: Option<(u64, Families)>,
}

/// A walk through the table.
#[derive(Debug, Clone, Copy)]
struct Walk {
    next: u32,
    families: Families,
    again: bool,
    first: Families,
}

/// A route to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) slot: u32,
    /// It is announced even if nothing changed.
    pub(super) again: bool,
}

impl Log {
    /// Notes that the route in `slot` changed.
    pub(super) fn note(&mut self, slot: u32, table: &mut Table) {
        if let Some(entry) = table.get_mut(slot) {
            entry.changed = self.next;
            self.items.push_back(Item { at: self.next, slot });
            self.next += 1;
        }
        if self.items.len() > 2 * table.len() + SLACK {
            self.items.retain(|item| table.get(item.slot).is_some_and(|entry| entry.changed == item.at));
        }
    }

    /// A consumer that has seen nothing of `families`.
    pub(super) fn join(&self, families: Families) -> Cursor {
        let mut cursor = Cursor { at: self.next, walk: None, complete: None };
        cursor.walk(families, false, families);
        cursor
    }

    /// The next route that the consumer has to look at.
    pub(super) fn next(&self, cursor: &mut Cursor, table: &Table) -> Option<Change> {
        if let Some(walk) = &mut cursor.walk {
            while walk.next < table.slots() {
                let slot = walk.next;
                walk.next += 1;
                // What changed since comes with the log, once.
                let wanted = table
                    .get(slot)
                    .is_some_and(|entry| walk.families.has(entry.key.family()) && entry.changed < cursor.at);
                if wanted {
                    return Some(Change { slot, again: walk.again });
                }
            }
            let first = walk.first.with_all(cursor.complete.map_or(Families::NONE, |(_, families)| families));
            cursor.complete = (!first.is_empty()).then_some((self.next, first));
            cursor.walk = None;
        }
        let mut index = self.position(cursor.at);
        while let Some(item) = self.items.get(index) {
            cursor.at = item.at + 1;
            index += 1;
            if table.get(item.slot).is_some_and(|entry| entry.changed == item.at) {
                return Some(Change { slot: item.slot, again: true });
            }
        }
        cursor.at = self.next;
        None
    }

    /// The index of the first item at or behind `at`. Nearly always the items have no holes.
    fn position(&self, at: u64) -> usize {
        let Some(first) = self.items.front() else { return 0 };
        let guess = usize::try_from(at.saturating_sub(first.at)).unwrap_or(usize::MAX);
        match self.items.get(guess) {
            Some(item) if item.at == at => guess,
            Some(_) | None => self.items.partition_point(|item| item.at < at),
        }
    }

    /// Drops what all consumers have seen, and frees the routes that are gone.
    pub(super) fn trim<'a>(&mut self, cursors: impl Iterator<Item = &'a Cursor>, table: &mut Table) {
        let seen = cursors.map(|cursor| cursor.at).min().unwrap_or(self.next);
        while let Some(item) = self.items.front().filter(|item| item.at < seen) {
            let gone = table
                .get(item.slot)
                .is_some_and(|entry| entry.changed == item.at && matches!(entry.paths, Paths::None));
            if gone {
                table.free(item.slot);
            }
            self.items.pop_front();
        }
    }

    /// How many items wait for a consumer.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

impl Cursor {
    /// Looks at all routes of `families` once more; those of `first` are complete then.
    pub(super) fn walk(&mut self, families: Families, again: bool, first: Families) {
        let (families, again, first) = match self.walk {
            Some(walk) => (walk.families.with_all(families), walk.again || again, walk.first.with_all(first)),
            None => (families, again, first),
        };
        self.walk = Some(Walk { next: 0, families, again, first });
    }

    /// Whether the family is told, but not yet to its end.
    pub(super) fn is_incomplete(&self, family: Family) -> bool {
        let walked = self.walk.is_some_and(|walk| walk.first.has(family));
        walked || self.complete.is_some_and(|(_, families)| families.has(family))
    }

    /// The families that are complete now; each is told once.
    pub(super) fn take_complete(&mut self) -> Families {
        if self.walk.is_some() {
            return Families::NONE;
        }
        match self.complete {
            Some((at, families)) if self.at >= at => {
                self.complete = None;
                families
            }
            Some(_) | None => Families::NONE,
        }
    }
}
