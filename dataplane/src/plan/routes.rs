//! The maps that grow with the routes to other hosts: each change of a route becomes the changes of entries that it
//! brings, and nothing else is looked at. Pure.

mod kept;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, PathKey, VtepAddr, VtepVniKey};
use weft_vxlan::{MacAddr, Vni, Vtep};

use super::entries::{Claims, Entries, EntriesMark, Source};
use super::{Identities, Tables};
use crate::bpf::PrefixKey;
use crate::desired::{Desired, Neighbour, Path, Paths, RemoteHost, RouteDelta};
use kept::Kept;

pub(crate) use kept::Pinned;

/// Value of a membership: that it is there is all that it says.
const MEMBER: u8 = 1;

/// What the maps should hold that grow with the routes.
#[derive(Debug)]
pub(crate) struct RouteTables {
    pub(crate) hosts: Entries<IpKey, RoutedHost>,
    pub(crate) prefixes: Entries<PrefixKey, Paths>,
    pub(crate) fdb: Claims<MacKey, NextHop>,
    pub(crate) paths: Claims<PathKey, NextHop>,
    pub(crate) vtep_vnis: Claims<VtepVniKey, u8>,
    /// Who takes part in each subnet, and with which VNI.
    pub(crate) flood: BTreeMap<Vni, BTreeMap<Vtep, Vni>>,
    /// Numbers of the sets of groups that addresses have.
    pub(crate) identities: Identities,
    /// Subnets in which others take part than when that was last asked.
    changed_floods: BTreeSet<Vni>,
    macs: HashMap<MacKey, Paths>,
    /// How many routes lead to each VTEP.
    vteps: BTreeMap<Vtep, usize>,
    kept: Kept,
}

/// A state of all of them, but for the routes.
#[derive(Debug)]
pub(crate) struct Mark {
    hosts: EntriesMark<IpKey, HostRoute>,
    prefixes: EntriesMark<PrefixKey, NextHop>,
    fdb: EntriesMark<MacKey, NextHop>,
    paths: EntriesMark<PathKey, NextHop>,
    vtep_vnis: EntriesMark<VtepVniKey, u8>,
    kept: Kept,
}

/// An address on another host, with the number of its set of groups: there may be a million of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoutedHost {
    paths: Paths,
    neighbour: Option<Neighbour>,
    identity: u32,
}

impl Source<IpKey> for RoutedHost {
    type Value = HostRoute;

    fn value(&self, key: &IpKey) -> HostRoute {
        let network = key.scope();
        let routed = self.paths.next_hop(network);
        let route = match self.neighbour {
            Some(Neighbour { subnet, mac, .. }) => HostRoute::new(network, routed, subnet, mac),
            None => HostRoute::routed(network, routed),
        };
        route.with_identity(network, self.identity)
    }

    fn judges_otherwise(before: Option<&HostRoute>, after: Option<&HostRoute>) -> bool {
        before.map_or(0, HostRoute::identity) != after.map_or(0, HostRoute::identity)
    }
}

impl Source<PrefixKey> for Paths {
    type Value = NextHop;

    fn value(&self, key: &PrefixKey) -> NextHop {
        self.next_hop(key.address.scope())
    }
}

