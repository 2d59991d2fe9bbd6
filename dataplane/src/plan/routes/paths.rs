//! The ways to an address or a prefix as entries: one is an entry itself; of several the entry names the set, whose paths
//! are entries of their own.
//!
//! A set is named by a hash of its paths, and never changes: other paths are another set. So a route is given other paths
//! by one write, and sets that were pinned are found to be the same.

use hashbrown::HashMap;
use weft_dataplane_abi::{NextHop, PathKey, PathSet, Scope, VtepAddr, kind};
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::desired::{Path, Paths};

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Paths {
    /// What a route with these paths leads to.
    pub(super) fn next_hop(&self, scope: Scope) -> NextHop {
        match self.others.len() {
            0 => self.first.next_hop(scope),
            others => {
                let paths = u32::try_from(others + 1).unwrap_or(u32::MAX);
                self.first.next_hop(scope).among(scope, self.set(), paths)
            }
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

    /// The set's name: FNV-1a in 64 bits (draft-eastlake-fnv) of the bytes of all paths in their order. What is pinned is
    /// known by it: it must not change.
    fn set(&self) -> PathSet {
        let bytes = self.iter().flat_map(|path| {
            let vtep = VtepAddr::new(path.vtep).bytes();
            vtep.into_iter().chain(path.vni.get().to_be_bytes()).chain(path.mac.bytes())
        });
        PathSet::new(bytes.fold(FNV_BASIS, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sets_stay() {
        let path = |vtep: &str, vni| Path {
            vtep: vtep.parse().unwrap(),
            vni: Vni::new(vni).unwrap(),
            mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
        };
        let paths = Paths { first: path("192.0.2.1", 100), others: Box::new([path("2001:db8::1", 101)]) };
        assert_eq!(paths.set(), PathSet::new(0x99d4_7e2c_4a91_cd30));
    }
}
