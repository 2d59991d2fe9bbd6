//! A host with a network and two subnets, and routes of others in few words.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use weft_bgp::evpn::{
    Config, Event, Forwarding, Host, Instances, LearnedPath, LocalPort, Network, Origination, RouteChange,
    RoutedPath, Subnet, SwitchedPath, Targets,
};
use weft_bgp::peer::PeerId;
use weft_bgp::wire::{
    Administered, AsPath, Asn, Attributes, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity,
    ExtendedCommunityValue as Value, InclusiveMulticast, IpPrefixRoute, Label, MacIp, MacMobility, NextHop,
    Origin, PmsiTunnel, RouteDistinguisher, RouterId, TunnelId,
};
use weft_vxlan::{MacAddr, Vni, Vtep};

pub const NETWORK: u32 = 5000;
pub const SUBNET: u32 = 100;

pub fn vni(value: u32) -> Vni {
    Vni::new(value).unwrap()
}

/// The VTEP of host `number`.
pub fn vtep(number: u8) -> Vtep {
    Vtep::new(IpAddr::from([10, 250, 0, number])).unwrap()
}

pub fn mac(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 1, number])
}

pub fn ip(number: u8) -> IpAddr {
    IpAddr::from([192, 168, 100, number])
}

pub fn router_mac(number: u8) -> MacAddr {
    vtep(number).default_router_mac()
}

pub fn host(number: u8) -> Host {
    let router_id = RouterId::new([10, 250, 0, number].into()).unwrap();
    Host { vtep: vtep(number), router_mac: router_mac(number), asn: Asn::new(65000), router_id }
}

pub fn network(name: &str, number: u32) -> Network {
    Network {
        name: name.to_owned(),
        vni: vni(number),
        route_distinguisher: None,
        import: Targets::Auto,
        export: Targets::Auto,
        import_any_as: false,
    }
}

pub fn subnet(name: &str, network: &str, number: u32) -> Subnet {
    Subnet {
        name: name.to_owned(),
        network: network.to_owned(),
        vni: vni(number),
        route_distinguisher: None,
        import: Targets::Auto,
        export: Targets::Auto,
        import_any_as: false,
        prefixes: vec![],
        gateways: BTreeSet::new(),
    }
}

/// Network `red` (5000) with the subnet `web` (100), 192.168.100.0/24.
pub fn config() -> Config {
    let mut web = subnet("web", "red", SUBNET);
    web.prefixes = vec!["192.168.100.0/24".parse().unwrap()];
    web.gateways = BTreeSet::from([ip(254)]);
    Config { networks: vec![network("red", NETWORK)], subnets: vec![web], ..Config::default() }
}

/// Host `number` with [`config`].
pub fn instances(number: u8) -> Instances {
    let mut instances = Instances::new(host(number));
    instances.set_config(&config(), Instant::now()).unwrap();
    instances
}

pub fn port(subnet: &str, number: u8) -> LocalPort {
    LocalPort {
        subnet: subnet.to_owned(),
        mac: mac(number),
        ips: BTreeSet::from([ip(number)]),
        groups: BTreeSet::new(),
        sticky: false,
    }
}

pub fn rd(host: u8, number: u16) -> RouteDistinguisher {
    Administered::Ipv4 { address: [10, 250, 0, host].into(), number }.into()
}

pub fn target(number: u32) -> ExtendedCommunity {
    let asn = 65000;
    weft_bgp::wire::RouteTarget(Administered::As2 { asn, number }).into()
}

pub fn mobility(sequence: u32) -> ExtendedCommunity {
    MacMobility { sticky: false, sequence }.into()
}

pub fn sticky() -> ExtendedCommunity {
    MacMobility { sticky: true, sequence: 0 }.into()
}

/// A route of another host, as the best path from a peer.
#[derive(Debug, Clone)]
pub struct Remote {
    pub route: EvpnRoute,
    pub attributes: Attributes,
    pub next_hop: NextHop,
}

