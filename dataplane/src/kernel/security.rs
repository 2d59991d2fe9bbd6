//! Security groups on their way into the kernel: what sets of groups and policies are called, what the maps hold under
//! these numbers, and when connections have to be judged again.
//!
//! The order: numbers are recorded; entries that nobody looks up yet are written, and those that are looked up changed one
//! by one; endpoints and addresses go over to them; connections are judged again; and when no packet is on its way any more
//! that was judged by what was before, that is removed.

use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{Endpoint, PortSecurity, maps};

use super::{Held, Kernel, read};
use crate::apply::{fill_in, remove_policies, told};
use crate::bpf::{Maps, Table, grace_period};
use crate::desired::Desired;
use crate::error::{ObserveError, chain};
use crate::flows::{Counted, Guarded};
use crate::observe::Observed;
use crate::plan::{
    Guard, GuardedPort, Identities, Left, Policies, PolicyKeys, PolicyPlan, Tables, Tenants, Unfit,
};
use crate::{Failure, NoRoom, Report};

/// Whether and why connections have to be judged again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rejudge {
    /// By something that this host's own intent changed.
    by_intent: bool,
    /// By routes.
    by_routes: bool,
}

impl Kernel {
    /// Finds out which numbers are in use.
    pub(super) fn find_numbers(&mut self) -> Result<(), ObserveError> {
        let memberships = read(&self.maps.memberships)?;
        self.routes.identities = Identities::recorded(memberships.into_keys());
        let endpoints = read(&self.maps.endpoints)?;
        let named = endpoints.values().map(Endpoint::security);
        let named = named.flat_map(|security| [security.ingress, security.egress]);
        self.policies = Policies::found(found(&self.maps)?, named, self.rules);
        // Whatever connections were judged by: this daemon does not know it.
        self.rejudge.by_intent = true;
        Ok(())
    }

