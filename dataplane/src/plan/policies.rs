//! Numbers of policies: which of them the endpoints name, what the maps hold under each, and the way from one state to the
//! next. Pure.
//!
//! All ports with one policy share its number. A policy whose ports all go over to another one hands its number on, and
//! its entries change one by one; any other new policy is filled under a number that nobody looks anything up under yet,
//! and the old one's entries go when the endpoints have switched. A number is not given out twice while a daemon runs,
//! and none that the kernel holds anything under when it starts.

mod distinct;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashSet;
use ipnet::IpNet;
use weft_dataplane_abi::{IdentityKey, IpKey, RuleKey, ServiceKey, peer_key};
use weft_policy::{Change, GroupId, Identity, Peer, Rule, Size, Tables};

use super::identities::Identities;
use crate::DecidedBy;
use crate::bpf::{PrefixKey, ServicePrefixKey};
use crate::desired::Security;

pub(crate) use plan::{PolicyPlan, Step, Unfit};

/// Number of the policy without rules.
const NONE: u32 = 0;

/// What the maps hold.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    compiled: BTreeMap<u32, Compiled>,
    /// What was there before, or is half made: of it nothing is known but its keys.
    strangers: BTreeMap<u32, PolicyKeys>,
    /// The ports that have each number.
    users: BTreeMap<u32, Vec<String>>,
    /// Entries that each table may have.
    limit: usize,
    /// The highest number that was ever given out.
    last: u32,
    /// What was compiled to see whether it fits, and is made next.
    prepared: Vec<Prepared>,
}

/// A policy that was compiled before its ports are to have it.
#[derive(Debug)]
struct Prepared {
    /// Whose number it gets.
    heir: Option<u32>,
    /// Of which sets of groups it knows.
    version: (u32, usize),
    tables: Tables,
    changes: Vec<Change>,
}

/// A policy under its number.
#[derive(Debug, Clone)]
struct Compiled {
    tables: Tables,
    /// The groups that its rules name.
    groups: HashSet<GroupId>,
    /// It could not be made to know all sets of groups.
    behind: bool,
}

/// Keys of one policy's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PolicyKeys {
    pub(crate) peers: BTreeSet<PrefixKey>,
    pub(crate) identities: BTreeSet<IdentityKey>,
    pub(crate) services: BTreeSet<ServicePrefixKey>,
}

/// What nobody names any more.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// By the number of the policy.
    pub(crate) gone: BTreeMap<u32, PolicyKeys>,
    /// What these numbers stood for, as far as that is known.
    pub(crate) tables: BTreeMap<u32, Tables>,
    /// Rules that went from policies that stay.
    pub(crate) retired: Vec<(RuleKey, DecidedBy)>,
}

/// A port that has a host end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardedPort<'a> {
    pub(crate) name: &'a str,
    pub(crate) ifindex: u32,
    pub(crate) security: &'a Security,
}

impl Policies {
    /// Of maps that hold `found`, and endpoints that name `named`, with room for so many entries in each table.
    pub(crate) fn found(
        found: BTreeMap<u32, PolicyKeys>,
        named: impl IntoIterator<Item = u32>,
        limit: usize,
    ) -> Self {
        let last = found.keys().copied().chain(named).max().unwrap_or(NONE);
        Self { strangers: found, limit, last, ..Self::default() }
    }

    /// What a number stands for, if this data plane compiled it.
    pub(crate) fn tables(&self, number: u32) -> Option<&Tables> {
        Some(&self.compiled.get(&number)?.tables)
    }

    /// A plan that is to be made next, if nothing comes in between. Returns what of it does not fit.
    pub(crate) fn prepare(&mut self, plan: PolicyPlan, identities: &Identities) -> Vec<Unfit> {
        let PolicyPlan { steps, mut after, unfit, .. } = plan;
        let version = identities.version();
        let prepared = steps.into_iter().filter_map(|Step { number, changes, is_new }| {
            let heir = (!is_new).then_some(number);
            Some(Prepared { heir, version, tables: after.remove(&number)?.tables, changes })
        });
        self.prepared = prepared.collect();
        unfit
    }

    /// What a plan leads to holds from now on. What it leaves is returned, and the caller's to remove, or to
    /// [put back](Policies::put_back).
    pub(crate) fn adopt(&mut self, plan: PolicyPlan) -> Left {
        self.prepared.clear();
        self.last = self.last.max(plan.last);
        self.users = plan.users;
        let mut left = Left::default();
        for (number, keys) in plan.broken {
            self.compiled.remove(&number);
            self.strangers.insert(number, keys);
        }
        for (number, after) in plan.after {
            if let Some(before) = self.compiled.get(&number) {
                left.retired.extend(retired(number, &before.tables, &after.tables));
            }
            self.compiled.insert(number, after);
        }
        let is_used = |number: &u32| self.users.contains_key(number);
        let unused: Vec<_> = self.compiled.keys().filter(|number| !is_used(number)).copied().collect();
        for number in unused {
            if let Some(Compiled { tables, .. }) = self.compiled.remove(&number) {
                left.gone.insert(number, PolicyKeys::of(number, tables.entries()));
                left.tables.insert(number, tables);
            }
        }
        let strangers = std::mem::take(&mut self.strangers).into_iter();
        let (used, unused): (_, BTreeMap<_, _>) = strangers.partition(|(number, _)| is_used(number));
        self.strangers = used;
        left.gone.extend(unused);
        left
    }

