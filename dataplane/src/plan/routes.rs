//! The maps that grow with the routes to other hosts: each change of a route becomes the changes of entries that it
//! brings, and nothing else is looked at. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, Scope, VtepAddr, VtepVniKey};
use weft_vxlan::{Vni, Vtep};

use super::Tables;
use super::entries::{Claims, Entries, EntriesMark, Source};
use crate::bpf::PrefixKey;
use crate::desired::{Desired, Neighbour, RemoteHost, RemotePrefix, RouteDelta};

/// Value of a membership: that it is there is all that it says.
const MEMBER: u8 = 1;

/// What the maps should hold that grow with the routes.
#[derive(Debug)]
pub(crate) struct RouteTables {
    pub(crate) hosts: Entries<IpKey, RemoteHost>,
    pub(crate) prefixes: Entries<PrefixKey, RemotePrefix>,
    pub(crate) fdb: Claims<MacKey, NextHop>,
    pub(crate) vtep_vnis: Claims<VtepVniKey, u8>,
    /// How many routes lead to each VTEP.
    vteps: BTreeMap<Vtep, usize>,
}

/// A state of all of them, but for the routes.
#[derive(Debug)]
pub(crate) struct Mark {
    hosts: EntriesMark<IpKey, HostRoute>,
    prefixes: EntriesMark<PrefixKey, NextHop>,
    fdb: EntriesMark<MacKey, NextHop>,
    vtep_vnis: EntriesMark<VtepVniKey, u8>,
}

impl Source<IpKey> for RemoteHost {
    type Value = HostRoute;

    fn value(&self, key: &IpKey) -> HostRoute {
        let network = key.scope();
        let routed = NextHop::remote(network, self.vtep, self.vni, self.router_mac);
        match self.neighbour {
            Some(Neighbour { subnet, mac, .. }) => HostRoute::new(network, routed, subnet, mac),
            None => HostRoute::routed(network, routed),
        }
    }
}

impl Source<PrefixKey> for RemotePrefix {
    type Value = NextHop;

    fn value(&self, key: &PrefixKey) -> NextHop {
        NextHop::remote(key.address.scope(), self.vtep, self.vni, self.router_mac)
    }
}

impl RouteTables {
    /// Of no routes.
    pub(crate) fn new() -> Self {
        Self {
            hosts: Entries::new(),
            prefixes: Entries::new(),
            fdb: Claims::new(),
            vtep_vnis: Claims::new(),
            vteps: BTreeMap::new(),
        }
    }

    /// Makes the changes, and returns those that undo them.
    pub(crate) fn change(&mut self, delta: RouteDelta) -> RouteDelta {
        self.hosts.reserve(delta.hosts.len());
        self.prefixes.reserve(delta.prefixes.len());
        let mut undo = RouteDelta::default();
        for ((network, address), host) in delta.hosts {
            let before = self.change_host(IpKey::new(network, address), host);
            undo.hosts.push(((network, address), before));
        }
        for ((network, prefix), behind) in delta.prefixes {
            let before = self.change_prefix(prefix_key(network, prefix), behind);
            undo.prefixes.push(((network, prefix), before));
        }
        // Of a route that was changed twice, the first state comes back last.
        undo.hosts.reverse();
        undo.prefixes.reverse();
        undo
    }

    fn change_host(&mut self, key: IpKey, host: Option<RemoteHost>) -> Option<RemoteHost> {
        let before = self.hosts.source(&key).cloned();
        if before == host {
            return before;
        }
        // What stays claimed does not go for a moment.
        if let Some(new) = &host {
            self.join(key.network(), new.vtep);
            if let Some((subnet, mac, next_hop)) = switched(new) {
                self.vtep_vnis.claim(VtepVniKey::new(subnet, new.vtep), MEMBER);
                self.fdb.claim(MacKey::new(subnet, mac), next_hop);
            }
        }
        if let Some(old) = &before {
            if let Some((subnet, mac, next_hop)) = switched(old) {
                self.fdb.release(MacKey::new(subnet, mac), next_hop);
                self.vtep_vnis.release(VtepVniKey::new(subnet, old.vtep), MEMBER);
            }
            self.leave(key.network(), old.vtep);
        }
        self.hosts.set(key, host);
        before
    }

