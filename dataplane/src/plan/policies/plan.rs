//! From the policies that the kernel has to those that are wanted.

use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{PortSecurity, port_flags};
use weft_policy::{Action, Change, Direction, Policy, Size, Tables, TooLarge, Update};

use super::distinct::Distinct;
use super::{Compiled, GuardedPort, Identities, NONE, Policies, PolicyKeys, fits, rest, sum};
use crate::Failure;
use crate::desired::Security;

/// What a port looks its packets up by, but for where its tenant's connections are counted; and the way there.
#[derive(Debug, Default)]
pub(crate) struct PolicyPlan {
    /// By the interface index of the port's host end.
    pub(crate) guards: BTreeMap<u32, PortSecurity>,
    /// To be made before any endpoint is written.
    pub(crate) steps: Vec<Step>,
    pub(crate) failures: Vec<Failure>,
    /// Policies for which there is no room.
    pub(super) unfit: Vec<Unfit>,
    pub(super) after: BTreeMap<u32, Compiled>,
    /// Half made.
    pub(super) broken: BTreeMap<u32, PolicyKeys>,
    /// The ports that have each number afterwards.
    pub(super) users: BTreeMap<u32, Vec<String>>,
    pub(super) last: u32,
    /// Ports that get nothing through, because they have no rules yet.
    closed: BTreeSet<u32>,
    /// The ports' names.
    names: BTreeMap<u32, String>,
}

/// A policy for which there is no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The ports that were to have it.
    pub(crate) ports: Vec<String>,
    pub(crate) direction: Direction,
    pub(crate) cause: TooLarge,
}

/// How the entries under one number change.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: u32,
    /// In this order.
    pub(crate) changes: Vec<Change>,
    /// Whether nobody looks anything up under the number yet.
    pub(crate) is_new: bool,
}

/// A policy that ports are to have.
struct Wanted<'a> {
    policy: &'a Policy,
    users: Vec<u32>,
}

