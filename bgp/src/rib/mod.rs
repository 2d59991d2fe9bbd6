//! The routing information base: what peers announced (adj-RIB-in), what is used of it (Loc-RIB), and what each peer
//! is told (adj-RIB-out). RFC 4271 section 3.2.
//!
//! One value, one owner, no I/O and no clock. A route stands once in a table with all its paths; adj-RIB-in and
//! Loc-RIB are views of it. Of adj-RIB-out only one bit for each route and peer is kept: whether it was announced.
//! What was announced is computed when it is needed.
//!
//! In: [`Rib::handle_up`], [`Rib::handle_update`], [`Rib::handle_end_of_rib`], [`Rib::handle_refresh`],
//! [`Rib::handle_down`], [`Rib::originate`], [`Rib::withdraw`], [`Rib::handle_timeout`]. Out:
//! [`Rib::poll_transmit`], [`Rib::poll_change`], [`Rib::next_deadline`].

mod attributes;
mod best;
mod export;
mod facts;
mod families;
mod import;
mod key;
mod log;
mod membership;
mod neighbour;
mod policy;
mod query;
mod receive;
mod refresh;
mod stale;
mod table;
mod transmit;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

pub(crate) use attributes::Digest;
use attributes::Interner;
pub use attributes::Shared;
use best::Candidate;
pub use best::Step;
pub use facts::{Facts, Local, NextHopPolicy, Retain, RetainFamily};
pub use key::{Key, Payload};
use log::{Cursor, Log};
pub use membership::Wanted;
use neighbour::Neighbour;
pub use policy::{Change, Match, Policy, Rule, Verdict};
pub use query::{Explained, Kept, PathView, Tally};
pub use receive::Outcome;
use stale::Sweep;
use table::{Entry, Path, Paths, SharedRef, Table};

use crate::peer::{PeerId, PeerKind};
use crate::wire::{Attributes, NextHop, Route, RouteTargetMembership};

/// Whom own routes are from.
const OWN: PeerId = PeerId(u32::MAX);

/// The routes of a speaker.
#[derive(Debug)]
pub struct Rib {
    local: Local,
    table: Table,
    interner: Interner,
    log: Log,
    neighbours: BTreeMap<PeerId, Neighbour>,
    /// How far the importer has read, once it asked.
    importer: Option<Cursor>,
    sweeps: VecDeque<Sweep>,
    now: Option<Instant>,
    /// Nothing is told but the own memberships.
    quiet: bool,
    /// The own memberships.
    wanted: BTreeSet<RouteTargetMembership>,
}

impl Rib {
    /// Without peers and routes.
    #[must_use]
    pub fn new(local: Local) -> Self {
        Self {
            local,
            table: Table::default(),
            interner: Interner::default(),
            log: Log::default(),
            neighbours: BTreeMap::new(),
            importer: None,
            sweeps: VecDeque::new(),
            now: None,
            quiet: false,
            wanted: BTreeSet::new(),
        }
    }

    /// Adds an own route, or changes it. Without a next hop, it leads to the speaker's address towards each peer.
    pub fn originate(&mut self, route: Route, attributes: Attributes, next_hop: Option<NextHop>) {
        let shared = self.interner.intern(attributes, next_hop.unwrap_or(export::OWN));
        let (key, payload) = Key::split(route);
        let flags = table::Flags::default();
        self.put(key, Path { shared: SharedRef(shared), payload, peer: OWN, path_id: 0, flags, round: 0 });
        self.trim();
    }

    /// Takes an own route back.
    pub fn withdraw(&mut self, key: &Key) {
        self.take(key, OWN, 0);
        self.trim();
    }

    /// A route whose best paths changed since the last call, with these paths: none if it is gone. The first call
    /// starts with all routes.
    pub fn poll_change(&mut self) -> Option<(Key, Vec<PathView>)> {
        let log = &self.log;
        let cursor = self.importer.get_or_insert_with(|| log.join(families::Families::EVERY));
        while let Some(change) = self.log.next(cursor, &self.table) {
            if let Some(entry) = self.table.get(change.slot) {
                let paths = entry.best().iter().map(PathView::new).collect();
                return Some((entry.key.clone(), paths));
            }
        }
        self.trim();
        None
    }

