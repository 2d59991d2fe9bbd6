//! What the kernel should do, in the words of the field: the only input of this crate.
//!
//! The daemon makes a [`Desired`] from its model and its routes; planning turns it into links and map
//! entries. It holds no interface index, slot or file descriptor: those are the kernel's and are observed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_policy::{Action, Direction, GroupSet, Policy};
use weft_vxlan::{MacAddr, Vni, Vtep};

pub use weft_dataplane_abi::{FlowLimits, FlowTimeouts};

/// Everything that this host's data plane should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The host itself.
    pub host: Host,
    /// Subnets by L2 VNI. A network exists by its subnets, ports and routes.
    pub subnets: BTreeMap<Vni, Subnet>,
    /// Networks by L3 VNI.
    pub networks: BTreeMap<Vni, Network>,
    /// Ports of this host, by the name that they have in the API.
    pub ports: BTreeMap<String, Port>,
    /// VTEPs that take part in a subnet, by L2 VNI: each with the VNI that it wants for what is copied to all of them
    /// (the routes of type 3 of RFC 7432). At most [`MOST_FLOOD_VTEPS`](weft_dataplane_abi::MOST_FLOOD_VTEPS) in each.
    pub flood: BTreeMap<Vni, BTreeMap<Vtep, Vni>>,
    /// Addresses on other hosts, by network (L3 VNI) and address.
    pub remote_hosts: BTreeMap<(Vni, IpAddr), RemoteHost>,
    /// Prefixes behind other hosts, by network (L3 VNI) and prefix.
    pub remote_prefixes: BTreeMap<(Vni, IpNet), Paths>,
    /// MAC addresses on other hosts, by subnet (L2 VNI) and address. Those of neighbours need not be here.
    pub remote_macs: BTreeMap<(Vni, MacAddr), Paths>,
}

/// The host and its place in the underlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The device that VXLAN arrives on.
    pub underlay: String,
    /// Our tunnel address. It must be an address of this host, on any device.
    pub vtep: Vtep,
    /// UDP port of VXLAN.
    pub udp_port: u16,
    /// Our MAC towards other hosts in routed packets.
    pub router_mac: MacAddr,
    /// The anycast gateways' MAC towards ports, the same on all hosts.
    pub gateway_mac: MacAddr,
    /// What each port may cause.
    pub limits: Limits,
    /// How many connections there may be, and for how long.
    pub flows: FlowLimits,
    /// What the underlay device does before there is an skb.
    pub xdp: Xdp,
    /// VTEPs to which the way damages checksums that are left to the underlay device: packets to them go through weft's
    /// vxlan device, which computes all checksums in software while there is one.
    pub software_checksums: BTreeSet<Vtep>,
}

/// What the underlay device is to do with received packets before there is an skb, always in native mode: in the driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Xdp {
    /// What is known to gain with the device's driver.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// Drop what may not come in.
    Guard,
    /// That, and decapsulate and deliver.
    Forward,
}

/// What each port may cause in a second, and after a pause at once; 0: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Frames that are flooded to a whole subnet.
    pub floods: u32,
    /// ICMP errors that it is sent.
    pub icmp_errors: u32,
    /// Drops that are told one by one; all are counted.
    pub drop_events: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { floods: 200, icmp_errors: 100, drop_events: 10 }
    }
}

/// A routing domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name in the API, for messages.
    pub name: String,
    /// Other networks (L3 VNIs) whose ports and gateways on this host it sees beside its own. Of several that have an
    /// address the first counts. What it sees of their routes is among its own.
    pub sees: Vec<Vni>,
}

/// A broadcast domain of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its name in the API, for messages.
    pub name: String,
    /// L3 VNI of its network.
    pub network: Vni,
    /// IPv4 prefix and gateway.
    pub ipv4: Option<(Ipv4Net, Ipv4Addr)>,
    /// IPv6 prefix and gateway.
    pub ipv6: Option<(Ipv6Net, Ipv6Addr)>,
}

