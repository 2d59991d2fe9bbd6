//! The resources that users write and read.
//!
//! A document has a `kind`, a `name` (unique within its kind), and the fields of that kind. Unknown fields are
//! refused. What weft fills in (MAC, addresses, gateway) is optional on the way in and always there on the way out.

pub mod bgp;
pub mod policy;
mod secret;
pub mod security;
mod words;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use weft_bgp::wire::RouteDistinguisher;
use weft_vxlan::{MacAddr, Vni, Vtep};

pub use bgp::{Peer, PeerGroup, Peering, RouteTargets};
pub use secret::Secret;
pub use security::{AllowedPair, RuleVerdict, SecurityGroup, SecurityRule};
pub use words::{Bfd, BfdTimers, ExportTargets, ImportTargets, Med, PeerAs};

/// Any resource, tagged by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Resource {
    /// A routing domain.
    Network(Network),
    /// A named set of rules.
    SecurityGroup(SecurityGroup),
    /// A broadcast domain.
    Subnet(Subnet),
    /// A workload's NIC.
    Port(Port),
    /// Another host's addresses and prefixes, given by hand.
    Remote(Remote),
    /// Two networks that see each other's routes.
    Peering(Peering),
    /// Defaults of BGP neighbours.
    PeerGroup(Box<PeerGroup>),
    /// A BGP neighbour.
    Peer(Box<Peer>),
}

impl Resource {
    /// The same for people and programs that read it: without secrets.
    #[must_use]
    pub fn masked(mut self) -> Self {
        if let Some(password) = self.password_mut() {
            *password = Secret::masked();
        }
        self
    }

    /// Its secret, if it has one.
    pub fn password_mut(&mut self) -> Option<&mut Secret> {
        match self {
            Self::Peer(peer) => peer.password.as_mut(),
            Self::PeerGroup(group) => group.password.as_mut(),
            Self::Network(_)
            | Self::SecurityGroup(_)
            | Self::Subnet(_)
            | Self::Port(_)
            | Self::Remote(_)
            | Self::Peering(_) => None,
        }
    }
}

/// A tenant's routing domain (IP-VRF). Addresses of two networks may overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Unique among networks.
    pub name: String,
    /// Who owns it.
    pub tenant: String,
    /// L3 VNI: routed packets carry it between hosts.
    pub vni: Vni,
    /// What comes to a port and no rule is about: denied unless given.
    #[serde(default = "deny", skip_serializing_if = "is_deny")]
    pub default_ingress: RuleVerdict,
    /// What a port sends and no rule is about: allowed unless given.
    #[serde(default, skip_serializing_if = "is_allow")]
    pub default_egress: RuleVerdict,
    /// What its routes carry and which it takes; AS:VNI unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_targets: Option<RouteTargets>,
    /// What tells its routes from those of other networks and hosts; made of the router id and a number unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_distinguisher: Option<RouteDistinguisher>,
}

const fn deny() -> RuleVerdict {
    RuleVerdict::Deny
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_deny(verdict: &RuleVerdict) -> bool {
    matches!(verdict, RuleVerdict::Deny)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_allow(verdict: &RuleVerdict) -> bool {
    matches!(verdict, RuleVerdict::Allow)
}

/// A broadcast domain of a network (MAC-VRF) with an IPv4 and/or IPv6 prefix and an anycast gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Unique among subnets.
    pub name: String,
    /// Name of its network.
    pub network: String,
    /// L2 VNI: switched frames carry it between hosts.
    pub vni: Vni,
    /// IPv4 prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Net>,
    /// IPv4 gateway; the first address of the prefix unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway4: Option<Ipv4Addr>,
    /// IPv6 prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Net>,
    /// IPv6 gateway; the first address after the prefix's own unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<Ipv6Addr>,
    /// What its routes carry and which it takes; AS:VNI unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_targets: Option<RouteTargets>,
    /// What tells its routes from those of other subnets and hosts; made of the router id and a number unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_distinguisher: Option<RouteDistinguisher>,
}

/// One NIC of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Unique among ports.
    pub name: String,
    /// Name of its subnet.
    pub subnet: String,
    /// MAC of the workload's end; allocated unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// At most one address of each family that the subnet has; allocated unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Names of its security groups, of its network's tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Addresses and MACs that it may send from besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_pairs: Vec<AllowedPair>,
    /// Whether it may send from any address and MAC: for routers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub any_source: bool,
    /// Where it is attached; set by attaching and detaching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The namespace that a port's workload lives in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Path of the network namespace, such as `/run/netns/web-1`.
    pub netns: PathBuf,
    /// Name of the device inside it.
    #[serde(default = "default_device")]
    pub device: String,
}

fn default_device() -> String {
    "eth0".to_owned()
}

/// Another host, given by hand: what is behind its VTEP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Unique among remotes.
    pub name: String,
    /// The host's tunnel address.
    pub vtep: Vtep,
    /// The host's router MAC; derived from the VTEP unless given, as weft does for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_mac: Option<MacAddr>,
    /// Names of subnets that the host takes part in, whatever workloads of it are known: what is for all of a subnet
    /// is copied to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Workloads on the host; it takes part in their subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<RemoteAddress>,
    /// Prefixes reachable through the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<RemotePrefix>,
}

/// A workload on another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteAddress {
    /// Name of its subnet.
    pub subnet: String,
    /// Its address, within the subnet.
    pub address: IpAddr,
    /// Its MAC.
    pub mac: MacAddr,
}

/// A prefix behind another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemotePrefix {
    /// Name of the network.
    pub network: String,
    /// The prefix.
    pub prefix: IpNet,
}