impl Remote {
    fn new(host: u8, route: EvpnRoute, communities: Vec<ExtendedCommunity>) -> Self {
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::default()),
            extended_communities: communities,
            ..Attributes::default()
        };
        Self { route, attributes, next_hop: NextHop::V4([10, 250, 0, host].into()) }
    }

    /// MAC and perhaps IP `number` on `host`, in the subnet and network of [`config`].
    pub fn mac_ip(host: u8, number: u8, address: Option<IpAddr>) -> Self {
        let mut communities = vec![ExtendedCommunity::VXLAN, target(SUBNET)];
        if address.is_some() {
            communities.extend([target(NETWORK), ExtendedCommunity::router_mac(router_mac(host))]);
        }
        let route = MacIp {
            rd: rd(host, 100),
            segment: EthernetSegmentId::ZERO,
            tag: EthernetTag::ZERO,
            mac: mac(number),
            ip: address,
            label: vni(SUBNET).into(),
            l3_label: address.map(|_| vni(NETWORK).into()),
        };
        Self::new(host, EvpnRoute::MacIp(route), communities)
    }

    pub fn prefix(host: u8, prefix: &str) -> Self {
        let communities =
            vec![ExtendedCommunity::VXLAN, target(NETWORK), ExtendedCommunity::router_mac(router_mac(host))];
        let route = IpPrefixRoute {
            rd: rd(host, 5000),
            segment: EthernetSegmentId::ZERO,
            tag: EthernetTag::ZERO,
            prefix: prefix.parse().unwrap(),
            gateway: None,
            label: vni(NETWORK).into(),
        };
        Self::new(host, EvpnRoute::IpPrefix(route), communities)
    }

    pub fn flood(host: u8) -> Self {
        let originator = vtep(host).address();
        let route = InclusiveMulticast { rd: rd(host, 100), tag: EthernetTag::ZERO, originator };
        let communities = vec![ExtendedCommunity::VXLAN, target(SUBNET)];
        let mut remote = Self::new(host, EvpnRoute::InclusiveMulticast(route), communities);
        let tunnel = TunnelId::IngressReplication(originator);
        remote.attributes.pmsi = Some(PmsiTunnel { flags: 0, label: vni(SUBNET).into(), tunnel });
        remote
    }

    pub fn with(mut self, community: ExtendedCommunity) -> Self {
        self.attributes.extended_communities.push(community);
        self
    }

    pub fn without(mut self, community: ExtendedCommunity) -> Self {
        self.attributes.extended_communities.retain(|held| *held != community);
        self
    }

    /// The type 2 with something else.
    pub fn edit(mut self, edit: impl FnOnce(&mut MacIp)) -> Self {
        let EvpnRoute::MacIp(route) = &mut self.route else { panic!("not a type 2: {:?}", self.route) };
        edit(route);
        self
    }

    pub fn labels(self, label: u32, l3: u32) -> Self {
        self.edit(|route| (route.label, route.l3_label) = (vni(label).into(), Some(vni(l3).into())))
    }

    pub fn comes(&self) -> RouteChange<'static> {
        let (attributes, next_hop) = (self.attributes.clone(), self.next_hop);
        let (attributes, from) = (Cow::Owned(attributes), PeerId(1));
        let best = Some(LearnedPath { attributes, next_hop, from, long_lived_stale: false });
        RouteChange { route: self.route.clone(), best, others: vec![] }
    }

    pub fn goes(&self) -> RouteChange<'static> {
        let mut route = self.route.clone();
        if let EvpnRoute::MacIp(route) = &mut route {
            (route.label, route.l3_label) = (Label::ZERO, None);
        }
        RouteChange { route, best: None, others: vec![] }
    }
}

/// What the data plane would have after all changes so far.
pub type Table = BTreeMap<String, String>;

/// The changes of forwarding since the last call, one line each.
pub fn forwarding(instances: &mut Instances) -> Vec<String> {
    std::iter::from_fn(|| instances.poll_forwarding()).map(|change| line(&change)).collect()
}