    /// Entries that could not be removed.
    pub(crate) fn put_back(&mut self, left: BTreeMap<u32, PolicyKeys>) {
        self.strangers.extend(left);
    }

    /// Entries of all policies.
    pub(crate) fn size(&self) -> Size {
        let compiled = self.compiled.values().map(|compiled| compiled.tables.size());
        compiled.chain(self.strangers.values().map(PolicyKeys::size)).fold(Size::default(), sum)
    }
}

impl Compiled {
    fn new(tables: Tables) -> Self {
        let group = |rule: &Rule| match rule.peer() {
            Peer::Group(group) => Some(group),
            Peer::Any | Peer::Prefix(_) => None,
        };
        let groups = tables.policy().rules().iter().filter_map(group).collect();
        Self { tables, groups, behind: false }
    }

    /// Whether it has to be compiled again for sets that came or went.
    fn is_behind(&self, identities: &Identities) -> bool {
        self.behind || identities.changed().iter().any(|group| self.groups.contains(group))
    }
}

impl PolicyKeys {
    /// Those under `number` that `changes` write.
    pub(crate) fn of(number: u32, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut keys = Self::default();
        for change in changes {
            match change {
                Change::SetPeer(prefix, _) => drop(keys.peers.insert(prefix_key(number, prefix))),
                Change::SetIdentity(identity, _) => {
                    keys.identities.insert(identity_key(number, identity));
                }
                Change::SetService(key, _) => drop(keys.services.insert(service_key(number, key))),
                Change::SetDefault(_)
                | Change::RemoveService(_)
                | Change::RemovePeer(_)
                | Change::RemoveIdentity(_)
                | Change::Wait => {}
            }
        }
        keys
    }

    /// These and others.
    pub(crate) fn join(&mut self, other: Self) {
        self.peers.extend(other.peers);
        self.identities.extend(other.identities);
        self.services.extend(other.services);
    }

    fn size(&self) -> Size {
        Size { peers: self.peers.len(), identities: self.identities.len(), services: self.services.len() }
    }
}

/// The key of a peer's prefix.
pub(crate) fn prefix_key(policy: u32, prefix: IpNet) -> PrefixKey {
    let bits = IpKey::SCOPE_BITS + u32::from(prefix.prefix_len());
    PrefixKey { bits, address: peer_key(policy, prefix.network()) }
}

/// The key of a set of groups.
pub(crate) const fn identity_key(policy: u32, identity: Identity) -> IdentityKey {
    IdentityKey { policy, identity: identity.0 }
}

/// The key of services.
pub(crate) fn service_key(policy: u32, key: weft_policy::ServiceKey) -> ServicePrefixKey {
    let bits = ServiceKey::SCOPE_BITS + u32::from(key.prefix.len());
    let service = ServiceKey::new(policy, key.class.0, key.prefix.to_bytes());
    ServicePrefixKey { bits, service }
}

/// The rules that went. Both are in the order of their rules.
fn retired(policy: u32, before: &Tables, after: &Tables) -> Vec<(RuleKey, DecidedBy)> {
    if before.policy() == after.policy() {
        return Vec::new();
    }
    let direction = before.policy().direction();
    let mut stay = after.numbered().peekable();
    let gone = before.numbered().filter(|(_, rule)| {
        while stay.next_if(|(_, other)| other < rule).is_some() {}
        stay.peek().is_none_or(|(_, other)| other != rule)
    });
    gone.map(|(number, rule)| {
        (RuleKey { policy, rule: number.0 }, DecidedBy { direction, rule: Some(*rule) })
    })
    .collect()
}

fn sum(one: Size, other: Size) -> Size {
    Size {
        peers: one.peers + other.peers,
        identities: one.identities + other.identities,
        services: one.services + other.services,
    }
}

fn rest(limit: usize, used: Size) -> Size {
    Size {
        peers: limit.saturating_sub(used.peers),
        identities: limit.saturating_sub(used.identities),
        services: limit.saturating_sub(used.services),
    }
}

const fn fits(size: Size, limit: Size) -> bool {
    size.peers <= limit.peers && size.identities <= limit.identities && size.services <= limit.services
}

#[cfg(test)]
mod tests;
