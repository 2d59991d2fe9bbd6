//! What stands in the RIB, for operators and tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::attributes::Shared;
use super::families::{ALL, index};
use super::key::{Key, Payload};
use super::table::{Entry, Path};
use super::{OWN, PeerId, Rib, best, candidate};
use crate::wire::Family;

/// A path, to be looked at.
#[derive(Debug, Clone)]
pub struct PathView {
    /// From whom; `None` for the speaker's own.
    pub peer: Option<PeerId>,
    /// Its identifier; 0 without.
    pub path_id: u32,
    /// Attributes and next hop.
    pub shared: Arc<Shared>,
    /// Labels, segment, gateway.
    pub payload: Payload,
    /// The peer is gone or restarts.
    pub stale: bool,
    /// It has been gone for long (RFC 9494).
    pub long_lived: bool,
    /// A loop, a leak, or rejected by the import policy.
    pub rejected: bool,
}

impl PathView {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            peer: (path.peer != OWN).then_some(path.peer),
            path_id: path.path_id,
            shared: Arc::clone(&path.shared.0),
            payload: path.payload.clone(),
            stale: path.flags.stale,
            long_lived: path.flags.long_lived,
            rejected: path.flags.rejected,
        }
    }
}

/// A path, and why it is not the best.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The path.
    pub path: PathView,
    /// Where it lost; `None` for the best one. It says why as text.
    pub lost: Option<best::Step>,
}

/// How many routes of a family a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// That it announced.
    pub received: usize,
    /// Of these, those that are no loop or leak, and not rejected by its import policy.
    pub accepted: usize,
    /// Of these that it announced, those that are stale.
    pub stale: usize,
    /// That it was told.
    pub told: usize,
}

/// How long the stale routes of a peer stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Until then at the latest.
    pub until: Instant,
    /// As long-lived stale ones (RFC 9494), when that time has begun.
    pub long_lived: bool,
}

impl Rib {
    /// How many routes of each family each peer has. Looks at all of the table.
    #[must_use]
    pub fn tally(&self) -> BTreeMap<PeerId, BTreeMap<Family, Tally>> {
        let mut all: BTreeMap<PeerId, BTreeMap<Family, Tally>> = BTreeMap::new();
        let mut add = |peer: PeerId, family: Family, add: &dyn Fn(&mut Tally)| {
            add(all.entry(peer).or_default().entry(family).or_default());
        };
        let told: Vec<_> =
            self.neighbours.iter().filter_map(|(peer, of)| Some((*peer, of.out.as_ref()?))).collect();
        for slot in 0..self.table.slots() {
            let Some(entry) = self.table.get(slot) else { continue };
            let family = entry.key.family();
            for path in entry.paths.as_slice().iter().filter(|path| path.peer != OWN) {
                add(path.peer, family, &|tally| {
                    tally.received += 1;
                    tally.accepted += usize::from(!path.flags.rejected);
                    tally.stale += usize::from(path.flags.stale);
                });
            }
            for (peer, _) in told.iter().filter(|(_, out)| out.announced.get(slot)) {
                add(*peer, family, &|tally| tally.told += 1);
            }
        }
        all
    }

    /// How long the stale routes of a peer stay, if it has any that may.
    #[must_use]
    pub fn kept(&self, peer: PeerId) -> Option<Kept> {
        let timers = self.neighbours.get(&peer)?.timers.iter().map(super::stale::Timer::kept);
        timers.max_by_key(|kept| kept.until)
    }

    /// The paths of a route, the best first, and why the others are not.
    #[must_use]
    pub fn explain(&self, key: &Key) -> Vec<Explained> {
        let Some(entry) = self.table.find(key).and_then(|slot| self.table.get(slot)) else {
            return Vec::new();
        };
        let mobile = matches!(key, Key::MacIp { .. });
        let paths = entry.paths.as_slice();
        let candidates: Vec<_> = paths.iter().map(|path| candidate(path, mobile, &self.neighbours)).collect();
        let lost = best::select(&candidates);
        paths.iter().zip(lost).map(|(path, lost)| Explained { path: PathView::new(path), lost }).collect()
    }

    /// The routes in use, with their best paths.
    pub fn routes(&self) -> impl Iterator<Item = (&Key, Vec<PathView>)> {
        let used = self.table.iter().filter(|entry| entry.best > 0);
        used.map(|entry: &Entry| (&entry.key, entry.best().iter().map(PathView::new).collect()))
    }

    /// What `peer` announced, as far as it is kept.
    pub fn received(&self, peer: PeerId) -> impl Iterator<Item = (&Key, PathView)> {
        self.table.iter().flat_map(move |entry| {
            let paths = entry.paths.as_slice().iter().filter(move |path| path.peer == peer);
            paths.map(|path| (&entry.key, PathView::new(path)))
        })
    }

    /// What `peer` was told.
    pub fn told(&self, peer: PeerId) -> impl Iterator<Item = &Key> {
        let out = self.neighbours.get(&peer).and_then(|neighbour| neighbour.out.as_ref());
        out.into_iter().flat_map(|out| {
            (0..self.table.slots())
                .filter(|slot| out.announced.get(*slot))
                .filter_map(|slot| self.table.get(slot).map(|entry| &entry.key))
        })
    }

    /// Whether the peer is up, or something is kept of it.
    #[must_use]
    pub fn knows(&self, peer: PeerId) -> bool {
        self.neighbours.contains_key(&peer)
    }

    /// How many paths of `family` the peer has.
    #[must_use]
    pub fn held(&self, peer: PeerId, family: Family) -> usize {
        let held = self.neighbours.get(&peer).zip(index(family));
        held.map_or(0, |(neighbour, index): (_, usize)| {
            debug_assert!(index < ALL.len());
            neighbour.held.get(index).copied().unwrap_or(0)
        })
    }

    /// Routes in the table, sets of attributes that they share, and changes that some peer has not read yet.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.table.len(), self.interner.len(), self.log.len())
    }
}
