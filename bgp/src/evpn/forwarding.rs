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
        to: Option<RemoteMac>,
    },
    /// A prefix behind another host.
    Prefix {
        /// L3 VNI here.
        network: Vni,
        /// The prefix.
        prefix: IpNet,
        /// Where to.
        to: Option<RemotePrefix>,
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

/// Where an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// The VTEP.
    pub vtep: Vtep,
    /// How packets are routed to it; `None` if they can only be switched there (no symmetric IRB, RFC 9135).
    pub routed: Option<Routed>,
    /// What is known at layer 2, if the address is in a subnet that is here as well.
    pub neighbour: Option<Neighbour>,
    /// The groups of the port, in their order.
    pub groups: Vec<GroupCommunity>,
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

/// Where a MAC address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteMac {
    /// The VTEP.
    pub vtep: Vtep,
    /// The VNI that it wants.
    pub vni: Vni,
}

/// What a prefix is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemotePrefix {
    /// The VTEP.
    pub vtep: Vtep,
    /// How packets are routed to it.
    pub routed: Routed,
}

/// The right side of a [`Forwarding`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Mac(RemoteMac),
    Host(Box<RemoteHost>),
    Prefix(RemotePrefix),
    Flood(Vni),
}

impl Target {
    /// The VTEP; that of a flood is in its subject.
    pub(super) fn vtep(&self) -> Option<Vtep> {
        match self {
            Self::Mac(to) => Some(to.vtep),
            Self::Host(to) => Some(to.vtep),
            Self::Prefix(to) => Some(to.vtep),
            Self::Flood(_) => None,
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
