use std::path::PathBuf;

use ipnet::IpNet;
use weft_vxlan::MacAddr;

use super::*;
use crate::netlink::{Address, DefaultRoute, Kind, Peer};

const INDEX: u32 = 2;

fn wanted() -> WantedPort {
    WantedPort {
        host_end: "weft00000000000".to_owned(),
        netns: PathBuf::from("/run/netns/a"),
        device: "eth0".to_owned(),
        mac: MacAddr::new([2; 6]),
        mtu: Some(1450),
        gso_max_size: 65_500,
        addresses: vec![net("10.0.0.10/24"), net("2001:db8::a/64")],
        gateways: vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
    }
}

fn link(name: &str, index: u32) -> Link {
    Link {
        index,
        name: name.to_owned(),
        kind: Kind::Veth(Peer { index: 9, nsid: Some(0) }),
        alias: None,
        group: 0,
        mtu: 1450,
        mac: Some(MacAddr::new([2; 6])),
        up: true,
        arp: true,
        link_local: Some(In6AddrGenMode::Eui64),
        ipv6: true,
        gso_max_size: 65_500,
        master: None,
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn address(text: &str, protocol: u8) -> Address {
    Address { ifindex: INDEX, address: net(text), protocol: Some(protocol) }
}

fn route(gateway: &str, ifindex: u32, protocol: u8) -> DefaultRoute {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    DefaultRoute { ifindex, ipv6: gateway.is_ipv6(), gateway: Some(gateway), protocol }
}

/// A namespace that is as wanted.
fn settled() -> Namespace {
    Namespace {
        nsid: Some(0),
        links: vec![link("lo", 1), link("eth0", INDEX)],
        addresses: vec![address("10.0.0.10/24", PROTOCOL), address("2001:db8::a/64", PROTOCOL)],
        default_routes: vec![route("10.0.0.1", INDEX, PROTOCOL), route("2001:db8::1", INDEX, PROTOCOL)],
    }
}

fn settings(wanted: &WantedPort, link: &Link, namespace: &Namespace) -> Vec<PortSetting> {
    let changes = inside("a", wanted, link, namespace).into_iter();
    let settings = changes.map(|change| {
        let Change::SetPort { setting, .. } = change else { panic!("{change:?}") };
        setting
    });
    settings.collect()
}

#[test]
fn what_is_as_wanted_stays() {
    assert_eq!(settings(&wanted(), &link("eth0", INDEX), &settled()), []);
}

#[test]
fn a_new_device_gets_everything_in_an_order_that_works() {
    let mut new = link("eth0", INDEX);
    new.up = false;
    let mut loopback = link("lo", 1);
    loopback.up = false;
    let namespace = Namespace { links: vec![loopback, new.clone()], ..Namespace::default() };
    let expected = [
        PortSetting::AddAddress(net("10.0.0.10/24")),
        PortSetting::AddAddress(net("2001:db8::a/64")),
        PortSetting::LoopbackUp { ifindex: 1 },
        PortSetting::Up,
        PortSetting::AddRoute("10.0.0.1".parse().unwrap()),
        PortSetting::AddRoute("2001:db8::1".parse().unwrap()),
    ];
    assert_eq!(settings(&wanted(), &new, &namespace), expected);
}

#[test]
fn device_properties_are_set_where_they_differ() {
    let mut other = link("eth0", INDEX);
    other.mac = Some(MacAddr::new([4; 6]));
    other.mtu = 1500;
    other.gso_max_size = 65_536;
    other.link_local = Some(In6AddrGenMode::Random);
    let expected = [
        PortSetting::Mac { from: other.mac, to: MacAddr::new([2; 6]) },
        PortSetting::Mtu(1450),
        PortSetting::GsoMaxSize(65_500),
        PortSetting::LinkLocalFromMac,
    ];
    assert_eq!(settings(&wanted(), &other, &settled()), expected);
    // Without an underlay nobody knows the MTU, and it stays.
    other = Link { mtu: 1500, ..link("eth0", INDEX) };
    assert_eq!(settings(&WantedPort { mtu: None, ..wanted() }, &other, &settled()), []);
}

#[test]
fn only_marked_addresses_of_this_device_are_removed() {
    let mut namespace = settled();
    namespace.addresses.push(address("10.0.0.9/24", PROTOCOL));
    namespace.addresses.push(address("10.0.0.8/24", 0));
    namespace.addresses.push(Address { ifindex: 7, ..address("10.0.0.7/24", PROTOCOL) });
    let expected = [PortSetting::RemoveAddress(net("10.0.0.9/24"))];
    assert_eq!(settings(&wanted(), &link("eth0", INDEX), &namespace), expected);
}

#[test]
fn a_changed_gateway_replaces_our_route() {
    let mut namespace = settled();
    namespace.default_routes =
        vec![route("10.0.0.254", INDEX, PROTOCOL), route("2001:db8::1", INDEX, PROTOCOL)];
    let expected = [
        PortSetting::RemoveRoute("10.0.0.254".parse().unwrap()),
        PortSetting::AddRoute("10.0.0.1".parse().unwrap()),
    ];
    assert_eq!(settings(&wanted(), &link("eth0", INDEX), &namespace), expected);
}

#[test]
fn the_workloads_own_default_route_wins() {
    let mut namespace = settled();
    namespace.default_routes = vec![route("172.16.0.1", 7, 3), route("2001:db8::1", INDEX, PROTOCOL)];
    assert_eq!(settings(&wanted(), &link("eth0", INDEX), &namespace), []);
}
