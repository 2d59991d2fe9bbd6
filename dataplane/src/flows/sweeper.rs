//! Removes connections that are over, and says how many of those that were opened are: by that programs know how many
//! there are.
//!
//! It passes over the maps again and again, a part in each call, so that large ones take no more time than small ones. The
//! counts are exact without any book: what has been opened when a pass begins, less what the pass finds of it. What is
//! opened meanwhile is found only if it is new, and told apart by its age.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use aya::maps::MapError;
use weft_dataplane_abi::{Flow as Entry, FlowKey, FlowTimeouts, HalfOpenKey, Phase, PortSecurity, maps};

use super::{Flow, at, failed, now, path};
use crate::bpf::{EntryTable, FlowTallies, Generation, Table, Walk};
use crate::error::{ObserveError, chain};

/// How long a connection is left that is over: programs whose clock is behind may still be writing to it.
const LEFT: u32 = 2;
/// In the place of the interface index of a port.
const NOBODY: u32 = 0;
/// What a call may take, but for the batch that it is at.
const BUDGET: Duration = Duration::from_millis(40);

/// A port that has connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) name: String,
    /// Where its connections are counted.
    pub(crate) slot: u32,
    /// By which numbers they are judged, and where those of its tenant are counted.
    pub(crate) security: PortSecurity,
}

impl Counted {
    const fn indices(&self) -> [u32; 2] {
        [self.slot, self.security.tenant]
    }
}

/// The ports, by the interface index of their host end, and how long connections live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guarded {
    pub(crate) ports: BTreeMap<u32, Counted>,
    pub(crate) timeouts: FlowTimeouts,
}

/// Handles of its own on the maps, and how far it is.
pub(crate) struct Sweeper {
    flows: EntryTable<FlowKey, Entry>,
    half_open: EntryTable<FlowKey, Entry>,
    asked: EntryTable<HalfOpenKey, FlowKey>,
    tallies: FlowTallies,
    generation: Generation,
    pass: Option<Pass>,
    /// What was last said to be over, by index.
    told: BTreeMap<u32, u64>,
    /// Whether ports may have gone since a pass last began.
    departed: bool,
}

/// A walk over all maps.
struct Pass {
    begun: u32,
    /// What had been opened when it began, and what of it was found, by index.
    opened: BTreeMap<u32, (u64, u64)>,
    at: Stage,
    with_asked: bool,
}

/// Now.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Of the programs' clock.
    seconds: u32,
    /// Of what connections are judged by.
    generation: u32,
}

enum Stage {
    Flows(Walk<FlowKey, Entry>),
    HalfOpen(Walk<FlowKey, Entry>),
    Asked(Walk<HalfOpenKey, FlowKey>),
}

impl Sweeper {
    /// Opens the maps that are pinned in the pin folder `root`.
    pub(crate) fn open(root: &Path) -> Result<Self, ObserveError> {
        let path = |name: &str| path(root, name);
        Ok(Self {
            flows: at(&path(maps::FLOWS), maps::FLOWS)?,
            half_open: at(&path(maps::HALF_OPEN), maps::HALF_OPEN)?,
            asked: at(&path(maps::ASKED), maps::ASKED)?,
            tallies: FlowTallies::at(path).map_err(|error| failed(maps::FLOW_COUNTS, &error))?,
            generation: Generation::at(&path(maps::GENERATION))
                .map_err(|error| failed(maps::GENERATION, &error))?,
            pass: None,
            told: BTreeMap::new(),
            departed: true,
        })
    }

    /// There are other ports than before. Where one of them, or a tenant, is counted instead of another, the pass that goes on
    /// says nothing: it may have begun before what is there now.
    pub(crate) fn meet(&mut self, before: &Guarded, after: &Guarded) {
        for (index, _) in owners(before).symmetric_difference(&owners(after)) {
            self.told.remove(index);
            if let Some(pass) = &mut self.pass {
                pass.opened.remove(index);
            }
            self.departed = true;
        }
    }

    /// Goes on for a while, to the end of the pass at most. Returns the connections that ended.
    pub(crate) fn sweep(&mut self, guarded: &Guarded) -> Vec<Flow> {
        let mut ended = Vec::new();
        if let Err(error) = self.go_on(guarded, &mut ended) {
            tracing::warn!(error = chain(&error), "cannot look for connections that are over");
            self.pass = None;
        }
        ended
    }