/// A workload's NIC on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// L2 VNI of its subnet.
    pub subnet: Vni,
    /// MAC of the workload's end.
    pub mac: MacAddr,
    /// IPv4 address, within the subnet's prefix.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, within the subnet's prefix.
    pub ipv6: Option<Ipv6Addr>,
    /// The workload's network namespace, such as `/run/netns/web-1`.
    pub netns: PathBuf,
    /// Name of the workload's end in its namespace, such as `eth0`.
    pub device: String,
    /// Who owns its network: connections are counted by tenant.
    pub tenant: String,
    /// What it may send and receive.
    pub security: Security,
}

/// What a port may send and receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// What is let in.
    pub ingress: Policy,
    /// What is let out.
    pub egress: Policy,
    /// The groups that the port is a member of.
    pub groups: GroupSet,
    /// Prefixes from whose addresses it may send besides its own, each with the MAC that it then has.
    pub pairs: BTreeMap<IpNet, MacAddr>,
    /// Whether it may send from any address and MAC: a router.
    pub any_source: bool,
}

impl Security {
    /// Everything is let in and out, from the port's own addresses.
    #[must_use]
    pub fn open() -> Self {
        let allowed = |direction| Policy::new(direction, []).with_default(Action::Allow);
        Self {
            ingress: allowed(Direction::Ingress),
            egress: allowed(Direction::Egress),
            groups: GroupSet::empty(),
            pairs: BTreeMap::new(),
            any_source: false,
        }
    }

    /// Whether packets have to be judged at all.
    #[must_use]
    pub fn is_firewall(&self) -> bool {
        let judges = |policy: &Policy| policy.default_action() == Action::Deny || !policy.rules().is_empty();
        judges(&self.ingress) || judges(&self.egress)
    }
}

/// An address on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHost {
    /// How packets are routed to it.
    pub paths: Paths,
    /// The address's subnet and MAC, if they are known: lets neighbours resolve it and switch to it.
    pub neighbour: Option<Neighbour>,
    /// The groups that whoever has the address is a member of.
    pub groups: GroupSet,
}

/// Where an address is at layer 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// L2 VNI of the subnet here.
    pub subnet: Vni,
    /// VNI that the first of the hosts wants for switched frames.
    pub vni: Vni,
    /// MAC of the workload.
    pub mac: MacAddr,
}

/// The way to another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// The host's VTEP.
    pub vtep: Vtep,
    /// VNI that the host wants.
    pub vni: Vni,
    /// Destination MAC of routed packets, the host's router MAC; zeros for frames that are switched, which have theirs.
    pub mac: MacAddr,
}

/// The ways to an address or a prefix, which are equally good: each flow takes one. Mostly there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The first.
    pub first: Path,
    /// The others.
    pub others: Box<[Path]>,
}

impl Path {
    /// The way of switched frames.
    #[must_use]
    pub const fn switched(vtep: Vtep, vni: Vni) -> Self {
        Self { vtep, vni, mac: MacAddr::new([0; 6]) }
    }
}

impl From<Path> for Paths {
    fn from(first: Path) -> Self {
        Self { first, others: Box::default() }
    }
}

impl Paths {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Changes of routes to other hosts. Each route is so from now on, or goes if there is `None`; the others stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteDelta {
    /// Addresses on other hosts, as in [`Desired::remote_hosts`].
    pub hosts: Vec<((Vni, IpAddr), Option<RemoteHost>)>,
    /// Prefixes behind other hosts, as in [`Desired::remote_prefixes`].
    pub prefixes: Vec<((Vni, IpNet), Option<Paths>)>,
    /// MAC addresses on other hosts, as in [`Desired::remote_macs`].
    pub macs: Vec<((Vni, MacAddr), Option<Paths>)>,
    /// VTEPs that take part in a subnet (L2 VNI), each with the VNI that it wants, as in [`Desired::flood`].
    pub flood: Vec<((Vni, Vtep), Option<Vni>)>,
}

/// A change of what this host's data plane should do.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// All but the routes to other hosts; `None` if that stays as it is. Its routes count for nothing.
    pub local: Option<Box<Desired>>,
    /// The routes to other hosts that change.
    pub routes: RouteDelta,
}
