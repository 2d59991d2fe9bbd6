//! Whether the maps hold what they should: somebody else may have written to them. Reading a million entries takes most
//! of a second, so small maps are read at each reconciliation, and the large ones one at a time, in turn.

use std::time::{Duration, Instant};

use super::Kernel;
use crate::Failure;
use crate::apply::unread;
use crate::bpf::Table;
use crate::plan::{Entries, Source};

/// A map with more entries waits for its turn.
const SMALL: usize = 1 << 14;

/// At most one large map in this time: a little less than the daemon's pause between reconciliations. So there are at
/// most four such pauses from a foreign change to its repair.
const PAUSE: Duration = Duration::from_secs(25);

/// How many maps take turns.
const MAPS: usize = 5;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: usize,
    last: Option<Instant>,
}

impl Turns {
    /// Which of the maps, by which of them are large, is read now.
    fn take(&mut self, now: Instant, large: [bool; MAPS]) -> Option<usize> {
        if self.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return None;
        }
        let due = (self.next..MAPS).chain(0..self.next).find(|map| large.get(*map) == Some(&true))?;
        *self = Self { next: (due + 1) % MAPS, last: Some(now) };
        Some(due)
    }
}

impl Kernel {
    /// Reads the maps whose turn it is, and those that were never read. Those that cannot be read are returned.
    pub(super) fn audit(&mut self) -> Vec<Failure> {
        let (routes, maps) = (&mut self.routes, &self.maps);
        let large = [
            routes.hosts.len() > SMALL,
            routes.prefixes.len() > SMALL,
            routes.fdb.entries.len() > SMALL,
            routes.vtep_vnis.entries.len() > SMALL,
            routes.paths.entries.len() > SMALL,
        ];
        let due = self.turns.take(Instant::now(), large);
        let skip = |map: usize| large.get(map) == Some(&true) && due != Some(map);
        let results = [
            audit(&mut routes.hosts, &maps.hosts, skip(0)),
            audit(&mut routes.prefixes, &maps.prefixes, skip(1)),
            audit(&mut routes.fdb.entries, &maps.fdb, skip(2)),
            audit(&mut routes.vtep_vnis.entries, &maps.vtep_vnis, skip(3)),
            audit(&mut routes.paths.entries, &maps.paths, skip(4)),
        ];
        results.into_iter().filter_map(Result::err).collect()
    }
}

fn audit<T, S>(entries: &mut Entries<T::Key, S>, table: &T, skip: bool) -> Result<(), Failure>
where
    T: Table,
    S: Source<T::Key, Value = T::Value>,
{
    if skip && !entries.is_unknown() {
        return Ok(());
    }
    entries.audit(|each| table.for_each(each)).map_err(|error| unread(table.name(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_take_turns() {
        let (mut turns, start) = (Turns::default(), Instant::now());
        let mut at = |pauses, large| turns.take(start + PAUSE * pauses, large);
        assert_eq!(at(0, [false; MAPS]), None);
        assert_eq!(at(0, [true, false, true, false, false]), Some(0));
        assert_eq!(at(0, [true, false, true, false, false]), None, "one at a time");
        assert_eq!(at(1, [true, false, true, false, false]), Some(2));
        assert_eq!(at(2, [true, false, true, false, false]), Some(0));
        assert_eq!(at(3, [true, false, false, false, false]), Some(0));
    }
}