    fn change_prefix(&mut self, key: PrefixKey, behind: Option<RemotePrefix>) -> Option<RemotePrefix> {
        let before = self.prefixes.source(&key).cloned();
        if before == behind {
            return before;
        }
        if let Some(new) = &behind {
            self.join(key.address.network(), new.vtep);
        }
        if let Some(old) = &before {
            self.leave(key.address.network(), old.vtep);
        }
        self.prefixes.set(key, behind);
        before
    }

    /// One more route of the network leads to `vtep`.
    fn join(&mut self, network: u32, vtep: Vtep) {
        self.vtep_vnis.claim(VtepVniKey::raw(network, VtepAddr::new(vtep)), MEMBER);
        *self.vteps.entry(vtep).or_default() += 1;
    }

    /// One route less.
    fn leave(&mut self, network: u32, vtep: Vtep) {
        self.vtep_vnis.release(VtepVniKey::raw(network, VtepAddr::new(vtep)), MEMBER);
        match self.vteps.get_mut(&vtep) {
            Some(routes) if *routes > 1 => *routes -= 1,
            _ => drop(self.vteps.remove(&vtep)),
        }
    }

    /// This host's own entries are those of `tables` from now on.
    pub(crate) fn set_local(&mut self, tables: &Tables) {
        self.hosts.set_local(&tables.hosts);
        self.fdb.entries.set_local(&tables.fdb);
        self.vtep_vnis.entries.set_local(&tables.vtep_vnis);
    }

    /// A state to come back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            hosts: self.hosts.mark(),
            prefixes: self.prefixes.mark(),
            fdb: self.fdb.entries.mark(),
            vtep_vnis: self.vtep_vnis.entries.mark(),
        }
    }

    /// Back to a state, once the changes of routes since then were undone.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.hosts.back_to(mark.hosts);
        self.prefixes.back_to(mark.prefixes);
        self.fdb.entries.back_to(mark.fdb);
        self.vtep_vnis.entries.back_to(mark.vtep_vnis);
    }

    /// Every VTEP that a route leads to.
    pub(crate) fn vteps(&self) -> BTreeSet<Vtep> {
        self.vteps.keys().copied().collect()
    }

    /// What makes these routes those of `desired`.
    pub(crate) fn delta_to(&self, desired: &Desired) -> RouteDelta {
        let mut delta = RouteDelta::default();
        let mut kept = HashSet::new();
        for ((network, address), host) in &desired.remote_hosts {
            let key = IpKey::new(*network, *address);
            kept.insert(key);
            if self.hosts.source(&key) != Some(host) {
                delta.hosts.push(((*network, *address), Some(host.clone())));
            }
        }
        let gone = self.hosts.sources().map(|(key, _)| key).filter(|key| !kept.contains(*key));
        delta.hosts.extend(gone.filter_map(|key| Some((host_of(key)?, None))));
        let mut kept = HashSet::new();
        for ((network, prefix), behind) in &desired.remote_prefixes {
            let key = prefix_key(*network, *prefix);
            kept.insert(key);
            if self.prefixes.source(&key) != Some(behind) {
                delta.prefixes.push(((*network, *prefix), Some(behind.clone())));
            }
        }
        let gone = self.prefixes.sources().map(|(key, _)| key).filter(|key| !kept.contains(*key));
        delta.prefixes.extend(gone.filter_map(|key| Some((prefix_of(key)?, None))));
        delta
    }
}

/// What a neighbour is known by at layer 2: subnet, MAC, and the way of switched frames to it.
fn switched(host: &RemoteHost) -> Option<(Vni, weft_vxlan::MacAddr, NextHop)> {
    let Neighbour { subnet, vni, mac } = host.neighbour.as_ref()?;
    Some((*subnet, *mac, NextHop::remote(Scope::of(*subnet), host.vtep, *vni, host.router_mac)))
}

fn prefix_key(network: Vni, prefix: IpNet) -> PrefixKey {
    let bits = IpKey::SCOPE_BITS + u32::from(prefix.prefix_len());
    PrefixKey { address: IpKey::new(network, prefix.network()), bits }
}

fn host_of(key: &IpKey) -> Option<(Vni, IpAddr)> {
    Some((Vni::new(key.network()).ok()?, key.address()?))
}

fn prefix_of(key: &PrefixKey) -> Option<(Vni, IpNet)> {
    let (network, address) = host_of(&key.address)?;
    let bits = u8::try_from(key.bits.checked_sub(IpKey::SCOPE_BITS)?).ok()?;
    Some((network, IpNet::new(address, bits).ok()?))
}

#[cfg(test)]
mod tests;