/// A change in few words: what it is about, ` -> `, and where to (`gone` if nowhere).
pub fn line(change: &Forwarding) -> String {
    let gone = || "gone".to_owned();
    match change {
        Forwarding::Mac { subnet, mac, to } => {
            let path = |path: &SwitchedPath| format!("{} vni {}", path.vtep, path.vni);
            let to = to.as_ref().map_or_else(gone, |to| all(&to.first, &to.others, path));
            format!("mac {subnet} {mac} -> {to}")
        }
        Forwarding::Host { network, address, to } => {
            let to = to.as_ref().map_or_else(gone, |to| {
                let routed = to.routed.map_or("switched".to_owned(), |routed| {
                    format!("vni {} rmac {}", routed.vni, routed.router_mac)
                });
                let neighbour = to.neighbour.map_or(String::new(), |neighbour| {
                    format!(" neighbour {} {} vni {}", neighbour.subnet, neighbour.mac, neighbour.vni)
                });
                let groups: String =
                    to.groups.iter().map(|group| format!(" group {}", group.group)).collect();
                let others: String =
                    to.others.iter().map(|path| format!(" or {}", routed_path(path))).collect();
                format!("{} {routed}{neighbour}{groups}{others}", to.vtep)
            });
            format!("host {network} {address} -> {to}")
        }
        Forwarding::Prefix { network, prefix, to } => {
            let to = to.as_ref().map_or_else(gone, |to| all(&to.first, &to.others, routed_path));
            format!("prefix {network} {prefix} -> {to}")
        }
        Forwarding::Flood { subnet, vtep, vni } => {
            let to = vni.map_or_else(gone, |vni| format!("vni {vni}"));
            format!("flood {subnet} {vtep} -> {to}")
        }
    }
}

fn routed_path(path: &RoutedPath) -> String {
    format!("{} vni {} rmac {}", path.vtep, path.routed.vni, path.routed.router_mac)
}

/// All paths, with ` or ` between them.
fn all<T>(first: &T, others: &[T], path: impl Fn(&T) -> String) -> String {
    std::iter::once(first).chain(others).map(path).collect::<Vec<_>>().join(" or ")
}

/// Applies the changes of forwarding to a table.
pub fn apply(instances: &mut Instances, table: &mut Table) {
    for change in forwarding(instances) {
        let (subject, to) = change.split_once(" -> ").unwrap();
        let before = table.get(subject);
        assert_ne!(before.map(String::as_str), Some(to), "no difference: {subject}");
        if to == "gone" {
            assert!(before.is_some(), "{subject} goes and was not there");
            table.remove(subject);
        } else {
            table.insert(subject.to_owned(), to.to_owned());
        }
    }
}

pub fn originations(instances: &mut Instances) -> Vec<Origination> {
    std::iter::from_fn(|| instances.poll_originate()).collect()
}

/// The announced and withdrawn routes since the last call, one line each.
pub fn announced(instances: &mut Instances) -> Vec<String> {
    originations(instances).iter().map(own_line).collect()
}

fn own_line(origination: &Origination) -> String {
    match origination {
        Origination::Announce { route, attributes, .. } => {
            let sequence = attributes.extended_communities.iter().find_map(|community| {
                let Value::MacMobility(mobility) = community.value() else { return None };
                Some(format!(" {}{}", mobility.sequence, if mobility.sticky { " sticky" } else { "" }))
            });
            format!("+ {}{}", route_line(route), sequence.unwrap_or_default())
        }
        Origination::Withdraw(route) => format!("- {}", route_line(route)),
    }
}

fn route_line(route: &EvpnRoute) -> String {
    match route {
        EvpnRoute::MacIp(route) => {
            let ip = route.ip.map_or(String::new(), |ip| format!(" {ip}"));
            format!("{} {}{ip}", route.rd, route.mac)
        }
        EvpnRoute::InclusiveMulticast(route) => format!("{} {}", route.rd, route.originator),
        EvpnRoute::IpPrefix(route) => format!("{} {}", route.rd, route.prefix),
        EvpnRoute::EthernetAd(_) | EvpnRoute::EthernetSegment(_) | EvpnRoute::Unknown(_) => {
            panic!("not an own route: {route:?}")
        }
    }
}

pub fn events(instances: &mut Instances) -> Vec<Event> {
    std::iter::from_fn(|| instances.poll_event()).collect()
}