    fn go_on(&mut self, guarded: &Guarded, ended: &mut Vec<Flow>) -> Result<(), MapError> {
        let start = Instant::now();
        let now = Moment { seconds: now(), generation: self.generation.read()? };
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.begin(guarded, now.seconds)?,
        };
        loop {
            let more = match &mut pass.at {
                Stage::Flows(walk) => {
                    let mut over = Vec::new();
                    let more = self.flows.step(walk, |key, entry| {
                        match fate(guarded, &key, &entry, now.seconds) {
                            Fate::Lives(port) => found(&mut pass.opened, port, &entry, pass.begun),
                            Fate::Over => over.push(key),
                        }
                    })?;
                    for (key, kept) in remove(&self.flows, guarded, over, false, now, ended)? {
                        if let Fate::Lives(port) = fate(guarded, &key, &kept, now.seconds) {
                            found(&mut pass.opened, port, &kept, pass.begun);
                        }
                    }
                    more
                }
                Stage::HalfOpen(walk) => {
                    let mut over = Vec::new();
                    let more = self.half_open.step(walk, |key, entry| {
                        if let Fate::Over = fate(guarded, &key, &entry, now.seconds) {
                            over.push(key);
                        }
                    })?;
                    remove(&self.half_open, guarded, over, true, now, ended)?;
                    more
                }
                Stage::Asked(walk) => {
                    let mut over = Vec::new();
                    let more = self.asked.step(walk, |key, _| {
                        if !guarded.ports.contains_key(&key.ifindex) {
                            over.push(key);
                        }
                    })?;
                    if let Some((_, error)) = self.asked.remove(&over).pop() {
                        return Err(MapError::IoError(error));
                    }
                    more
                }
            };
            if !more {
                pass.at = match pass.at {
                    Stage::Flows(_) => Stage::HalfOpen(Walk::new()),
                    Stage::HalfOpen(_) if pass.with_asked => Stage::Asked(Walk::new()),
                    Stage::HalfOpen(_) | Stage::Asked(_) => return self.end(&pass),
                };
            }
            if start.elapsed() >= BUDGET {
                self.pass = Some(pass);
                return Ok(());
            }
        }
    }

    fn begin(&mut self, guarded: &Guarded, now: u32) -> Result<Pass, MapError> {
        let mut opened = BTreeMap::new();
        for port in guarded.ports.values() {
            for index in port.indices() {
                opened.insert(index, (self.tallies.read(index)?.opened, 0));
            }
        }
        let with_asked = std::mem::take(&mut self.departed);
        Ok(Pass { begun: now, opened, at: Stage::Flows(Walk::new()), with_asked })
    }

    fn end(&mut self, pass: &Pass) -> Result<(), MapError> {
        for (index, (opened, live)) in &pass.opened {
            // Below zero, if the counts began anew while connections went on: programs reckon so too.
            let over = opened.wrapping_sub(*live);
            if self.told.insert(*index, over) != Some(over) {
                self.tallies.set_over(*index, over)?;
            }
        }
        Ok(())
    }
}

/// Whose each index is.
fn owners(guarded: &Guarded) -> BTreeSet<(u32, u32)> {
    let slots = guarded.ports.iter().map(|(ifindex, port)| (port.slot, *ifindex));
    let tenants = guarded.ports.values().map(|port| (port.security.tenant, NOBODY));
    slots.chain(tenants).collect()
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Fate<'a> {
    Lives(&'a Counted),
    Over,
}

fn fate<'a>(guarded: &'a Guarded, key: &FlowKey, entry: &Entry, now: u32) -> Fate<'a> {
    let Some(port) = guarded.ports.get(&key.ifindex) else { return Fate::Over };
    // Programs may be a moment ahead.
    let idle = now.wrapping_sub(entry.seen()).cast_signed();
    let life = guarded.timeouts.of(key.protocol, entry.phase()).saturating_add(LEFT);
    if u32::try_from(idle).is_ok_and(|idle| idle >= life) { Fate::Over } else { Fate::Lives(port) }
}

