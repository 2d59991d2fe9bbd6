//! Segments of multihomed sites, as far as a host that has none itself needs them: which VTEPs are attached, and by
//! which of them an address behind a segment is reached (RFC 7432 sections 8.2 and 8.4).

use std::collections::{BTreeSet, HashMap, HashSet};

use weft_vxlan::Vni;

use super::Instances;
use super::forwarding::{MOST_PATHS, Paths, SwitchedPath};
use super::learned::{Discovery, Kind, Learned, LearnedMac};
use super::resolved::Import;
use crate::rib::Key;
use crate::wire::EthernetSegmentId;

/// The routes of each segment.
#[derive(Debug, Default)]
pub(super) struct Segments(HashMap<EthernetSegmentId, Routes>);

/// How an address is reached.
pub(super) struct Reach {
    /// By each VTEP that it is behind, with the VNI that that wants.
    pub(super) paths: Paths<SwitchedPath>,
    /// The segment, if all its VTEPs take packets.
    pub(super) segment: EthernetSegmentId,
}

/// The VTEPs that an address is behind.
pub(super) struct Members {
    pub(super) paths: Vec<SwitchedPath>,
    /// Whether each of them takes packets at any time; else one does (RFC 7432 section 14.1).
    pub(super) all_active: bool,
}

#[derive(Debug, Default)]
struct Routes {
    /// Type 1 routes.
    discovery: HashSet<Key>,
    /// Type 2 routes.
    addresses: HashSet<Key>,
}

impl Routes {
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
        let Some(routes) = self.0.get_mut(&segment) else { return };
        routes.of(kind).remove(key);
        if routes.discovery.is_empty() && routes.addresses.is_empty() {
            self.0.remove(&segment);
        }
    }

    /// The addresses whose reachability may change with a route of this kind.
    pub(super) fn behind(&self, kind: &Kind) -> impl Iterator<Item = &Key> {
        let routes = match kind {
            Kind::Segment(segment, _) => self.0.get(segment),
            Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) => None,
        };
        routes.into_iter().flat_map(|routes| &routes.addresses)
    }
}

impl Instances {
    /// How an address is reached; `None` if the whole segment was withdrawn.
    pub(super) fn reach(&self, learned: &Learned, mac: &LearnedMac, subnet: Option<Vni>) -> Option<Reach> {
        if mac.segment.is_single_homed() {
            let told = SwitchedPath { vtep: learned.vtep, vni: mac.vni };
            return Some(Reach { paths: told.into(), segment: EthernetSegmentId::ZERO });
        }
        let Members { paths, all_active } = self.members(learned, mac, subnet);
        let mut paths = paths.into_iter().take(if all_active { MOST_PATHS } else { 1 });
        let first = paths.next()?;
        let segment = if all_active { mac.segment } else { EthernetSegmentId::ZERO };
        Some(Reach { paths: Paths { first, others: paths.collect() }, segment })
    }

    /// The VTEPs that an address is behind; the one to use, if not all are, comes first. That is the one that told of the
    /// address, else the lowest. None if the whole segment was withdrawn.
    pub(super) fn members(&self, learned: &Learned, mac: &LearnedMac, subnet: Option<Vni>) -> Members {
        let told = SwitchedPath { vtep: learned.vtep, vni: mac.vni };
        if mac.segment.is_single_homed() {
            return Members { paths: vec![told], all_active: true };
        }
        let (mut attached, mut instances, mut all_active) = (BTreeSet::new(), BTreeSet::new(), true);
        let discovery = self.segments.0.get(&mac.segment).into_iter().flat_map(|routes| &routes.discovery);
        for learned in discovery.filter_map(|key| self.learned(key)) {
            match learned.kind {
                Kind::Segment(_, Discovery::Segment { single_active }) => {
                    attached.insert(learned.vtep);
                    all_active &= !single_active;
                }
                Kind::Segment(_, Discovery::Instance(vni)) => {
                    let mut imports = self.resolved.imports(&learned.targets);
                    if subnet.is_some_and(|subnet| imports.any(|import| import == Import::Subnet(subnet))) {
                        // Of several instances of one VTEP, that with the VNI that was told, else the lowest.
                        instances.insert((learned.vtep, vni != mac.vni, vni));
                    }
                }
                Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) => {}
            }
        }
        let first = attached.contains(&told.vtep).then_some(told);
        let others = instances.into_iter().filter(|(vtep, ..)| *vtep != told.vtep && attached.contains(vtep));
        let others = others.map(|(vtep, _, vni)| SwitchedPath { vtep, vni });
        let mut paths: Vec<_> = first.into_iter().chain(others).collect();
        paths.dedup_by_key(|path| path.vtep);
        Members { paths, all_active }
    }
}
