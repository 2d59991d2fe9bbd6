//! Segments of multihomed sites, as far as a host that has none itself needs them: which VTEPs are attached, and by
//! which of them an address behind a segment is reached (RFC 7432 sections 8.2 and 8.4).

use std::collections::{BTreeSet, HashMap, HashSet};

use weft_vxlan::Vni;

use super::Instances;
use super::forwarding::RemoteMac;
use super::learned::{Kind, Learned, LearnedMac};
use super::resolved::Import;
use crate::rib::Key;
use crate::wire::EthernetSegmentId;

/// The routes of each segment.
#[derive(Debug, Default)]
pub(super) struct Segments(HashMap<EthernetSegmentId, Members>);

#[derive(Debug, Default)]
struct Members {
    /// Type 1 routes.
    discovery: HashSet<Key>,
    /// Type 2 routes.
    addresses: HashSet<Key>,
}

impl Members {
    fn of(&mut self, kind: &Kind) -> &mut HashSet<Key> {
        match kind {
            Kind::Segment(..) => &mut self.discovery,
            Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) => &mut self.addresses,
        }
    }
}

const fn segment(kind: &Kind) -> EthernetSegmentId {
    match kind {
        Kind::Segment(segment, _) => *segment,
        Kind::Mac(mac) => mac.segment,
        Kind::Prefix(_) | Kind::Flood(_) => EthernetSegmentId::ZERO,
    }
}

impl Segments {
    pub(super) fn insert(&mut self, key: &Key, kind: &Kind) {
        let segment = segment(kind);
        if !segment.is_single_homed() {
            self.0.entry(segment).or_default().of(kind).insert(key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &Key, kind: &Kind) {
        let segment = segment(kind);
        let Some(members) = self.0.get_mut(&segment) else { return };
        members.of(kind).remove(key);
        if members.discovery.is_empty() && members.addresses.is_empty() {
            self.0.remove(&segment);
        }
    }

    /// The addresses whose reachability may change with a route of this kind.
    pub(super) fn behind(&self, kind: &Kind) -> impl Iterator<Item = &Key> {
        let members = match kind {
            Kind::Segment(segment, _) => self.0.get(segment),
            Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) => None,
        };
        members.into_iter().flat_map(|members| &members.addresses)
    }
}

impl Instances {
    /// The VTEP to use of those that an address is behind, with the VNI that it wants.
    pub(super) fn member(
        &self,
        learned: &Learned,
        mac: &LearnedMac,
        subnet: Option<Vni>,
    ) -> Option<RemoteMac> {
        if mac.segment.is_single_homed() {
            return Some(RemoteMac { vtep: learned.vtep, vni: mac.vni });
        }
        self.members(learned, mac, subnet).into_iter().next()
    }

    /// The VTEPs that an address is behind, with the VNI that each wants; the one to use comes first. That is the one
    /// that told of the address, else the lowest. None if the whole segment was withdrawn.
    pub(super) fn members(&self, learned: &Learned, mac: &LearnedMac, subnet: Option<Vni>) -> Vec<RemoteMac> {
        let told = RemoteMac { vtep: learned.vtep, vni: mac.vni };
        if mac.segment.is_single_homed() {
            return vec![told];
        }
        let (mut attached, mut instances) = (BTreeSet::new(), BTreeSet::new());
        let discovery = self.segments.0.get(&mac.segment).into_iter().flat_map(|members| &members.discovery);
        for learned in discovery.filter_map(|key| self.learned(key)) {
            match learned.kind {
                Kind::Segment(_, None) => {
                    attached.insert(learned.vtep);
                }
                Kind::Segment(_, Some(vni)) => {
                    let mut imports = self.resolved.imports(&learned.targets);
                    if subnet.is_some_and(|subnet| imports.any(|import| import == Import::Subnet(subnet))) {
                        instances.insert((learned.vtep, vni));
                    }
                }
                Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) => {}
            }
        }
        let first = attached.contains(&told.vtep).then_some(told);
        let others = instances.into_iter().filter(|(vtep, _)| *vtep != told.vtep && attached.contains(vtep));
        first.into_iter().chain(others.map(|(vtep, vni)| RemoteMac { vtep, vni })).collect()
    }
}