/// Counts a connection that was open when the pass began. One that is revoked has no part of a quota any more.
fn found(opened: &mut BTreeMap<u32, (u64, u64)>, port: &Counted, entry: &Entry, begun: u32) {
    if entry.since().wrapping_sub(begun).cast_signed() > 0 || entry.phase() == Phase::Revoked {
        return;
    }
    for index in port.indices() {
        if let Some((_, live)) = opened.get_mut(&index) {
            *live += 1;
        }
    }
}

/// Removes connections, unless they go on at that very moment: those are returned, and stay.
fn remove(
    table: &EntryTable<FlowKey, Entry>,
    guarded: &Guarded,
    over: Vec<FlowKey>,
    half_open: bool,
    now: Moment,
    ended: &mut Vec<Flow>,
) -> Result<Vec<(FlowKey, Entry)>, MapError> {
    let mut kept = Vec::new();
    for key in over {
        let Some(entry) = table.take(&key)? else { continue };
        if let Fate::Lives(_) = fate(guarded, &key, &entry, now.seconds) {
            table.put_absent(&key, &entry)?;
            kept.push((key, entry));
            continue;
        }
        let port = guarded.ports.get(&key.ifindex);
        let security = port.map(|port| &port.security).filter(|_| entry.generation() == now.generation);
        let name = port.map_or("", |port| &port.name);
        ended.push(Flow::of(&key, &entry, name, security, half_open, now.seconds));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use weft_dataplane_abi::{Judged, Side, Signal};

    use super::*;

    fn guarded() -> Guarded {
        let security = PortSecurity { tenant: 17, ..PortSecurity::default() };
        let port = Counted { name: "a".to_owned(), slot: 1, security };
        Guarded { ports: BTreeMap::from([(30, port)]), timeouts: FlowTimeouts::default() }
    }

    fn key(ifindex: u32) -> FlowKey {
        FlowKey::new(ifindex, (4, 17), ([1; 4], [0, 1]), ([2; 4], [0, 2]))
    }

    fn started(now: u32) -> Entry {
        let judged = Judged { generation: 1, rule: 0 };
        Entry::start(30, Signal::Request, Side::Own, now, judged).unwrap()
    }

    #[test]
    fn a_connection_is_left_for_a_while_when_it_is_over() {
        let guarded = guarded();
        let lives = |seen: u32, now| fate(&guarded, &key(30), &started(seen), now) != Fate::Over;
        // UDP that nobody answers, for 30 seconds.
        let table = [(100, 131, true), (100, 132, false), (100, 99, true), (u32::MAX - 1, 29, true)];
        for (seen, now, expected) in table {
            assert_eq!(lives(seen, now), expected, "{seen} {now}");
        }
        assert!(!lives(u32::MAX - 1, 30));
        assert_eq!(fate(&guarded, &key(31), &started(100), 100), Fate::Over, "its port has gone");
    }

    #[test]
    fn what_is_opened_during_a_pass_is_not_counted() {
        let guarded = guarded();
        let mut opened = BTreeMap::from([(1, (5, 0)), (17, (9, 0))]);
        for since in [99, 100, 101] {
            found(&mut opened, &guarded.ports[&30], &started(since), 100);
        }
        assert_eq!(opened, BTreeMap::from([(1, (5, 2)), (17, (9, 2))]));
        let mut revoked = started(99);
        revoked.revoke(100);
        found(&mut opened, &guarded.ports[&30], &revoked, 100);
        assert_eq!(opened[&1], (5, 2), "revoked");
    }

    /// In: a port goes, and another one of the same tenant has its slot, while a port of a second tenant comes. Out: neither
    /// the slot nor the new tenant is reckoned by the pass that goes on; the tenant that stays is.
    #[test]
    fn what_is_somebody_else_s_now_is_left_to_the_next_pass() {
        let counted = |slot, tenant| {
            let security = PortSecurity { tenant, ..PortSecurity::default() };
            Counted { name: String::new(), slot, security }
        };
        let with = |ports: &[(u32, Counted)]| Guarded { ports: ports.iter().cloned().collect(), ..guarded() };
        let before = owners(&with(&[(30, counted(1, 17)), (31, counted(2, 17))]));
        let after = owners(&with(&[(31, counted(2, 17)), (32, counted(1, 17)), (33, counted(3, 18))]));
        let changed: BTreeSet<u32> = before.symmetric_difference(&after).map(|(index, _)| *index).collect();
        assert_eq!(changed, BTreeSet::from([1, 3, 18]));
    }
}
