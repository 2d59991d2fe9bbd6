//! Routes that were in the maps when a data plane opened: kept until somebody says that they are still so, or that they
//! are not, or that whoever could say has had the time to (RFC 4724 section 4.1).
//!
//! What an entry was made of is read from it, and made into an entry again: what does not come out the same is not kept.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use weft_dataplane_abi::{
    FloodKey, FloodMember, HostRoute, IpKey, MacKey, NextHop, VtepAddr, flood_group, kind,
};
use weft_vxlan::{MacAddr, Vni, Vtep};

use super::{RouteTables, Source as _, Tables, host_of, prefix_of};
use crate::bpf::PrefixKey;
use crate::desired::{Neighbour, RemoteHost, RemoteMac, RemotePrefix, RouteDelta};

/// What the maps hold.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    pub(crate) hosts: Vec<(IpKey, HostRoute)>,
    pub(crate) prefixes: Vec<(PrefixKey, NextHop)>,
    pub(crate) fdb: HashMap<MacKey, NextHop>,
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
        let delta = RouteDelta {
            hosts: pinned.hosts.iter().filter_map(|(key, route)| host(key, route, &pinned.fdb)).collect(),
            prefixes: pinned.prefixes.iter().filter_map(|(key, hop)| prefix(key, hop)).collect(),
            macs: pinned.fdb.iter().filter_map(|(key, hop)| mac(key, hop)).collect(),
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
    fdb: &HashMap<MacKey, NextHop>,
) -> Option<((Vni, std::net::IpAddr), Option<RemoteHost>)> {
    let (vtep, vni, router_mac) = remote(route.next_hop())?;
    let neighbour = route.neighbour().and_then(|(subnet, mac)| {
        let subnet = Vni::new(subnet).ok()?;
        let switched = fdb.get(&MacKey::new(subnet, MacAddr::new(mac))).and_then(remote);
        // The host whose it is says with which VNI it is switched to.
        let (_, vni, _) = switched.filter(|(of, ..)| *of == vtep)?;
        Some(Neighbour { subnet, vni, mac: MacAddr::new(mac) })
    });
    let host = RemoteHost { vtep, router_mac, vni, neighbour };
    (host.value(key) == *route).then_some((host_of(key)?, Some(host)))
}

fn prefix(key: &PrefixKey, hop: &NextHop) -> Option<((Vni, ipnet::IpNet), Option<RemotePrefix>)> {
    let (vtep, vni, router_mac) = remote(hop)?;
    let behind = RemotePrefix { vtep, router_mac, vni };
    (behind.value(key) == *hop).then_some((prefix_of(key)?, Some(behind)))
}

fn mac(key: &MacKey, hop: &NextHop) -> Option<((Vni, MacAddr), Option<RemoteMac>)> {
    let (vtep, vni, _) = remote(hop)?;
    let to = RemoteMac { vtep, vni };
    (to.next_hop(key) == *hop).then_some(((Vni::new(key.subnet()).ok()?, key.mac()), Some(to)))
}

fn flood(key: &FloodKey, member: &FloodMember) -> Option<((Vni, Vtep), Option<Vni>)> {
    if key.group() != flood_group::VTEPS {
        return None;
    }
    let (subnet, vni) = (Vni::new(key.subnet()).ok()?, Vni::new(member.vni()).ok()?);
    let vtep = vtep(member.address())?;
    (FloodMember::vtep(subnet, vtep, vni) == *member).then_some(((subnet, vtep), Some(vni)))
}

/// VTEP, VNI and MAC of a next hop on another host.
fn remote(hop: &NextHop) -> Option<(Vtep, Vni, MacAddr)> {
    if hop.kind() != kind::REMOTE {
        return None;
    }
    Some((vtep(hop.vtep())?, Vni::new(hop.vni()).ok()?, MacAddr::new(hop.mac())))
}

fn vtep(address: &VtepAddr) -> Option<Vtep> {
    let bytes = address.bytes();
    let address = if address.is_ipv4() { address.ipv4_bytes().into() } else { bytes.into() };
    Vtep::new(address).ok()
}

#[cfg(test)]
mod tests;
