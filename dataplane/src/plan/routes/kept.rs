//! Routes that were in the maps when a data plane opened: kept until somebody says that they are still so, or that they
//! are not, or that whoever could say has had the time to (RFC 4724 section 4.1).
//!
//! What an entry was made of is read from it, and made into an entry again: what does not come out the same is not kept.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use weft_dataplane_abi::{FloodKey, FloodMember, HostRoute, IpKey, MacKey, NextHop, PathKey, flood_group};
use weft_vxlan::{MacAddr, Vni, Vtep};

use super::super::Identities;
use super::paths::vtep;
use super::{RouteTables, RoutedHost, Source as _, Tables, host_of, prefix_of};
use crate::bpf::PrefixKey;
use crate::desired::{Neighbour, Paths, RemoteHost, RouteDelta};

/// What the maps hold.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    pub(crate) hosts: Vec<(IpKey, HostRoute)>,
    pub(crate) prefixes: Vec<(PrefixKey, NextHop)>,
    pub(crate) fdb: HashMap<MacKey, NextHop>,
    pub(crate) paths: HashMap<PathKey, NextHop>,
    pub(crate) flood: BTreeMap<FloodKey, FloodMember>,
}

/// Routes that nobody has confirmed.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) hosts: HashSet<IpKey>,
    pub(super) prefixes: HashSet<PrefixKey>,
    pub(super) macs: HashSet<MacKey>,
    pub(super) flood: HashSet<(Vni, Vtep)>,
}

impl RouteTables {
    /// Takes over the routes that are in the maps.
    pub(crate) fn keep(&mut self, pinned: &Pinned) {
        for (_, route) in &pinned.hosts {
            self.identities.avoid(route.identity());
        }
        let identities = &self.identities;
        let host = |(key, route): &(IpKey, HostRoute)| host(key, route, pinned, identities);
        let delta = RouteDelta {
            hosts: pinned.hosts.iter().filter_map(host).collect(),
            prefixes: pinned.prefixes.iter().filter_map(|(key, hop)| prefix(key, hop, pinned)).collect(),
            macs: pinned.fdb.iter().filter_map(|(key, hop)| mac(key, hop, pinned)).collect(),
            flood: pinned.flood.iter().filter_map(|(key, member)| flood(key, member)).collect(),
        };
        self.change(delta);
        self.kept = Kept {
            hosts: self.hosts.sources().map(|(key, _)| *key).collect(),
            prefixes: self.prefixes.sources().map(|(key, _)| *key).collect(),
            macs: self.macs.keys().copied().collect(),
            flood: self
                .flood
                .iter()
                .flat_map(|(subnet, members)| members.keys().map(|vtep| (*subnet, *vtep)))
                .collect(),
        };
    }

    /// Lets ports that are new here have their addresses: that another host has taken one over, only a route can say that
    /// somebody told, not one that was kept. What was here when the data plane opened stays as it was found.
    pub(crate) fn yield_to(&mut self, tables: &Tables) {
        if self.hosts.is_unknown() {
            return;
        }
        let new: HashSet<_> = tables.fdb.keys().filter(|key| !self.fdb.entries.is_local(key)).collect();
        let has_new_mac = |key: &IpKey| {
            let neighbour = self.hosts.source(key).and_then(|host| host.neighbour.as_ref());
            neighbour.is_some_and(|of| new.contains(&MacKey::new(of.subnet, of.mac)))
        };
        let is_new = |key: &IpKey| tables.hosts.contains_key(key) && !self.hosts.is_local(key);
        let hosts = self.kept.hosts.iter().filter(|key| is_new(key) || has_new_mac(key));
        let hosts: Vec<_> = hosts.copied().collect();
        let macs: Vec<_> = self.kept.macs.iter().filter(|key| new.contains(key)).copied().collect();
        for key in hosts {
            self.change_host(key, None);
        }
        for key in macs {
            self.change_mac(key, None);
        }
    }

    /// How many routes nobody has confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        let Kept { hosts, prefixes, macs, flood } = &self.kept;
        hosts.len() + prefixes.len() + macs.len() + flood.len()
    }

    /// What removes those.
    pub(crate) fn sweep(&mut self) -> RouteDelta {
        let Kept { hosts, prefixes, macs, flood } = std::mem::take(&mut self.kept);
        let macs = macs.iter().filter_map(|key| Some((Vni::new(key.subnet()).ok()?, key.mac())));
        RouteDelta {
            hosts: hosts.iter().filter_map(host_of).map(|key| (key, None)).collect(),
            prefixes: prefixes.iter().filter_map(prefix_of).map(|key| (key, None)).collect(),
            macs: macs.map(|key| (key, None)).collect(),
            flood: flood.into_iter().map(|key| (key, None)).collect(),
        }
    }
}

fn host(
    key: &IpKey,
    route: &HostRoute,
    pinned: &Pinned,
    identities: &Identities,
) -> Option<((Vni, std::net::IpAddr), Option<RemoteHost>)> {
    let paths = Paths::read(route.next_hop(), key.network(), &pinned.paths)?;
    let neighbour = route.neighbour().and_then(|(subnet, mac)| {
        let (subnet, mac) = (Vni::new(subnet).ok()?, MacAddr::new(mac));
        let switched = pinned.fdb.get(&MacKey::new(subnet, mac))?;
        let switched = Paths::read(switched, subnet.get(), &pinned.paths)?;
        // The host whose it is says with which VNI it is switched to.
        let first = switched.iter().find(|path| path.vtep == paths.first.vtep)?;
        Some(Neighbour { subnet, vni: first.vni, mac })
    });
    let identity = route.identity();
    // Without its groups it would be let in where it is not meant to be, or kept out.
    let groups = identities.set(identity)?;
    let host = RoutedHost { paths, neighbour, identity };
    if host.value(key) != *route {
        return None;
    }
    let RoutedHost { paths, neighbour, .. } = host;
    Some((host_of(key)?, Some(RemoteHost { paths, neighbour, groups })))
}

fn prefix(key: &PrefixKey, hop: &NextHop, pinned: &Pinned) -> Option<((Vni, ipnet::IpNet), Option<Paths>)> {
    let paths = Paths::read(hop, key.address.network(), &pinned.paths)?;
    (paths.value(key) == *hop).then_some((prefix_of(key)?, Some(paths)))
}

fn mac(key: &MacKey, hop: &NextHop, pinned: &Pinned) -> Option<((Vni, MacAddr), Option<Paths>)> {
    // Whose groups it has, the routes of its addresses say.
    let hop = hop.of_member(key.scope(), 0);
    let paths = Paths::read(&hop, key.subnet(), &pinned.paths)?;
    (paths.next_hop(key.scope()) == hop).then_some(((Vni::new(key.subnet()).ok()?, key.mac()), Some(paths)))
}

fn flood(key: &FloodKey, member: &FloodMember) -> Option<((Vni, Vtep), Option<Vni>)> {
    if key.group() != flood_group::VTEPS {
        return None;
    }
    let (subnet, vni) = (Vni::new(key.subnet()).ok()?, Vni::new(member.vni()).ok()?);
    let vtep = vtep(member.address())?;
    (FloodMember::vtep(subnet, vtep, vni) == *member).then_some(((subnet, vtep), Some(vni)))
}

#[cfg(test)]
mod tests;