    /// Adds the path, or puts it in the place of the one with the same peer and identifier. Whether it is new.
    fn put(&mut self, key: Key, path: Path) -> bool {
        let Some(slot) = self.table.find_or_insert(key) else {
            self.interner.release(path.shared.0);
            return false;
        };
        let Some(entry) = self.table.get_mut(slot) else { return false };
        let before = entry.best().to_vec();
        let held = entry.paths.as_mut_slice();
        let replaced = held.iter_mut().find(|held| held.peer == path.peer && held.path_id == path.path_id);
        let new = replaced.is_none();
        match replaced {
            Some(held) => {
                let old = std::mem::replace(held, path);
                settle(entry, &self.neighbours);
                self.finish(slot, before);
                self.interner.release(old.shared.0);
            }
            None => {
                entry.paths.push(path);
                settle(entry, &self.neighbours);
                self.finish(slot, before);
            }
        }
        new
    }

    /// Removes a path. Whether there was one.
    fn take(&mut self, key: &Key, peer: PeerId, path_id: u32) -> bool {
        let Some(slot) = self.table.find(key) else { return false };
        self.take_from(slot, |path| path.peer == peer && path.path_id == path_id)
    }

    /// Removes the first path in `slot` that `wanted` says.
    fn take_from(&mut self, slot: u32, wanted: impl Fn(&Path) -> bool) -> bool {
        let Some(entry) = self.table.get_mut(slot) else { return false };
        let before = entry.best().to_vec();
        let Some(old) = entry.paths.remove(wanted) else { return false };
        settle(entry, &self.neighbours);
        // A slot is freed when its last change is seen by all.
        let gone = matches!(entry.paths, Paths::None);
        if gone || entry.best() != before {
            self.log.note(slot, &mut self.table);
        }
        drop(before);
        self.interner.release(old.shared.0);
        true
    }

    /// Notes the change if the best paths are others than before.
    fn finish(&mut self, slot: u32, before: Vec<Path>) {
        if self.table.get(slot).is_some_and(|entry| entry.best() != before) {
            self.log.note(slot, &mut self.table);
        }
    }

    /// Drops what all consumers have seen.
    fn trim(&mut self) {
        let cursors =
            self.neighbours.values().filter_map(|neighbour| neighbour.out.as_ref()).map(|out| &out.cursor);
        self.log.trim(cursors.chain(self.importer.as_ref()), &mut self.table);
    }
}

/// Orders the paths of a route anew: the best first, then those as good.
fn settle(entry: &mut Entry, neighbours: &BTreeMap<PeerId, Neighbour>) {
    let mobile = matches!(entry.key, Key::MacIp { .. });
    entry.best = match &mut entry.paths {
        Paths::None => 0,
        Paths::One(path) => u8::from(!path.flags.rejected),
        Paths::Many(paths) => {
            let candidates: Vec<_> = paths.iter().map(|path| candidate(path, mobile, neighbours)).collect();
            let lost = best::select(&candidates);
            let rank = |lost: &Option<Step>| match lost {
                None => 0,
                Some(step) if step.is_tie_break() => 1,
                Some(_) => 2,
            };
            let mut ranked: Vec<_> = lost.iter().map(rank).zip(candidates).zip(paths.drain(..)).collect();
            // Among equals by what they are, not by when they came.
            ranked.sort_by_key(|((rank, candidate), path)| {
                (*rank, candidate.router_id, candidate.address, path.path_id)
            });
            let good = ranked.iter().filter(|((rank, _), _)| *rank < 2).count();
            paths.extend(ranked.into_iter().map(|(_, path)| path));
            u8::try_from(good).unwrap_or(u8::MAX)
        }
    };
}

/// The path as best path selection sees it.
fn candidate(path: &Path, mobile: bool, neighbours: &BTreeMap<PeerId, Neighbour>) -> Candidate {
    let facts = neighbours.get(&path.peer).map(|neighbour| &neighbour.facts);
    let unspecified = std::net::Ipv4Addr::UNSPECIFIED;
    let digest = path.shared.0.digest;
    Candidate {
        usable: !path.flags.rejected,
        long_lived_stale: path.flags.long_lived || digest.long_lived_stale,
        mobile,
        digest,
        next_hop: path.shared.0.next_hop.address(),
        local: path.peer == OWN,
        external: facts.is_some_and(|facts| facts.kind == PeerKind::External),
        router_id: facts.map_or(unspecified, |facts| facts.router_id.get()),
        address: facts.map_or(unspecified.into(), |facts| facts.address),
        path_id: path.path_id,
    }
}