    /// How the ports come to what they are to send and receive, and by which indices their tenants are known.
    pub(super) fn plan_guards<'a>(
        &mut self,
        desired: &'a Desired,
        observed: &Observed,
        held: &Held,
    ) -> (PolicyPlan, Tenants<'a>) {
        let sets = desired.ports.values().map(|port| &port.security.groups);
        self.routes.identities.set_local(sets);
        let ports = desired.ports.iter().filter_map(|(name, port)| {
            let ifindex = observed.host_end(name)?.index;
            Some((GuardedPort { name, ifindex, security: &port.security }, (ifindex, port.tenant.as_str())))
        });
        let (ports, tenants): (Vec<_>, BTreeMap<_, _>) = ports.unzip();
        let securities = held.securities();
        let capacity = u32::try_from(self.maps.endpoints.capacity()).unwrap_or(u32::MAX);
        let tenants = Tenants::plan(&tenants, &held.endpoints, capacity);
        (self.policies.plan(&ports, &securities, &self.routes.identities), tenants)
    }

    /// As [`Dataplane::require_room`](crate::Dataplane::require_room). Ports without a host end are looked at when they have one.
    pub(crate) fn require_room(&mut self, desired: &Desired) -> Result<Vec<NoRoom>, ObserveError> {
        let Some((host, observed)) = self.last.take() else { return Ok(Vec::new()) };
        let planned = self.held().map(|held| self.plan_guards(desired, &observed, &held).0);
        self.last = Some((host, observed));
        let unfit = self.policies.prepare(planned?, &self.routes.identities);
        let told = |unfit: Unfit| NoRoom { ports: unfit.ports, cause: unfit.cause.to_string() };
        Ok(unfit.into_iter().map(told).collect())
    }

    /// What guards each port, by interface index.
    pub(super) fn guards(
        &self,
        desired: &Desired,
        observed: &Observed,
        plan: &PolicyPlan,
        tenants: &Tenants<'_>,
    ) -> BTreeMap<u32, Guard> {
        let guard = |(name, port): (&String, &crate::desired::Port)| {
            let ifindex = observed.host_end(name)?.index;
            let tenant = tenants.by_name.get(port.tenant.as_str()).copied().unwrap_or(0);
            let security = PortSecurity { tenant, ..*plan.guards.get(&ifindex)? };
            let identity = self.routes.identities.number_of(&port.security.groups).unwrap_or(0);
            Some((ifindex, Guard { security, identity }))
        };
        desired.ports.iter().filter_map(guard).collect()
    }

    /// Brings the entries of policies into the maps that are written before anything else.
    pub(super) fn fill_policies(&mut self, plan: &mut PolicyPlan, held: &Held, report: &mut Report) {
        self.record_identities(report);
        let refused = fill_in(&mut self.maps, &plan.steps);
        report.changes.extend(told(&plan.steps));
        let securities = held.securities();
        for (number, cause) in refused {
            plan.give_up(&self.policies, number, &securities, &cause);
        }
        report.failures.append(&mut plan.failures);
        self.rejudge.by_intent |= !plan.steps.is_empty();
    }

    /// Records what the numbers of sets of groups stand for.
    fn record_identities(&mut self, report: &mut Report) {
        for (number, keys) in self.routes.identities.take_unrecorded() {
            let refused = self.maps.memberships.write(&keys, &vec![1; keys.len()]);
            if let Some((_, error)) = refused.first() {
                // Half a set would be taken for another one.
                self.maps.memberships.remove(&keys);
                self.routes.identities.put_back(number);
                let cause = format!(
                    "set {number} of groups cannot be recorded: {}. Its members are known as such until weftd restarts; raise \
                     sizes.rules in weftd.toml",
                    chain(error)
                );
                report.failures.push(Failure::new(format!("map {}", maps::MEMBERSHIPS), cause));
            }
        }
    }

    /// Ends a change of this host's own intent, when all entries are written.
    pub(super) fn settle_policies(
        &mut self,
        plan: PolicyPlan,
        held: &Held,
        wanted: &Tables,
        report: &mut Report,
    ) {
        self.routes.identities.settle();
        let mut left = self.policies.adopt(plan);
        let before = held.securities();
        let after: BTreeMap<_, _> =
            wanted.endpoints.iter().map(|(ifindex, endpoint)| (*ifindex, *endpoint.security())).collect();
        self.rejudge.by_intent |= before != after || held.pairs != wanted.pairs;
        // Another host's entry may have gone with this host's intent.
        self.rejudge.by_intent |= self.routes.hosts.take_rejudge();
        let changed = self.rejudge.by_intent;
        self.judge_again(report);
        if changed || !left.gone.is_empty() {
            grace_period();
        }
        self.hold_back_named(&mut left, held);
        self.totals.take_over(&left, &mut self.maps.hits);
        let left = remove_policies(&mut self.maps, left.gone, report);
        self.policies.put_back(left);
        self.forget_identities(report);
    }

    /// An endpoint that could not be written goes on by the number that it has.
    fn hold_back_named(&mut self, left: &mut Left, held: &Held) {
        if left.gone.is_empty() {
            return;
        }
        let endpoints = read(&self.maps.endpoints).unwrap_or_else(|_| held.endpoints.clone());
        let named = endpoints.values().map(Endpoint::security);
        let named: BTreeSet<u32> = named.flat_map(|security| [security.ingress, security.egress]).collect();
        let gone = std::mem::take(&mut left.gone).into_iter();
        let (used, free) = gone.partition(|(number, _)| named.contains(number));
        self.policies.put_back(used);
        left.gone = free;
    }

    /// Forgets sets of groups that nobody has: the map of addresses, as it is now, names none of them.
    fn forget_identities(&mut self, report: &mut Report) {
        if !self.routes.hosts.is_settled() {
            return;
        }
        let gone = self.routes.identities.forget_unused();
        if gone.is_empty() {
            return;
        }
        // No packet is judged otherwise by what nobody is a member of.
        let rejudge = self.rejudge;
        self.update_policies(report);
        self.rejudge = rejudge;
        for (_, error) in self.maps.memberships.remove(&gone) {
            report.failures.push(Failure::new(format!("map {}", maps::MEMBERSHIPS), chain(&error)));
        }
    }

    /// Has the policies know the sets of groups that routes brought, before an address has one.
    pub(super) fn update_policies(&mut self, report: &mut Report) {
        self.record_identities(report);
        let mut plan = self.policies.plan_identities(&self.routes.identities);
        let refused = fill_in(&mut self.maps, &plan.steps);
        report.changes.extend(told(&plan.steps));
        for (number, cause) in refused {
            plan.give_up(&self.policies, number, &BTreeMap::new(), &cause);
        }
        report.failures.append(&mut plan.failures);
        self.rejudge.by_routes |= !plan.steps.is_empty();
        // What could not be removed before is the next reconciliation's.
        let left = self.policies.adopt(plan);
        self.policies.put_back(left.gone);
        self.routes.identities.settle();
    }

    /// Ends a change of routes, when all entries are written.
    pub(super) fn settle_routes(&mut self, report: &mut Report) {
        self.rejudge.by_routes |= self.routes.hosts.take_rejudge();
        self.judge_again(report);
    }

    /// Raises the generation, if something changed by which connections are judged.
    fn judge_again(&mut self, report: &mut Report) {
        let Rejudge { by_intent, by_routes } = self.rejudge;
        if !by_intent && !by_routes {
            return;
        }
        match self.maps.generation.raise() {
            Ok(()) => self.rejudge = Rejudge::default(),
            Err(error) => {
                let cause = format!(
                    "connections that are open go by the rules of before: {}. weftd tries again",
                    chain(&error)
                );
                report.failures.push(Failure::new(format!("map {}", maps::GENERATION), cause));
            }
        }
    }
}

