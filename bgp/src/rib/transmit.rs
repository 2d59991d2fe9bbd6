//! Adj-RIB-out: what changed for a peer, as UPDATEs packed full.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::attributes::Shared;
use super::export::{self, Source};
use super::families::{self, Families};
use super::membership::Memberships;
use super::neighbour::Neighbour;
use super::table::{Entry, Path};
use super::{Local, OWN, PeerId, Rib};
use crate::wire::{
    Attributes, Batch, Dialect, EncodeError, Family, Message, NextHop, RouteRefresh, RouteRefreshKind,
};

/// Routes looked at in one call, so that a call ends also where nothing is announced.
const MOST: usize = 65_536;

/// Identifies the one path of a route that is announced, where the peer wants identifiers.
const PATH_ID: u32 = 1;

impl Rib {
    /// Appends UPDATEs for `peer` to `out`, of about `budget` bytes. Whether there is more to send.
    pub fn poll_transmit(&mut self, peer: PeerId, budget: usize, out: &mut Vec<u8>) -> bool {
        // Out of the map meanwhile, so that the peers that routes came from can be looked at beside it.
        let Some(mut neighbour) = self.neighbours.remove(&peer) else { return false };
        let more = self.transmit(peer, &mut neighbour, budget, out);
        self.neighbours.insert(peer, neighbour);
        self.trim();
        more
    }

    fn transmit(&self, peer: PeerId, to: &mut Neighbour, budget: usize, out: &mut Vec<u8>) -> bool {
        let Some(mut told) = to.out.take() else { return false };
        let facts = &to.facts;
        mark(&facts.dialect, told.begin_answers(), RouteRefreshKind::Begin, out);
        let from = &self.neighbours;
        let mut pack = Pack::new(&facts.dialect, out);
        let mut export =
            Export { local: &self.local, peer, to, from, known: HashMap::new(), wanted: HashMap::new() };
        let (mut looked, mut more) = (0, false);
        loop {
            if looked >= MOST || pack.bytes() >= budget {
                more = true;
                break;
            }
            let Some(change) = self.log.next(&mut told.cursor, &self.table) else { break };
            looked += 1;
            let Some(entry) = self.table.get(change.slot) else { continue };
            let family = entry.key.family();
            if !told.open(family) {
                continue;
            }
            let before = told.announced.get(change.slot);
            let wants = told.families.has(Family::ROUTE_TARGETS) && family == Family::EVPN;
            let path = export.path(entry);
            let path = path.filter(|path| !wants || export.wanted(&told.memberships, path));
            let done = match path {
                Some(_) if before && !change.again => continue,
                Some(path) => {
                    let batch = export.batch(entry, path, &mut pack);
                    batch.is_some_and(|batch| pack.announce(batch, &entry.key.route(&path.payload)).is_ok())
                }
                None => false,
            };
            if !done && before {
                let payload = entry.paths.as_slice().first().map(|path| path.payload.clone());
                let route = entry.key.route(&payload.unwrap_or_default());
                let written = pack.withdraw(&route);
                debug_assert_eq!(written, Ok(()), "what was announced has a form on the wire");
            }
            if done != before {
                told.announced.set(change.slot, done);
            }
        }
        pack.finish();
        for family in told.cursor.take_complete().iter() {
            if told.end_answer(family) {
                mark(&facts.dialect, Families::of(&[family]), RouteRefreshKind::End, out);
            } else {
                let written = Message::EndOfRib(family).encode(&facts.dialect, out);
                debug_assert_eq!(written, Ok(()), "an End-of-RIB has a fixed length");
            }
        }
        more |= !told.asked.is_empty();
        to.out = Some(told);
        more
    }
}

/// Marks the beginning or the end of families that are told again.
fn mark(dialect: &Dialect, families: Families, kind: RouteRefreshKind, out: &mut Vec<u8>) {
    for family in families.iter() {
        let written = Message::RouteRefresh(RouteRefresh { family, kind }).encode(dialect, out);
        debug_assert_eq!(written, Ok(()), "a ROUTE-REFRESH has a fixed length");
    }
}

/// Which batch a route goes to: these settle what its attributes become.
type Origin = (*const Shared, PeerId, bool, Family);

/// Decides what the peer gets.
struct Export<'a> {
    local: &'a Local,
    peer: PeerId,
    to: &'a Neighbour,
    from: &'a BTreeMap<PeerId, Neighbour>,
    known: HashMap<Origin, Option<usize>>,
    wanted: HashMap<*const Shared, bool>,
}

