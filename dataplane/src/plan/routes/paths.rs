//! The ways to an address or a prefix as entries: one is an entry itself; of several the entry names the set, whose paths
//! are entries of their own.
//!
//! A set is named by a hash of its paths, and never changes: other paths are another set. So a route is given other paths
//! by one write, and sets that were pinned are found to be the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hashbrown::HashMap;
use weft_dataplane_abi::{NextHop, PathKey, PathSet, Scope, VtepAddr, kind};
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::desired::{Path, Paths};

impl Paths {
    /// What a route with these paths leads to.
    pub(super) fn next_hop(&self, scope: Scope) -> NextHop {
        match self.others.len() {
            0 => self.first.next_hop(scope),
            others => NextHop::multipath(scope, self.set(), u32::try_from(others + 1).unwrap_or(u32::MAX)),
        }
    }

    /// The entries of the paths, if there are several, in the network or subnet `vni`.
    pub(super) fn entries(&self, vni: u32) -> impl Iterator<Item = (PathKey, NextHop)> {
        let several = (!self.others.is_empty()).then(|| self.set());
        several.into_iter().flat_map(move |set| {
            (0..).zip(self.iter()).map(move |(index, path)| {
                let key = PathKey::raw(vni, set, index);
                (key, path.next_hop(key.scope()))
            })
        })
    }

    fn set(&self) -> PathSet {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        PathSet::new(hasher.finish())
    }

    /// What the entry `hop` of the network or subnet `vni` was made of; `None` if it does not lead to other hosts, or not
    /// all of its paths are there.
    pub(super) fn read(hop: &NextHop, vni: u32, entries: &HashMap<PathKey, NextHop>) -> Option<Self> {
        if hop.kind() != kind::MULTIPATH {
            return Path::read(hop).map(Self::from);
        }
        let (set, count) = hop.paths();
        let path = |index| Path::read(entries.get(&PathKey::raw(vni, set, index))?);
        let first = path(0)?;
        Some(Self { first, others: (1..count).map(path).collect::<Option<_>>()? })
    }
}

impl Path {
    fn next_hop(&self, scope: Scope) -> NextHop {
        NextHop::remote(scope, self.vtep, self.vni, self.mac)
    }

    fn read(hop: &NextHop) -> Option<Self> {
        if hop.kind() != kind::REMOTE {
            return None;
        }
        Some(Self { vtep: vtep(hop.vtep())?, vni: Vni::new(hop.vni()).ok()?, mac: MacAddr::new(hop.mac()) })
    }
}

/// The VTEP that an entry names.
pub(super) fn vtep(address: &VtepAddr) -> Option<Vtep> {
    let address = if address.is_ipv4() { address.ipv4_bytes().into() } else { address.bytes().into() };
    Vtep::new(address).ok()
}