impl RouteTables {
    /// Of no routes.
    pub(crate) fn new() -> Self {
        Self {
            identities: Identities::default(),
            hosts: Entries::new(),
            prefixes: Entries::new(),
            fdb: Claims::new(),
            paths: Claims::new(),
            vtep_vnis: Claims::new(),
            flood: BTreeMap::new(),
            changed_floods: BTreeSet::new(),
            macs: HashMap::new(),
            vteps: BTreeMap::new(),
            kept: Kept::default(),
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
        for ((subnet, mac), to) in delta.macs {
            let before = self.change_mac(MacKey::new(subnet, mac), to);
            undo.macs.push(((subnet, mac), before));
        }
        for ((subnet, vtep), wants) in delta.flood {
            let before = self.change_flood(subnet, vtep, wants);
            undo.flood.push(((subnet, vtep), before));
        }
        // Of a route that was changed twice, the first state comes back last.
        undo.hosts.reverse();
        undo.prefixes.reverse();
        undo.macs.reverse();
        undo.flood.reverse();
        undo
    }

    fn change_host(&mut self, key: IpKey, host: Option<RemoteHost>) -> Option<RemoteHost> {
        self.kept.hosts.remove(&key);
        if self.holds(&key, host.as_ref()) {
            return host;
        }
        let before = self.hosts.source(&key).cloned();
        let host = host.map(|RemoteHost { paths, neighbour, groups }| RoutedHost {
            paths,
            neighbour,
            identity: self.identities.claim(&groups),
        });
        // What stays claimed does not go for a moment.
        if let Some(new) = &host {
            self.join(key.network(), &new.paths);
            if let Some((subnet, mac, next_hop)) = switched(new) {
                self.vtep_vnis.claim(VtepVniKey::new(subnet, new.paths.first.vtep), MEMBER);
                self.fdb.claim(MacKey::new(subnet, mac), next_hop);
            }
        }
        if let Some(old) = &before {
            if let Some((subnet, mac, next_hop)) = switched(old) {
                self.fdb.release(MacKey::new(subnet, mac), next_hop);
                self.vtep_vnis.release(VtepVniKey::new(subnet, old.paths.first.vtep), MEMBER);
            }
            self.leave(key.network(), &old.paths);
            self.identities.release(old.identity);
        }
        self.hosts.set(key, host);
        before.map(|old| self.remote(old))
    }

    /// Whether the address is held as `host`.
    fn holds(&self, key: &IpKey, host: Option<&RemoteHost>) -> bool {
        match (self.hosts.source(key), host) {
            (Some(held), Some(host)) => {
                held.paths == host.paths
                    && held.neighbour == host.neighbour
                    && self.identities.number_of(&host.groups) == Some(held.identity)
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// What a held address was told as.
    fn remote(&self, RoutedHost { paths, neighbour, identity }: RoutedHost) -> RemoteHost {
        RemoteHost { paths, neighbour, groups: self.identities.set(identity).unwrap_or_default() }
    }

    fn change_prefix(&mut self, key: PrefixKey, behind: Option<Paths>) -> Option<Paths> {
        self.kept.prefixes.remove(&key);
        let before = self.prefixes.source(&key).cloned();
        if before == behind {
            return before;
        }
        if let Some(new) = &behind {
            self.join(key.address.network(), new);
        }
        if let Some(old) = &before {
            self.leave(key.address.network(), old);
        }
        self.prefixes.set(key, behind);
        before
    }

    fn change_mac(&mut self, key: MacKey, to: Option<Paths>) -> Option<Paths> {
        self.kept.macs.remove(&key);
        let before = self.macs.get(&key).cloned();
        if before == to {
            return before;
        }
        if let Some(new) = &to {
            self.join(key.subnet(), new);
            self.fdb.claim(key, new.next_hop(key.scope()));
        }
        if let Some(old) = &before {
            self.fdb.release(key, old.next_hop(key.scope()));
            self.leave(key.subnet(), old);
        }
        match to {
            Some(new) => self.macs.insert(key, new),
            None => self.macs.remove(&key),
        };
        before
    }

    fn change_flood(&mut self, subnet: Vni, vtep: Vtep, wants: Option<Vni>) -> Option<Vni> {
        self.kept.flood.remove(&(subnet, vtep));
        let members = self.flood.entry(subnet).or_default();
        let before = match wants {
            Some(vni) => members.insert(vtep, vni),
            None => members.remove(&vtep),
        };
        if members.is_empty() {
            self.flood.remove(&subnet);
        }
        if before != wants {
            self.changed_floods.insert(subnet);
        }
        match (before, wants) {
            (None, Some(_)) => self.add_member(subnet.get(), vtep),
            (Some(_), None) => self.remove_member(subnet.get(), vtep),
            (None, None) | (Some(_), Some(_)) => {}
        }
        before
    }

    /// The subnets in which others take part than when this was last asked.
    pub(crate) fn take_changed_floods(&mut self) -> BTreeSet<Vni> {
        std::mem::take(&mut self.changed_floods)
    }

    /// One more route of the network or subnet takes these paths.
    fn join(&mut self, vni: u32, paths: &Paths) {
        paths.iter().for_each(|path| self.add_member(vni, path.vtep));
        for (key, next_hop) in paths.entries(vni) {
            self.paths.claim(key, next_hop);
        }
    }

    /// One route less.
    fn leave(&mut self, vni: u32, paths: &Paths) {
        for (key, next_hop) in paths.entries(vni) {
            self.paths.release(key, next_hop);
        }
        paths.iter().for_each(|path| self.remove_member(vni, path.vtep));
    }

    /// One more route of the network or subnet leads to `vtep`.
    fn add_member(&mut self, vni: u32, vtep: Vtep) {
        self.vtep_vnis.claim(VtepVniKey::raw(vni, VtepAddr::new(vtep)), MEMBER);
        *self.vteps.entry(vtep).or_default() += 1;
    }

    /// One route less.
    fn remove_member(&mut self, vni: u32, vtep: Vtep) {
        self.vtep_vnis.release(VtepVniKey::raw(vni, VtepAddr::new(vtep)), MEMBER);
        match self.vteps.get_mut(&vtep) {
            Some(routes) if *routes > 1 => *routes -= 1,
            _ => drop(self.vteps.remove(&vtep)),
        }
    }

    /// This host's own entries are those of `tables` from now on.
    pub(crate) fn set_local(&mut self, tables: &Tables) {
        self.hosts.set_local(&tables.hosts);
        self.fdb.entries.set_local(&tables.fdb);
    }

    /// A state to come back to. What is known of subnets comes back with the routes.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            hosts: self.hosts.mark(),
            prefixes: self.prefixes.mark(),
            fdb: self.fdb.entries.mark(),
            paths: self.paths.entries.mark(),
            vtep_vnis: self.vtep_vnis.entries.mark(),
            kept: self.kept.clone(),
        }
    }

    /// Back to a state, once the changes of routes since then were undone.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.hosts.back_to(mark.hosts);
        self.prefixes.back_to(mark.prefixes);
        self.fdb.entries.back_to(mark.fdb);
        self.paths.entries.back_to(mark.paths);
        self.vtep_vnis.entries.back_to(mark.vtep_vnis);
        // Trying a change confirms nothing.
        self.kept = mark.kept;
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
            if !self.holds(&key, Some(host)) {
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
        self.delta_of_subnets(desired, &mut delta);
        delta
    }

    /// The same of what is known of subnets.
    fn delta_of_subnets(&self, desired: &Desired, delta: &mut RouteDelta) {
        for ((subnet, mac), to) in &desired.remote_macs {
            if self.macs.get(&MacKey::new(*subnet, *mac)) != Some(to) {
                delta.macs.push(((*subnet, *mac), Some(to.clone())));
            }
        }
        let macs = self.macs.keys().filter_map(|key| Some((Vni::new(key.subnet()).ok()?, key.mac())));
        let gone = macs.filter(|key| !desired.remote_macs.contains_key(key));
        delta.macs.extend(gone.map(|key| (key, None)));
        for (subnet, members) in &desired.flood {
            let held = self.flood.get(subnet);
            let new = members.iter().filter(|(vtep, vni)| held.and_then(|held| held.get(vtep)) != Some(vni));
            delta.flood.extend(new.map(|(vtep, vni)| ((*subnet, *vtep), Some(*vni))));
        }
        for (subnet, members) in &self.flood {
            let wanted = desired.flood.get(subnet);
            let gone = members.keys().filter(|vtep| wanted.is_none_or(|wanted| !wanted.contains_key(vtep)));
            delta.flood.extend(gone.map(|vtep| ((*subnet, *vtep), None)));
        }
    }
}

/// What a neighbour is known by at layer 2: subnet, MAC, and the way of switched frames to it.
fn switched(host: &RoutedHost) -> Option<(Vni, MacAddr, NextHop)> {
    let Neighbour { subnet, vni, mac } = *host.neighbour.as_ref()?;
    let to = Path::switched(host.paths.first.vtep, vni);
    let scope = MacKey::new(subnet, mac).scope();
    Some((subnet, mac, Paths::from(to).next_hop(scope).of_member(scope, host.identity)))
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