impl Export<'_> {
    /// The path that the peer is told of, if it can be told of any: the best one, if it did not come from it. Of
    /// memberships, the best that did not: else the reflector would not ask a client for what other clients want
    /// (RFC 4684 section 3.2).
    fn path<'e>(&self, entry: &'e Entry) -> Option<&'e Path> {
        let best = entry.best().first()?;
        if best.peer != self.peer {
            return Some(best);
        }
        let usable = |path: &&Path| path.peer != self.peer && !path.flags.rejected;
        let membership = entry.key.family() == Family::ROUTE_TARGETS;
        entry.paths.as_slice().iter().find(|path| membership && usable(path))
    }

    /// Whether the peer asked for routes with the attributes of `path`.
    fn wanted(&mut self, memberships: &Memberships, path: &Path) -> bool {
        let shared = &path.shared.0;
        *self.wanted.entry(Arc::as_ptr(shared)).or_insert_with(|| memberships.want(&shared.attributes))
    }

    /// The batch of the path; `None` if the peer may not have it.
    fn batch(&mut self, entry: &Entry, path: &Path, pack: &mut Pack<'_>) -> Option<usize> {
        let family = entry.key.family();
        let origin = (Arc::as_ptr(&path.shared.0), path.peer, path.flags.long_lived, family);
        let alone = self.to.facts.export.depends_on_key();
        if !alone && let Some(known) = self.known.get(&origin) {
            return *known;
        }
        let batch = self
            .exported(entry, path)
            .and_then(|(attributes, next_hop)| pack.batch(family, attributes, next_hop).ok());
        if !alone {
            self.known.insert(origin, batch);
        }
        batch
    }

    fn exported(&self, entry: &Entry, path: &Path) -> Option<(Attributes, NextHop)> {
        let source = self.from.get(&path.peer).filter(|_| path.peer != OWN);
        let peer = source.map(|source| (source.facts.kind, source.facts.router_id));
        let source = Source { peer, long_lived: path.flags.long_lived };
        let (facts, family) = (&self.to.facts, entry.key.family());
        let (mut attributes, next_hop) = export::prepare(self.local, facts, source, family, &path.shared.0)?;
        facts.export.apply(&entry.key, &mut attributes).then_some((attributes, next_hop))
    }
}

/// Batches by what their routes share.
struct Pack<'a> {
    dialect: Dialect,
    out: &'a mut Vec<u8>,
    start: usize,
    batches: Vec<Batch>,
    known: HashMap<(Family, Attributes, NextHop), usize>,
    withdrawn: [Option<Batch>; families::ALL.len()],
    /// Bytes in the batches.
    waiting: usize,
}

impl<'a> Pack<'a> {
    fn new(dialect: &Dialect, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        let (batches, known) = (Vec::new(), HashMap::new());
        Self { dialect: *dialect, out, start, batches, known, withdrawn: Default::default(), waiting: 0 }
    }

    /// Written or about to be.
    fn bytes(&self) -> usize {
        self.out.len() - self.start + self.waiting
    }

    fn batch(
        &mut self,
        family: Family,
        attributes: Attributes,
        next_hop: NextHop,
    ) -> Result<usize, EncodeError> {
        let key = (family, attributes, next_hop);
        if let Some(&index) = self.known.get(&key) {
            return Ok(index);
        }
        let batch = Batch::announce(family, next_hop, &key.1, &self.dialect)?;
        self.batches.push(batch);
        let index = self.batches.len() - 1;
        self.known.insert(key, index);
        Ok(index)
    }

    fn announce(&mut self, batch: usize, route: &crate::wire::Route) -> Result<(), EncodeError> {
        let Some(batch) = self.batches.get_mut(batch) else { return Ok(()) };
        let before = batch.waiting();
        batch.push(PATH_ID, route, self.out)?;
        self.waiting = self.waiting + batch.waiting() - before;
        Ok(())
    }

    fn withdraw(&mut self, route: &crate::wire::Route) -> Result<(), EncodeError> {
        let family = route.family();
        let Some(place) = families::index(family).and_then(|index| self.withdrawn.get_mut(index)) else {
            return Ok(());
        };
        let batch = place.get_or_insert_with(|| Batch::withdraw(family, &self.dialect));
        let before = batch.waiting();
        batch.push(PATH_ID, route, self.out)?;
        self.waiting = self.waiting + batch.waiting() - before;
        Ok(())
    }

    /// Writes all that waits.
    fn finish(&mut self) {
        for batch in self.withdrawn.iter_mut().flatten().chain(&mut self.batches) {
            let written = batch.flush(self.out);
            debug_assert_eq!(written, Ok(()), "what was pushed fits");
        }
    }
}
