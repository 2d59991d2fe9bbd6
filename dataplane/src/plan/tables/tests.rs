use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use weft_vxlan::{MacAddr, Vtep};

use super::*;
use crate::desired::{Host, Network};

const RED: u32 = 100;
const BLUE: u32 = 101;
const RED_FRONT: u32 = 200;
const BLUE_FRONT: u32 = 201;

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

fn vtep(last: u8) -> Vtep {
    Vtep::new([192, 0, 2, last].into()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(network: u32, address: &str) -> IpKey {
    IpKey::new(vni(network), ip(address))
}

/// Two tenants, red and blue, with the same prefix.
fn desired() -> Desired {
    let subnet = |network| Subnet {
        name: "front".to_owned(),
        network: vni(network),
        ipv4: Some(("10.0.0.0/24".parse().unwrap(), [10, 0, 0, 1].into())),
        ipv6: Some(("2001:db8::/64".parse().unwrap(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
    };
    Desired {
        host: Host {
            underlay: "eth0".to_owned(),
            vtep: vtep(1),
            udp_port: 4789,
            router_mac: mac(0xf1),
            gateway_mac: mac(0xfe),
            limits: desired::Limits { floods: 1, icmp_errors: 2, drop_events: 3 },
            flows: crate::desired::FlowLimits::NONE,
            xdp: desired::Xdp::default(),
            software_checksums: BTreeSet::new(),
        },
        subnets: BTreeMap::from([(vni(RED_FRONT), subnet(RED)), (vni(BLUE_FRONT), subnet(BLUE))]),
        networks: [RED, BLUE]
            .map(|number| (vni(number), Network { name: number.to_string(), sees: Vec::new() }))
            .into(),
        ports: BTreeMap::new(),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    }
}

fn port() -> Port {
    Port {
        subnet: vni(RED_FRONT),
        mac: mac(10),
        ipv4: Some([10, 0, 0, 10].into()),
        ipv6: None,
        netns: PathBuf::new(),
        device: "eth0".to_owned(),
        tenant: "acme".to_owned(),
        security: crate::desired::Security::open(),
    }
}

fn plan(desired: &Desired, ports: &[(&str, LocalPort)]) -> Tables {
    let open = |(_, local): &(&str, LocalPort)| (local.ifindex, OPEN);
    guarded(desired, ports, &ports.iter().map(open).collect())
}

const OPEN: Guard =
    Guard { security: PortSecurity { ingress: 0, egress: 0, tenant: 0, flags: 0 }, identity: 0 };

fn guarded(desired: &Desired, ports: &[(&str, LocalPort)], guards: &BTreeMap<u32, Guard>) -> Tables {
    let ports = ports.iter().copied().collect();
    Tables::plan(desired, &ports, guards, 7, &NextHops::default(), BTreeMap::new())
}

#[test]
fn subnets_and_networks_bring_vnis_and_gateways() {
    let tables = plan(&desired(), &[]);
    let expected = [
        (RED, VniEntry::network_itself(vni(RED))),
        (BLUE, VniEntry::network_itself(vni(BLUE))),
        (RED_FRONT, VniEntry::subnet(vni(RED_FRONT), vni(RED))),
        (BLUE_FRONT, VniEntry::subnet(vni(BLUE_FRONT), vni(BLUE))),
    ];
    assert_eq!(tables.vnis, expected.into());
    let route = |network, subnet| {
        let network = Scope::raw(network);
        HostRoute::new(network, NextHop::gateway(network, mac(0xfe)), vni(subnet), mac(0xfe))
    };
    let expected = [
        (key(RED, "10.0.0.1"), route(RED, RED_FRONT)),
        (key(RED, "2001:db8::1"), route(RED, RED_FRONT)),
        (key(BLUE, "10.0.0.1"), route(BLUE, BLUE_FRONT)),
        (key(BLUE, "2001:db8::1"), route(BLUE, BLUE_FRONT)),
    ];
    assert_eq!(tables.hosts, expected.into());
    assert!(tables.fdb.is_empty() && tables.endpoints.is_empty());
    let limits = Limits {
        floods: Rate::per_second(1),
        icmp_errors: Rate::per_second(2),
        drop_events: Rate::per_second(3),
    };
    assert_eq!(
        tables.host,
        HostConfig::new(vtep(1), 4789, 7, mac(0xf1), mac(0xfe), limits).with_flows(desired::FlowLimits::NONE)
    );
}

#[test]
fn a_port_is_an_endpoint_a_mac_and_its_addresses() {
    let mut desired = desired();
    let port = port();
    desired.ports.insert("a".to_owned(), port.clone());
    desired.ports.insert("without-device".to_owned(), Port { mac: mac(11), ..port });
    let tables = plan(&desired, &[("a", LocalPort { ifindex: 30, slot: 4 })]);
    let gateway6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let gateways = Gateways { ipv4: [10, 0, 0, 1].into(), ipv6: gateway6 };
    let address = Some([10, 0, 0, 10].into());
    let endpoint = Endpoint::new(30, vni(RED), vni(RED_FRONT), 4, mac(10), (address, None), gateways);
    assert_eq!(tables.endpoints, BTreeMap::from([(30, endpoint)]));
    let subnet = Scope::raw(RED_FRONT);
    let switched = NextHop::local(subnet, 30, 4, mac(10)).of_member(subnet, 0);
    assert_eq!(tables.fdb, BTreeMap::from([(MacKey::new(vni(RED_FRONT), mac(10)), switched)]));
    let network = Scope::raw(RED);
    let route = HostRoute::new(network, NextHop::local(network, 30, 4, mac(10)), vni(RED_FRONT), mac(10));
    assert_eq!(tables.hosts.get(&key(RED, "10.0.0.10")), Some(&route));
    assert_eq!(tables.hosts.get(&key(BLUE, "10.0.0.10")), None);
}

#[test]
fn a_network_sees_others_behind_its_own_addresses() {
    let mut desired = desired();
    let port = port();
    desired.ports.insert("a".to_owned(), port.clone());
    desired.networks.get_mut(&vni(BLUE)).unwrap().sees = vec![vni(RED)];
    let local = LocalPort { ifindex: 30, slot: 4 };
    let alone = plan(&desired, &[("a", local)]);
    let blue = Scope::raw(BLUE);
    let seen = HostRoute::routed(blue, NextHop::local(blue, 30, 4, mac(10)));
    assert_eq!(alone.hosts.get(&key(BLUE, "10.0.0.10")), Some(&seen));
    assert_eq!(alone.hosts[&key(BLUE, "10.0.0.1")].neighbour().unwrap().0, BLUE_FRONT);
    assert_eq!(alone.hosts.len(), 6);
    desired.ports.insert("b".to_owned(), Port { subnet: vni(BLUE_FRONT), mac: mac(11), ..port });
    let both = plan(&desired, &[("a", local), ("b", LocalPort { ifindex: 31, slot: 5 })]);
    assert_eq!(both.hosts[&key(BLUE, "10.0.0.10")].next_hop().ifindex(), 31);
    assert_eq!(both.hosts[&key(RED, "10.0.0.10")].next_hop().ifindex(), 30);
}

/// In: a port with groups, rules and a pair, that another network sees. Out: all that leads to it says so. A port of which
/// nothing is known gets nothing through.
#[test]
fn a_guarded_port_is_known_as_one_everywhere() {
    let mut desired = desired();
    let mut port = port();
    port.security.pairs = BTreeMap::from([("10.0.9.0/24".parse().unwrap(), mac(0x99))]);
    desired.ports.insert("a".to_owned(), port.clone());
    desired.networks.get_mut(&vni(BLUE)).unwrap().sees = vec![vni(RED)];
    let security = PortSecurity { ingress: 3, egress: 4, tenant: 17, flags: port_flags::FIREWALL };
    let guards = BTreeMap::from([(30, Guard { security, identity: 5 })]);
    let tables = guarded(&desired, &[("a", LocalPort { ifindex: 30, slot: 4 })], &guards);
    assert_eq!(tables.endpoints[&30].security(), &security);
    assert!(tables.fdb[&MacKey::new(vni(RED_FRONT), mac(10))].is_firewalled());
    for network in [RED, BLUE] {
        let route = tables.hosts[&key(network, "10.0.0.10")];
        assert!(route.next_hop().is_firewalled() && route.identity() == 5, "{route:?}");
    }
    let pair = PrefixKey { bits: 88, address: IpKey::ipv4(30, [10, 0, 9, 0]) };
    assert_eq!(tables.pairs, BTreeMap::from([(pair, AllowedPair::new(30, mac(0x99)))]));

    let unknown = guarded(&desired, &[("a", LocalPort { ifindex: 30, slot: 4 })], &BTreeMap::new());
    assert_eq!(unknown.endpoints[&30].security().flags, port_flags::FIREWALL);
    assert!(unknown.fdb[&MacKey::new(vni(RED_FRONT), mac(10))].is_firewalled());
}
