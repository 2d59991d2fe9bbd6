//! Writes the entries of policies, in the order in which their changes were planned, and removes those of numbers that
//! nobody has any more.

use std::collections::BTreeMap;
use std::mem::discriminant;

use weft_dataplane_abi::{PolicyClass, PolicyRule, maps};
use weft_policy::Change as Step;

use crate::bpf::{Maps, Refused, Table, grace_period};
use crate::change::{Change, Operation};
use crate::error::chain;
use crate::plan::{self, PolicyKeys, identity_key, prefix_key, service_key};
use crate::{Failure, Report};

/// Makes the changes of all steps: of each those up to its first wait, then, after one wait for all, those up to the
/// second, and so on. Returns the numbers of which an entry was refused, and why; of those no more is written.
pub(crate) fn fill_in(maps: &mut Maps, steps: &[plan::Step]) -> BTreeMap<u32, String> {
    let mut refused = BTreeMap::new();
    let mut parts: Vec<_> =
        steps.iter().map(|step| (step.number, step.changes.split(|it| *it == Step::Wait))).collect();
    let mut is_first = true;
    loop {
        parts.retain(|(number, _)| !refused.contains_key(number));
        let now: Vec<_> =
            parts.iter_mut().filter_map(|(number, rest)| Some((*number, rest.next()?))).collect();
        if now.is_empty() {
            return refused;
        }
        if !is_first {
            grace_period();
        }
        is_first = false;
        for (number, changes) in now {
            let alike = changes.chunk_by(|one, other| discriminant(one) == discriminant(other));
            if let Some(cause) = alike.filter_map(|run| make(maps, number, run)).next() {
                refused.insert(number, cause);
            }
        }
    }
}

/// Makes changes of one kind. Says why, if one was refused.
fn make(maps: &mut Maps, policy: u32, run: &[Step]) -> Option<String> {
    let (peers, identities, services) = (&mut maps.peers, &mut maps.identities, &mut maps.services);
    match run.first()? {
        Step::SetService(..) => write(services, run, |change| {
            let Step::SetService(key, best) = change else { return None };
            let key = service_key(policy, *key);
            Some((key, PolicyRule::new(&key.service, best.bits())))
        }),
        Step::SetPeer(..) => write(peers, run, |change| {
            let Step::SetPeer(prefix, class) = change else { return None };
            Some((prefix_key(policy, *prefix), PolicyClass::new(policy, class.0)))
        }),
        Step::SetIdentity(..) => write(identities, run, |change| {
            let Step::SetIdentity(identity, class) = change else { return None };
            Some((identity_key(policy, *identity), PolicyClass::new(policy, class.0)))
        }),
        Step::RemoveService(_) => remove(services, run, |change| {
            let Step::RemoveService(key) = change else { return None };
            Some(service_key(policy, *key))
        }),
        Step::RemovePeer(_) => remove(peers, run, |change| {
            let Step::RemovePeer(prefix) = change else { return None };
            Some(prefix_key(policy, *prefix))
        }),
        Step::RemoveIdentity(_) => remove(identities, run, |change| {
            let Step::RemoveIdentity(identity) = change else { return None };
            Some(identity_key(policy, *identity))
        }),
        // The default is the endpoint's.
        Step::SetDefault(_) | Step::Wait => None,
    }
}

fn write<T: Table>(
    table: &mut T,
    run: &[Step],
    entry: impl Fn(&Step) -> Option<(T::Key, T::Value)>,
) -> Option<String> {
    let (keys, values): (Vec<_>, Vec<_>) = run.iter().filter_map(entry).unzip();
    let refused = table.write(&keys, &values);
    why(table, &refused)
}

fn remove<T: Table>(table: &mut T, run: &[Step], key: impl Fn(&Step) -> Option<T::Key>) -> Option<String> {
    let keys: Vec<_> = run.iter().filter_map(key).collect();
    let refused = table.remove(&keys);
    why(table, &refused)
}

fn why(table: &impl Table, refused: &[Refused]) -> Option<String> {
    let (_, error) = refused.first()?;
    Some(format!("map {} refuses {} entries: {}", table.name(), refused.len(), chain(error)))
}

/// Removes the entries under numbers that nobody looks anything up under. Returns those of which one was refused.
pub(crate) fn remove_policies(
    maps: &mut Maps,
    gone: BTreeMap<u32, PolicyKeys>,
    report: &mut Report,
) -> BTreeMap<u32, PolicyKeys> {
    let mut left = BTreeMap::new();
    for (number, keys) in gone {
        let causes = [
            removed(&mut maps.peers, keys.peers.iter().copied(), report),
            removed(&mut maps.identities, keys.identities.iter().copied(), report),
            removed(&mut maps.services, keys.services.iter().copied(), report),
        ];
        if let Some(cause) = causes.into_iter().flatten().next() {
            report.failures.push(Failure::new(format!("policy {number}, which no port has"), cause));
            left.insert(number, keys);
        }
    }
    left
}

fn removed<T: Table>(
    table: &mut T,
    keys: impl Iterator<Item = T::Key>,
    report: &mut Report,
) -> Option<String> {
    let keys: Vec<_> = keys.collect();
    let refused = table.remove(&keys);
    count(&mut report.changes, table.name(), Operation::Remove, keys.len() - refused.len());
    why(table, &refused)
}

/// What steps change of the maps, in words.
pub(crate) fn told(steps: &[plan::Step]) -> Vec<Change> {
    let mut changes = Vec::new();
    for map in [maps::PEERS, maps::IDENTITIES, maps::SERVICES] {
        for operation in [Operation::Insert, Operation::Replace, Operation::Remove] {
            let of_step = |step: &plan::Step| {
                let is = |change: &&Step| effect(change, step.is_new) == Some((map, operation));
                step.changes.iter().filter(is).count()
            };
            count(&mut changes, map, operation, steps.iter().map(of_step).sum());
        }
    }
    changes
}

/// The map that a change is of, and what it does there; what is written under a number in use is told as replaced.
const fn effect(change: &Step, is_new: bool) -> Option<(&'static str, Operation)> {
    let write = if is_new { Operation::Insert } else { Operation::Replace };
    match change {
        Step::SetPeer(..) => Some((maps::PEERS, write)),
        Step::SetIdentity(..) => Some((maps::IDENTITIES, write)),
        Step::SetService(..) => Some((maps::SERVICES, write)),
        Step::RemovePeer(_) => Some((maps::PEERS, Operation::Remove)),
        Step::RemoveIdentity(_) => Some((maps::IDENTITIES, Operation::Remove)),
        Step::RemoveService(_) => Some((maps::SERVICES, Operation::Remove)),
        Step::SetDefault(_) | Step::Wait => None,
    }
}

fn count(changes: &mut Vec<Change>, map: &'static str, operation: Operation, count: usize) {
    changes.extend((count > 0).then_some(Change::Entries { map, operation, count }));
}
