//! Which of several routes to one address is used, and whether it is used before a port of this host (RFC 7432
//! sections 15 and 15.2, RFC 9135 section 7). What decides is in the routes, never when they came.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use super::Instances;
use super::forwarding::{
    MOST_PATHS, Neighbour, Paths, RemoteHost, RoutedPath, Subject, SwitchedPath, Target,
};
use super::learned::{Kind, Learned, LearnedMac};
use super::local::Attached;
use super::preference::Preference;
use super::resolved::{Import, OWN_ORDER};
use super::segments::Reach;
use crate::rib::Key;
use crate::wire::{EthernetSegmentId, RouteDistinguisher};

/// How good a route is: the least is used. The fields are compared in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// A network's own routes come before those of its peers.
    order: u32,
    /// Gateways come last: hosts that have the address for themselves are meant.
    gateway: bool,
    /// A sticky address comes first.
    moves: bool,
    sequence: Reverse<u32>,
    preference: Preference,
    /// Of an address whose VTEP is not attached to its segment any more: it leads to another one's.
    detached: bool,
    vtep: Vtep,
    /// What is left only makes the choice one.
    rest: Option<(RouteDistinguisher, MacAddr, Option<IpAddr>)>,
}

/// Where a rank was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Another network's route, or of a peering with a higher number.
    Order,
    /// It is a default gateway's.
    Gateway,
    /// The other one is sticky.
    Sticky,
    /// The other one has a higher mobility sequence.
    Sequence,
    /// The other one is not stale.
    Stale,
    /// The other one has a higher local preference.
    LocalPref,
    /// The other one has a shorter AS path.
    AsPath,
    /// The other one has a lower origin.
    Origin,
    /// The other one has a lower MED.
    Med,
    /// Its VTEP is not attached to its segment any more.
    Detached,
    /// The other one has a lower VTEP.
    Vtep,
    /// The other one has a lower distinguisher, MAC address or IP address.
    Other,
    /// The address moved too often, and stays where it is.
    Frozen,
}

impl Rank {
    /// Why it comes behind `other`.
    pub(super) fn lost(&self, other: &Self) -> Lost {
        if self.order != other.order {
            Lost::Order
        } else if self.gateway != other.gateway {
            Lost::Gateway
        } else if self.moves != other.moves {
            Lost::Sticky
        } else if self.sequence != other.sequence {
            Lost::Sequence
        } else if self.preference != other.preference {
            self.preference.lost(&other.preference)
        } else if self.detached != other.detached {
            Lost::Detached
        } else if self.vtep != other.vtep {
            Lost::Vtep
        } else {
            Lost::Other
        }
    }

    /// Whether all but the VTEP is as good.
    fn is_as_good_as(&self, other: &Self) -> bool {
        let same = Self { vtep: other.vtep, rest: other.rest, ..*self };
        same == *other
    }

    pub(super) const fn sequence(&self) -> u32 {
        self.sequence.0
    }

    pub(super) const fn is_sticky(&self) -> bool {
        !self.moves
    }

    pub(super) const fn is_gateway(&self) -> bool {
        self.gateway
    }

    /// Whether it is of the network itself, not of a peering.
    pub(super) const fn is_own_network(&self) -> bool {
        self.order == OWN_ORDER
    }
}

/// A route that could be used for a subject.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) rank: Rank,
    pub(super) target: Target,
    /// Of an address.
    pub(super) mac: Option<MacAddr>,
    /// Of an address behind one whose VTEPs are all active.
    segment: EthernetSegmentId,
    /// The network whose targets it came by: the same prefix of two networks is two destinations.
    network: Option<Vni>,
}

impl Candidate {
    /// Whether packets may take either: a prefix is behind both, or an address behind the segment of both.
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        let is_one = self.mac.is_none() || !self.segment.is_single_homed();
        is_one
            && (self.mac, self.segment, self.network) == (other.mac, other.segment, other.network)
            && self.rank.is_as_good_as(&other.rank)
    }
}

impl Instances {
    /// The rank of a port's addresses.
    pub(super) fn own_rank(&self, attached: &Attached) -> Rank {
        Rank {
            order: OWN_ORDER,
            gateway: false,
            moves: !attached.port.sticky,
            sequence: Reverse(attached.sequence),
            preference: Preference::default(),
            detached: false,
            vtep: self.host.vtep,
            rest: None,
        }
    }

    /// Whether a port of a network that the subject's one sees comes before a route of this rank. Where the address is in
    /// the subject's own network is another question.
    pub(super) fn is_seen_here(&self, subject: &Subject, rank: &Rank) -> bool {
        let Subject::Host(network, ip) = subject else { return false };
        let sees = self.resolved.networks.get(network).into_iter().flat_map(|network| &network.sees);
        let ports = sees.filter_map(|(other, order)| {
            let attached = self.ports.get(self.addresses.get(&(*other, *ip))?)?;
            Some((attached, *order))
        });
        ports
            .filter(|(attached, _)| attached.held && !attached.lost.contains(ip))
            .any(|(attached, order)| Rank { order, ..self.own_rank(attached) } < *rank)
    }