impl Kernel {
    /// Has connections of these ports be looked after, and those of others removed.
    pub(super) fn tell_ports(&self, wanted: &Tables, names: &BTreeMap<u32, String>) {
        let port = |(ifindex, endpoint): (&u32, &Endpoint)| {
            let name = names.get(ifindex).cloned().unwrap_or_default();
            (*ifindex, Counted { name, slot: endpoint.slot(), security: *endpoint.security() })
        };
        let ports = wanted.endpoints.iter().map(port).collect();
        self.flows.tell(Guarded { ports, timeouts: wanted.host.flows().timeouts });
    }
}

impl Held {
    /// What the endpoints say of what ports may send and receive.
    pub(super) fn securities(&self) -> BTreeMap<u32, PortSecurity> {
        self.endpoints.iter().map(|(ifindex, endpoint)| (*ifindex, *endpoint.security())).collect()
    }
}

/// What the maps hold of policies, by their numbers.
fn found(maps: &Maps) -> Result<BTreeMap<u32, PolicyKeys>, ObserveError> {
    let mut found: BTreeMap<u32, PolicyKeys> = BTreeMap::new();
    let unread = |map, error| ObserveError::Map { map, cause: chain(&error) };
    let each = |key: crate::bpf::PrefixKey, _| {
        found.entry(key.address.network()).or_default().peers.insert(key);
    };
    maps.peers.for_each(each).map_err(|error| unread(maps.peers.name(), error))?;
    let each = |key: weft_dataplane_abi::IdentityKey, _| {
        found.entry(key.policy).or_default().identities.insert(key);
    };
    maps.identities.for_each(each).map_err(|error| unread(maps.identities.name(), error))?;
    let each = |key: crate::bpf::ServicePrefixKey, _| {
        found.entry(key.service.policy()).or_default().services.insert(key);
    };
    maps.services.for_each(each).map_err(|error| unread(maps.services.name(), error))?;
    Ok(found)
}
