//! What routes of others mean for packets: the words that the data plane is told in.

use std::net::IpAddr;

use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::wire::GroupCommunity;

/// What a route is about, here. A type 2 can be about a MAC address and, in several networks, an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A MAC address of a subnet (L2 VNI).
    Mac(Vni, MacAddr),
    /// An address of a network (L3 VNI).
    Host(Vni, IpAddr),
    /// A prefix of a network (L3 VNI).
    Prefix(Vni, IpNet),
    /// A VTEP that takes part in a subnet (L2 VNI).
    Flood(Vni, Vtep),
}

/// A change of where packets go: set from now on, or gone if there is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarding {
    /// An address on another host.
    Host {
        /// L3 VNI here.
        network: Vni,
        /// The address.
        address: IpAddr,
        /// Where it is.
        to: Option<RemoteHost>,
    },
    /// A MAC address on another host.
    Mac {
        /// L2 VNI here.
        subnet: Vni,
        /// The address.
        mac: MacAddr,
        /// Where it is.
        to: Option<Paths<SwitchedPath>>,
    },
    /// A prefix behind another host.
    Prefix {
        /// L3 VNI here.
        network: Vni,
        /// The prefix.
        prefix: IpNet,
        /// Where to.
        to: Option<Paths<RoutedPath>>,
    },
    /// A host that wants what is copied to all of a subnet.
    Flood {
        /// L2 VNI here.
        subnet: Vni,
        /// The host.
        vtep: Vtep,
        /// The VNI that it wants.
        vni: Option<Vni>,
    },
}

/// The most paths that are used for one address or prefix.
pub(super) const MOST_PATHS: usize = 64;

/// Ways that are equally good: each flow takes one. Mostly there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths<T> {
    /// The first.
    pub first: T,
    /// The others, each by another VTEP.
    pub others: Box<[T]>,
}

impl<T> From<T> for Paths<T> {
    fn from(first: T) -> Self {
        Self { first, others: Box::default() }
    }
}

/// Where an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// The VTEP; of several, the first.
    pub vtep: Vtep,
    /// How packets are routed to it; `None` if they can only be switched there (no symmetric IRB, RFC 9135).
    pub routed: Option<Routed>,
    /// What is known at layer 2, if the address is in a subnet that is here as well.
    pub neighbour: Option<Neighbour>,
    /// The groups of the port, in their order.
    pub groups: Vec<GroupCommunity>,
    /// Other VTEPs that packets are routed to it by equally well: it is multihomed.
    pub others: Box<[RoutedPath]>,
}

/// How packets are routed to a VTEP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// The inner destination MAC.
    pub router_mac: MacAddr,
    /// The VNI that the VTEP wants.
    pub vni: Vni,
}

/// Where an address is at layer 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// L2 VNI here.
    pub subnet: Vni,
    /// The VNI that the VTEP wants for switched frames.
    pub vni: Vni,
    /// The MAC address.
    pub mac: MacAddr,
}

/// A way of frames that are switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedPath {
    /// The VTEP.
    pub vtep: Vtep,
    /// The VNI that it wants.
    pub vni: Vni,
}

/// A way of packets that are routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutedPath {
    /// The VTEP.
    pub vtep: Vtep,
    /// How packets are routed to it.
    pub routed: Routed,
}

/// The right side of a [`Forwarding`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Mac(Paths<SwitchedPath>),
    Host(Box<RemoteHost>),
    Prefix(Paths<RoutedPath>),
    Flood(Vni),
}

impl Target {
    /// The first VTEP; that of a flood is in its subject.
    pub(super) fn vtep(&self) -> Option<Vtep> {
        match self {
            Self::Mac(to) => Some(to.first.vtep),
            Self::Host(to) => Some(to.vtep),
            Self::Prefix(to) => Some(to.first.vtep),
            Self::Flood(_) => None,
        }
    }

    /// Whether packets are sent to `vtep`.
    pub(super) fn leads_to(&self, vtep: Vtep) -> bool {
        let other = match self {
            Self::Mac(to) => to.others.iter().any(|path| path.vtep == vtep),
            Self::Host(to) => to.others.iter().any(|path| path.vtep == vtep),
            Self::Prefix(to) => to.others.iter().any(|path| path.vtep == vtep),
            Self::Flood(_) => false,
        };
        other || self.vtep() == Some(vtep)
    }

    /// The way of routed packets to the first VTEP.
    pub(super) fn routed_path(&self) -> Option<RoutedPath> {
        match self {
            Self::Host(to) => to.routed.map(|routed| RoutedPath { vtep: to.vtep, routed }),
            Self::Prefix(to) => Some(to.first),
            Self::Mac(_) | Self::Flood(_) => None,
        }
    }

    /// Whether it is one of the ways of routed packets.
    pub(super) fn takes(&self, path: &RoutedPath) -> bool {
        self.other_paths().contains(path) || self.routed_path().as_ref() == Some(path)
    }

    /// The ways of routed packets but for the first.
    pub(super) fn other_paths(&self) -> &[RoutedPath] {
        match self {
            Self::Host(to) => &to.others,
            Self::Prefix(to) => &to.others,
            Self::Mac(_) | Self::Flood(_) => &[],
        }
    }

    /// The same, with other ways of routed packets; of a switched one they are known from the start.
    pub(super) fn with_others(self, others: Box<[RoutedPath]>) -> Self {
        match self {
            Self::Host(to) => Self::Host(Box::new(RemoteHost { others, ..*to })),
            Self::Prefix(to) => Self::Prefix(Paths { others, ..to }),
            Self::Mac(_) | Self::Flood(_) => self,
        }
    }
}

impl Forwarding {
    pub(super) fn new(subject: Subject, target: Option<Target>) -> Self {
        match subject {
            Subject::Mac(subnet, mac) => {
                let to = if let Some(Target::Mac(to)) = target { Some(to) } else { None };
                Self::Mac { subnet, mac, to }
            }
            Subject::Host(network, address) => {
                let to = if let Some(Target::Host(to)) = target { Some(*to) } else { None };
                Self::Host { network, address, to }
            }
            Subject::Prefix(network, prefix) => {
                let to = if let Some(Target::Prefix(to)) = target { Some(to) } else { None };
                Self::Prefix { network, prefix, to }
            }
            Subject::Flood(subnet, vtep) => {
                let vni = if let Some(Target::Flood(vni)) = target { Some(vni) } else { None };
                Self::Flood { subnet, vtep, vni }
            }
        }
    }
}

impl Subject {
    /// The VNI of the instance.
    pub(super) const fn instance(&self) -> Vni {
        match self {
            Self::Mac(vni, _) | Self::Host(vni, _) | Self::Prefix(vni, _) | Self::Flood(vni, _) => *vni,
        }
    }
    /// The subnet of a MAC address.
    pub(super) const fn subnet(&self) -> Option<Vni> {
        match self {
            Self::Mac(vni, _) => Some(*vni),
            Self::Host(..) | Self::Prefix(..) | Self::Flood(..) => None,
        }
    }
}