    /// The same address in the networks that see the subject's one.
    pub(super) fn seen_elsewhere(&self, subject: &Subject) -> impl Iterator<Item = Subject> {
        let host = if let Subject::Host(network, ip) = subject { Some((*network, *ip)) } else { None };
        host.into_iter().flat_map(|(network, ip)| {
            let networks =
                self.resolved.networks.get(&network).into_iter().flat_map(|network| network.seen_by.keys());
            networks.map(move |other| Subject::Host(*other, ip))
        })
    }

    /// What a route is about, here: nothing if no instance imports it.
    pub(super) fn subjects(&self, key: &Key, learned: &Learned) -> Vec<Subject> {
        let mut subjects = Vec::new();
        for import in self.resolved.imports(&learned.targets) {
            match (import, &learned.kind, key) {
                (Import::Subnet(subnet), Kind::Mac(mac), _) => {
                    subjects.push(Subject::Mac(subnet, mac.mac));
                    let network = self.resolved.subnets.get(&subnet).map(|subnet| subnet.network);
                    subjects.extend(network.zip(mac.ip).map(|(network, ip)| Subject::Host(network, ip)));
                }
                (
                    Import::Network(network),
                    Kind::Mac(LearnedMac { ip: Some(ip), routed: Some(_), .. }),
                    _,
                ) => {
                    subjects.extend(self.seen_by(network).map(|(network, _)| Subject::Host(network, *ip)));
                }
                (Import::Network(network), Kind::Prefix(_), Key::IpPrefix { prefix, .. }) => {
                    subjects
                        .extend(self.seen_by(network).map(|(network, _)| Subject::Prefix(network, *prefix)));
                }
                (Import::Subnet(subnet), Kind::Flood(_), _) => {
                    subjects.push(Subject::Flood(subnet, learned.vtep));
                }
                (Import::Network(_), Kind::Mac(_) | Kind::Flood(_) | Kind::Prefix(_), _)
                | (Import::Subnet(_), Kind::Prefix(_), _)
                | (_, Kind::Segment(..), _) => {}
            }
        }
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// The networks that see what `network` imports, itself first, with the order there.
    fn seen_by(&self, network: Vni) -> impl Iterator<Item = (Vni, u32)> {
        let others = self.resolved.networks.get(&network).into_iter().flat_map(|network| &network.seen_by);
        std::iter::once((network, OWN_ORDER)).chain(others.map(|(network, order)| (*network, *order)))
    }

    /// The route as a candidate for the subject; `None` if it cannot be used.
    pub(super) fn candidate(&self, subject: &Subject, key: &Key) -> Option<Candidate> {
        let learned = self.learned(key)?;
        match (*subject, &learned.kind) {
            (Subject::Mac(subnet, _), Kind::Mac(mac)) => {
                let Reach { paths, segment } = self.reach(learned, mac, Some(subnet))?;
                let rank = rank(key, learned, OWN_ORDER, paths.first.vtep);
                let target = Target::Mac(paths);
                Some(Candidate { rank, target, mac: Some(mac.mac), segment, network: None })
            }
            (Subject::Host(network, _), Kind::Mac(mac)) => self.remote_host(network, key, learned, mac),
            (Subject::Prefix(network, prefix), Kind::Prefix(of)) => {
                let (order, from) = self.order(network, learned)?;
                if self.is_own_prefix(network, prefix) {
                    return None;
                }
                let path = RoutedPath { vtep: learned.vtep, routed: of.routed };
                let rank = rank(key, learned, order, learned.vtep);
                let paths = Paths { first: path, others: of.others.clone() };
                let (target, segment) = (Target::Prefix(paths), EthernetSegmentId::ZERO);
                Some(Candidate { rank, target, mac: None, segment, network: Some(from) })
            }
            (Subject::Flood(..), Kind::Flood(vni)) => {
                let rank = rank(key, learned, OWN_ORDER, learned.vtep);
                let (target, segment) = (Target::Flood(*vni), EthernetSegmentId::ZERO);
                Some(Candidate { rank, target, mac: None, segment, network: None })
            }
            (
                Subject::Mac(..) | Subject::Host(..) | Subject::Prefix(..) | Subject::Flood(..),
                Kind::Mac(_) | Kind::Prefix(_) | Kind::Flood(_) | Kind::Segment(..),
            ) => None,
        }
    }

    /// The order of a route in a network, if it is there by a network's targets, and that network.
    fn order(&self, network: Vni, learned: &Learned) -> Option<(u32, Vni)> {
        let orders = self.resolved.imports(&learned.targets).filter_map(|import| match import {
            Import::Network(from) => {
                self.seen_by(from).find(|(seen_by, _)| *seen_by == network).map(|(_, order)| (order, from))
            }
            Import::Subnet(_) => None,
        });
        orders.min()
    }

    fn remote_host(&self, network: Vni, key: &Key, learned: &Learned, mac: &LearnedMac) -> Option<Candidate> {
        let ip = mac.ip?;
        // Of a link, not of the network (RFC 4291 section 2.5.6): FRR tells those of its pods too.
        let of_a_link = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if of_a_link || self.resolved.is_gateway(network, ip) {
            return None;
        }
        let subnet = self.resolved.imported_subnet(&learned.targets, network);
        let Reach { paths, segment } = self.reach(learned, mac, subnet)?;
        let SwitchedPath { vtep, vni } = paths.first;
        // How to route to it was told by one VTEP of the segment, and is true of that one.
        let order = self.order(network, learned);
        let routed = mac.routed.filter(|_| order.is_some() && vtep == learned.vtep);
        let neighbour = subnet.map(|subnet| Neighbour { subnet, vni, mac: mac.mac });
        if routed.is_none() && neighbour.is_none() {
            return None;
        }
        let (order, from) = if neighbour.is_some() { (OWN_ORDER, network) } else { order? };
        let (groups, others) = (mac.groups.to_vec(), Box::default());
        let target = Target::Host(Box::new(RemoteHost { vtep, routed, neighbour, groups, others }));
        let rank = rank(key, learned, order, vtep);
        Some(Candidate { rank, target, mac: Some(mac.mac), segment, network: Some(from) })
    }

    /// Whether the network has the prefix on this host itself.
    pub(super) fn is_own_prefix(&self, network: Vni, prefix: IpNet) -> bool {
        let own = |(name, prefixes): (&String, &std::collections::BTreeSet<IpNet>)| {
            self.resolved.network(name) == Some(network) && prefixes.contains(&prefix)
        };
        self.resolved.is_connected(network, prefix) || self.prefixes.iter().any(own)
    }

    /// The best route to the subject. One that moved too often stays with its VTEP as long as that has it.
    pub(super) fn best(&self, subject: &Subject) -> Option<Candidate> {
        let keys = self.candidates.get(subject)?;
        if let [key] = keys.as_slice() {
            return self.candidate(subject, key);
        }
        let mut candidates: Vec<_> = keys.iter().filter_map(|key| self.candidate(subject, key)).collect();
        candidates.sort_by_key(|candidate| candidate.rank);
        let stays = |held: &Vtep| candidates.iter().position(|candidate| candidate.target.leads_to(*held));
        let held = self.forwarding.get(subject).and_then(Target::vtep);
        let at = held.filter(|_| self.moves.is_frozen(subject)).as_ref().and_then(stays).unwrap_or(0);
        let best = candidates.get(at)?.clone();
        Some(share(best, &candidates))
    }
}

/// The best candidate, leading to the VTEPs of those as well that it shares packets with. `all` are in the order of their
/// ranks: of two routes of one VTEP, the better counts.
fn share(best: Candidate, all: &[Candidate]) -> Candidate {
    let Some(first) = best.target.routed_path() else { return best };
    let sharing = all.iter().filter(|candidate| candidate.shares_with(&best));
    let mut others = BTreeMap::new();
    for target in sharing.map(|candidate| &candidate.target) {
        for path in target.routed_path().iter().chain(target.other_paths()) {
            others.entry(path.vtep).or_insert(*path);
        }
    }
    others.remove(&first.vtep);
    let others = others.into_values().take(MOST_PATHS - 1).collect();
    Candidate { target: best.target.with_others(others), ..best }
}

/// The rank of a route that leads to `to`.
fn rank(key: &Key, learned: &Learned, order: u32, to: Vtep) -> Rank {
    let (rd, mac, ip) = match key {
        Key::MacIp { rd, mac, ip, .. } => (Some(*rd), *mac, *ip),
        Key::InclusiveMulticast { rd, originator, .. } => (Some(*rd), MacAddr::BROADCAST, Some(*originator)),
        Key::IpPrefix { rd, .. } => (Some(*rd), MacAddr::BROADCAST, None),
        Key::EthernetAd { .. }
        | Key::EthernetSegment { .. }
        | Key::UnknownEvpn { .. }
        | Key::Ipv4(_)
        | Key::Ipv6(_)
        | Key::RouteTargets(_) => (None, MacAddr::BROADCAST, None),
    };
    let (gateway, sticky, sequence) = match &learned.kind {
        Kind::Mac(mac) => (mac.gateway, mac.sticky, mac.sequence),
        Kind::Prefix(_) | Kind::Flood(_) | Kind::Segment(..) => (false, false, 0),
    };
    let preference = match &learned.kind {
        Kind::Prefix(of) => of.preference,
        Kind::Mac(_) | Kind::Flood(_) | Kind::Segment(..) => Preference::default(),
    };
    Rank {
        order,
        gateway,
        moves: !sticky,
        sequence: Reverse(sequence),
        preference,
        detached: to != learned.vtep,
        vtep: learned.vtep,
        rest: rd.map(|rd| (rd, mac, ip)),
    }
}