impl Policies {
    /// The way to what `ports` are to have, from what the endpoints in the map say.
    pub(crate) fn plan(
        &self,
        ports: &[GuardedPort<'_>],
        held: &BTreeMap<u32, PortSecurity>,
        identities: &Identities,
    ) -> PolicyPlan {
        let names = ports.iter().map(|port| (port.ifindex, port.name.to_owned())).collect();
        let mut plan = PolicyPlan { names, last: self.last, ..PolicyPlan::default() };
        let mut distinct = Distinct::default();
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for port in ports {
            plan.guards.insert(port.ifindex, without_numbers(port.security));
            for policy in [&port.security.ingress, &port.security.egress] {
                if policy.rules().is_empty() {
                    continue;
                }
                let place = distinct.place(policy);
                if place == wanted.len() {
                    wanted.push(Wanted { policy, users: Vec::new() });
                }
                if let Some(wanted) = wanted.get_mut(place) {
                    wanted.users.push(port.ifindex);
                }
            }
        }
        let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
        for (number, compiled) in &self.compiled {
            if let Some(place) = distinct.find(compiled.tables.policy()) {
                numbers.entry(place).or_insert(*number);
            }
        }
        let kept: BTreeSet<u32> = numbers.values().copied().collect();
        let mut used = self.keep(&kept, identities, &mut plan);
        for (place, wanted) in wanted.iter().enumerate() {
            let number = numbers.get(&place).copied();
            let direction = wanted.policy.direction();
            if let Some(number) = number {
                plan.assign(number, direction, &wanted.users);
                continue;
            }
            let heir = self.inherited(wanted, &kept, &plan.after, held, &distinct, ports);
            let limit = rest(self.limit, used);
            match self.make(wanted, heir, identities, &limit, &mut plan) {
                Ok(size) => used = sum(used, size),
                Err(cause) => {
                    plan.refuse(direction, &wanted.users, held, &cause.to_string());
                    let ports =
                        wanted.users.iter().filter_map(|user| plan.names.get(user).cloned()).collect();
                    plan.unfit.push(Unfit { ports, direction, cause });
                }
            }
        }
        plan.settle();
        // What is refused goes on by what was there, which has to know its peers too.
        let goes_on = plan.users.keys().copied().filter(|number| !plan.after.contains_key(number));
        let goes_on = goes_on.filter(|number| !kept.contains(number)).collect();
        self.keep(&goes_on, identities, &mut plan);
        plan
    }

    /// What sets of groups that came or went change of the policies, which all stay.
    pub(crate) fn plan_identities(&self, identities: &Identities) -> PolicyPlan {
        let mut plan = PolicyPlan { users: self.users.clone(), last: self.last, ..PolicyPlan::default() };
        let kept = self.compiled.keys().copied().collect();
        self.keep(&kept, identities, &mut plan);
        plan
    }

    /// Has the policies that stay know all sets of groups. Returns how large all of them are.
    fn keep(&self, kept: &BTreeSet<u32>, identities: &Identities, plan: &mut PolicyPlan) -> Size {
        let size = |number: &u32| self.compiled.get(number).map(|compiled| compiled.tables.size());
        let mut used = kept.iter().filter_map(size).fold(Size::default(), sum);
        let behind = kept.iter().filter_map(|number| Some((*number, self.compiled.get(number)?)));
        for (number, compiled) in behind.filter(|(_, compiled)| compiled.is_behind(identities)) {
            let before = compiled.tables.size();
            let limit = sum(rest(self.limit, used), before);
            let policy = compiled.tables.policy();
            match compiled.tables.recompile(policy, identities.sets(), &limit) {
                Ok(Update { tables, changes, .. }) => {
                    used = sum(rest_of(used, before), tables.size());
                    let groups = compiled.groups.clone();
                    plan.after.insert(number, Compiled { tables, groups, behind: false });
                    if !changes.is_empty() {
                        plan.steps.push(Step { number, changes, is_new: false });
                    }
                }
                Err(refused) => {
                    plan.after.insert(number, Compiled { behind: true, ..compiled.clone() });
                    let cause =
                        format!("its rules do not see all members of the groups that they name: {refused}");
                    let failure = |port: &String| Failure::of_port(port, cause.clone());
                    plan.failures.extend(self.users.get(&number).into_iter().flatten().map(failure));
                }
            }
        }
        used
    }

    /// The number whose ports all go over to this policy, if there is one.
    fn inherited(
        &self,
        wanted: &Wanted<'_>,
        kept: &BTreeSet<u32>,
        taken: &BTreeMap<u32, Compiled>,
        held: &BTreeMap<u32, PortSecurity>,
        distinct: &Distinct<'_>,
        ports: &[GuardedPort<'_>],
    ) -> Option<u32> {
        let direction = wanted.policy.direction();
        let had = |ifindex: &u32| held.get(ifindex).map(|held| number_of(held, direction));
        let candidates: BTreeSet<u32> = wanted.users.iter().filter_map(had).collect();
        let own = distinct.find(wanted.policy);
        let all_go = |number: &u32| {
            ports.iter().filter(|port| had(&port.ifindex) == Some(*number)).all(|port| {
                let next = policy_of(port.security, direction);
                !next.rules().is_empty() && distinct.find(next) == own
            })
        };
        let is_free = |number: &u32| {
            self.compiled.contains_key(number) && !kept.contains(number) && !taken.contains_key(number)
        };
        candidates.into_iter().filter(is_free).find(all_go)
    }

    fn make(
        &self,
        wanted: &Wanted<'_>,
        heir: Option<u32>,
        identities: &Identities,
        limit: &Size,
        plan: &mut PolicyPlan,
    ) -> Result<Size, TooLarge> {
        let before = heir.and_then(|number| Some((number, self.compiled.get(&number)?)));
        let heir = before.map(|(number, _)| number);
        let version = identities.version();
        let prepared = self.prepared.iter().find(|prepared| {
            (prepared.heir, prepared.version) == (heir, version)
                && prepared.tables.policy() == wanted.policy
                && fits(prepared.tables.size(), *limit)
        });
        let (tables, changes) = match (prepared, before) {
            (Some(prepared), _) => (prepared.tables.clone(), prepared.changes.clone()),
            (None, Some((_, compiled))) => {
                let update = compiled.tables.recompile(wanted.policy, identities.sets(), limit)?;
                (update.tables, update.changes)
            }
            (None, None) => {
                let tables = Tables::compile(wanted.policy, identities.sets(), limit)?;
                let changes = tables.entries().collect();
                (tables, changes)
            }
        };
        let number = match heir {
            Some(number) => number,
            None => {
                plan.last = plan.last.checked_add(1).expect("a host does not see 2^32 policies");
                plan.last
            }
        };
        let size = tables.size();
        plan.after.insert(number, Compiled::new(tables));
        plan.steps.push(Step { number, changes, is_new: heir.is_none() });
        plan.assign(number, wanted.policy.direction(), &wanted.users);
        Ok(size)
    }
}

impl PolicyPlan {
    /// The entries under `number` could not all be written. What is new there nobody gets; what had to change is half made.
    pub(crate) fn give_up(
        &mut self,
        policies: &Policies,
        number: u32,
        held: &BTreeMap<u32, PortSecurity>,
        cause: &str,
    ) {
        let Some(step) = self.steps.iter().find(|step| step.number == number) else { return };
        let mut keys = PolicyKeys::of(number, step.changes.iter().copied());
        let is_new = step.is_new;
        if let Some(before) = policies.compiled.get(&number) {
            keys.join(PolicyKeys::of(number, before.tables.entries()));
        }
        self.after.remove(&number);
        self.broken.insert(number, keys);
        if !is_new {
            let cause = format!("the rules of its groups are not all in place: {cause}");
            let ports = self.users.get(&number).into_iter().flatten();
            self.failures.extend(ports.map(|port| Failure::of_port(port, cause.clone())));
            return;
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            let users = self.guards.iter().filter(|(_, guard)| number_of(guard, direction) == number);
            let users: Vec<_> = users.map(|(ifindex, _)| *ifindex).collect();
            self.refuse(direction, &users, held, cause);
        }
        self.settle();
    }

    /// The ports keep what they have in the kernel in this direction; those that have nothing get nothing through.
    fn refuse(
        &mut self,
        direction: Direction,
        users: &[u32],
        held: &BTreeMap<u32, PortSecurity>,
        cause: &str,
    ) {
        for ifindex in users {
            let Some(guard) = self.guards.get_mut(ifindex) else { continue };
            let allowed = allowed_flag(direction);
            let (number, allows, goes_on) = match held.get(ifindex) {
                // Whatever is there without a firewall, is let through.
                Some(held) if held.flags & port_flags::FIREWALL == 0 => {
                    (NONE, true, "is let through as it was")
                }
                Some(held) => {
                    (number_of(held, direction), held.flags & allowed != 0, "goes by the rules that it had")
                }
                None => {
                    guard.flags &= !(port_flags::INGRESS_ALLOWED | port_flags::EGRESS_ALLOWED);
                    (guard.ingress, guard.egress) = (NONE, NONE);
                    self.closed.insert(*ifindex);
                    (NONE, false, "is not let through, as nothing else is")
                }
            };
            let allowed_now = if allows { allowed } else { 0 };
            guard.flags = guard.flags & !allowed | allowed_now;
            match direction {
                Direction::Ingress => guard.ingress = number,
                Direction::Egress => guard.egress = number,
            }
            if let Some(name) = self.names.get(ifindex) {
                let what = match direction {
                    Direction::Ingress => "what comes to it",
                    Direction::Egress => "what it sends",
                };
                let cause =
                    format!("the rules of its groups are not in force, and {what} {goes_on}: {cause}");
                self.failures.push(Failure::of_port(name, cause));
            }
        }
    }

    fn assign(&mut self, number: u32, direction: Direction, users: &[u32]) {
        for ifindex in users.iter().filter(|ifindex| !self.closed.contains(ifindex)) {
            if let Some(guard) = self.guards.get_mut(ifindex) {
                match direction {
                    Direction::Ingress => guard.ingress = number,
                    Direction::Egress => guard.egress = number,
                }
            }
        }
    }

    /// What follows from the numbers: who has each, and whether a port's packets are judged at all.
    fn settle(&mut self) {
        const ALL: u32 = port_flags::INGRESS_ALLOWED | port_flags::EGRESS_ALLOWED;
        self.users.clear();
        for (ifindex, guard) in &mut self.guards {
            let numbers = [guard.ingress, guard.egress].into_iter().filter(|number| *number != NONE);
            for number in numbers.clone() {
                self.users.entry(number).or_default().extend(self.names.get(ifindex).cloned());
            }
            let judged = numbers.count() > 0 || guard.flags & ALL != ALL;
            let firewall = if judged { port_flags::FIREWALL } else { 0 };
            guard.flags = guard.flags & !port_flags::FIREWALL | firewall;
        }
    }
}

/// What a port may send and receive, as far as it takes no look-up.
fn without_numbers(security: &Security) -> PortSecurity {
    let is_allowed = |policy: &Policy| policy.default_action() == Action::Allow;
    let flags = [
        (is_allowed(&security.ingress), port_flags::INGRESS_ALLOWED),
        (is_allowed(&security.egress), port_flags::EGRESS_ALLOWED),
        (security.any_source, port_flags::ANY_SOURCE),
        (!security.pairs.is_empty(), port_flags::PAIRS),
    ];
    let flags = flags.into_iter().filter(|(is, _)| *is).fold(0, |all, (_, flag)| all | flag);
    PortSecurity { flags, ..PortSecurity::default() }
}

const fn number_of(security: &PortSecurity, direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => security.ingress,
        Direction::Egress => security.egress,
    }
}

const fn policy_of(security: &Security, direction: Direction) -> &Policy {
    match direction {
        Direction::Ingress => &security.ingress,
        Direction::Egress => &security.egress,
    }
}

const fn allowed_flag(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => port_flags::INGRESS_ALLOWED,
        Direction::Egress => port_flags::EGRESS_ALLOWED,
    }
}

const fn rest_of(all: Size, part: Size) -> Size {
    Size {
        peers: all.peers.saturating_sub(part.peers),
        identities: all.identities.saturating_sub(part.identities),
        services: all.services.saturating_sub(part.services),
    }
}
