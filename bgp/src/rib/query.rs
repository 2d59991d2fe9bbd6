//! What stands in the RIB, for operators and tests.

use std::sync::Arc;

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

impl Rib {
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
