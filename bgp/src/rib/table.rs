//! All routes: a slab in chunks, so that it grows without a copy, and an index from key to slot.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::attributes::Shared;
use super::key::{Key, Payload};
use crate::peer::PeerId;

/// One way to a destination, from one peer.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) shared: SharedRef,
    pub(super) payload: Payload,
    pub(super) peer: PeerId,
    /// 0 where the peer sends none.
    pub(super) path_id: u32,
    pub(super) flags: Flags,
    /// The round of refresh in which it came.
    pub(super) round: u8,
}

/// One that comes again in another round is the same: nobody has to be told of it.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        let Self { shared, payload, peer, path_id, flags, round: _ } = self;
        (shared, payload, peer, path_id, flags)
            == (&other.shared, &other.payload, &other.peer, &other.path_id, &other.flags)
    }
}

impl Eq for Path {}

/// Shared attributes, equal if they are the same: they are interned.
#[derive(Debug, Clone)]
pub(super) struct SharedRef(pub(super) Arc<Shared>);

impl PartialEq for SharedRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedRef {}

/// What is special about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// The peer restarts and has not announced it again yet (RFC 4724).
    pub(super) stale: bool,
    /// The peer is gone for long (RFC 9494).
    pub(super) long_lived: bool,
    /// Not to be used: a loop, a leak, or the import policy says so.
    pub(super) rejected: bool,
}

/// The paths of a route: nearly always one.
#[derive(Debug)]
pub(super) enum Paths {
    None,
    One(Path),
    Many(Vec<Path>),
}

/// A route with all its paths.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The best first, then those that are as good, then the others.
    pub(super) paths: Paths,
    /// How many paths are the best or as good.
    pub(super) best: u8,
    /// Where in the log its last change stands.
    pub(super) changed: u64,
}

impl Paths {
    pub(super) fn as_slice(&self) -> &[Path] {
        match self {
            Self::None => &[],
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Path] {
        match self {
            Self::None => &mut [],
            Self::One(path) => std::slice::from_mut(path),
            Self::Many(paths) => paths,
        }
    }

    pub(super) fn push(&mut self, path: Path) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(path),
            Self::One(first) => Self::Many(vec![first, path]),
            Self::Many(mut paths) => {
                paths.push(path);
                Self::Many(paths)
            }
        };
    }

    /// Takes out the first path that `wanted` says.
    pub(super) fn remove(&mut self, wanted: impl Fn(&Path) -> bool) -> Option<Path> {
        let at = self.as_slice().iter().position(wanted)?;
        let (removed, left) = match std::mem::replace(self, Self::None) {
            Self::None => return None,
            Self::One(path) => (path, Self::None),
            Self::Many(mut paths) => {
                let removed = paths.remove(at);
                let left = match paths.len() {
                    1 => paths.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(paths),
                };
                (removed, left)
            }
        };
        *self = left;
        Some(removed)
    }
}

impl Entry {
    /// The best path and those as good.
    pub(super) fn best(&self) -> &[Path] {
        self.paths.as_slice().get(..usize::from(self.best)).unwrap_or_default()
    }
}

const CHUNK: usize = 4096;

/// All routes.
#[derive(Debug, Default)]
pub(super) struct Table {
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}

impl Table {
    /// Slots that were ever used: what a walk goes through.
    pub(super) fn slots(&self) -> u32 {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        let slots = full + self.chunks.last().map_or(0, Vec::len);
        u32::try_from(slots).expect("slots are given out as u32")
    }

    /// Routes, withdrawn ones that someone still has to be told of included.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk)?.get_mut(at)?.as_mut()
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&slot| self.get(slot).is_some_and(|entry| entry.key == *key)).copied()
    }

    /// The slot of `key`, made if there is none; `None` if there are 2^32 routes.
    pub(super) fn find_or_insert(&mut self, key: Key) -> Option<u32> {
        let hash = self.hasher.hash_one(&key);
        let chunks = &self.chunks;
        let held = |slot: u32| {
            let (chunk, at) = place(slot);
            chunks.get(chunk)?.get(at)?.as_ref()
        };
        if let Some(&slot) = self.index.find(hash, |&slot| held(slot).is_some_and(|entry| entry.key == key)) {
            return Some(slot);
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow()?,
        };
        let (chunk, at) = place(slot);
        self.chunks[chunk][at] = Some(Entry { key, paths: Paths::None, best: 0, changed: 0 });
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        self.index.insert_unique(hash, slot, |&slot| {
            let (chunk, at) = place(slot);
            chunks[chunk][at].as_ref().map_or(0, |entry| hasher.hash_one(&entry.key))
        });
        Some(slot)
    }

    /// A new slot at the end.
    fn grow(&mut self) -> Option<u32> {
        let full = self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK);
        let chunks = self.chunks.len() - usize::from(!full);
        let used = if full { 0 } else { self.chunks.last().map_or(0, Vec::len) };
        let slot = u32::try_from(chunks * CHUNK + used).ok().filter(|slot| *slot < u32::MAX)?;
        if full {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(None);
        Some(slot)
    }

    /// Forgets a route without paths.
    pub(super) fn free(&mut self, slot: u32) {
        let (chunk, at) = place(slot);
        let Some(entry) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(at)?.take()) else {
            return;
        };
        let hash = self.hasher.hash_one(&entry.key);
        if let Ok(found) = self.index.find_entry(hash, |&held| held == slot) {
            found.remove();
        }
        self.free.push(slot);
    }

    /// All routes, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten().flatten()
    }
}
