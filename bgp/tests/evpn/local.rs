//! What ports, subnets and prefixes of this host are announced as.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::support::{
    announced, config, events, instances, ip, mac, network, originations, port, rd, router_mac, subnet,
    target, vni, vtep,
};
use weft_bgp::evpn::{Config, ConfigError, Instances, Origination, Overlapping, Peering, PortError, Targets};
use weft_bgp::rib::Wanted;
use weft_bgp::wire::{
    Asn, EvpnRoute, ExtendedCommunity, GroupCommunity, Label, NextHop, PmsiTunnel, RouteTarget, TunnelId,
};

#[test]
fn a_port_is_two_routes_and_its_subnet_one() {
    let (mut here, now) = (instances(1), Instant::now());
    let group = GroupCommunity { domain: 0, group: 7 };
    let mut web = port("web", 1);
    web.groups = BTreeSet::from([group]);
    here.set_port("web-1", web, now).unwrap();
    let mut all = originations(&mut here);
    let Some(Origination::Announce { route: EvpnRoute::MacIp(with_ip), attributes, next_hop }) = all.pop()
    else {
        panic!("no MAC and IP address: {all:?}");
    };
    assert_eq!(next_hop, NextHop::V4([10, 250, 0, 1].into()));
    assert_eq!((with_ip.rd, with_ip.mac, with_ip.ip), (rd(1, 100), mac(1), Some(ip(1))));
    assert_eq!((with_ip.label, with_ip.l3_label), (vni(100).into(), Some(vni(5000).into())));
    let (vxlan, router) = (ExtendedCommunity::VXLAN, ExtendedCommunity::router_mac(router_mac(1)));
    assert_eq!(attributes.extended_communities, [vxlan, target(100), target(5000), router, group.into()]);
    let Some(Origination::Announce { route: EvpnRoute::MacIp(alone), attributes, .. }) = all.pop() else {
        panic!("no MAC address: {all:?}");
    };
    assert_eq!((alone.ip, alone.label, alone.l3_label), (None, vni(100).into(), None));
    assert_eq!(attributes.extended_communities, [vxlan, target(100), group.into()]);
    let Some(Origination::Announce { route: EvpnRoute::InclusiveMulticast(_), attributes, .. }) = all.pop()
    else {
        panic!("no type 3: {all:?}");
    };
    let tunnel = TunnelId::IngressReplication(vtep(1).address());
    assert_eq!(attributes.pmsi, Some(PmsiTunnel { flags: 0, label: vni(100).into(), tunnel }));
    assert_eq!(attributes.extended_communities, [vxlan, target(100)]);
    assert_eq!(all, []);
}

#[test]
fn only_differences_are_announced_and_all_is_withdrawn() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("web", 1), now).unwrap();
    here.set_port("b", port("web", 2), now).unwrap();
    assert_eq!(announced(&mut here).len(), 5);
    here.set_port("a", port("web", 1), now).unwrap();
    assert_eq!(announced(&mut here), [""; 0]);
    let mut more = port("web", 1);
    more.ips = BTreeSet::from([ip(11)]);
    here.set_port("a", more, now).unwrap();
    let (new, old) = (
        "+ 10.250.0.1:100 02:00:00:00:01:01 192.168.100.11",
        "- 10.250.0.1:100 02:00:00:00:01:01 192.168.100.1",
    );
    assert_eq!(announced(&mut here), [new, old]);
    here.remove_port("a", now);
    here.remove_port("a", now);
    assert_eq!(announced(&mut here).len(), 2);
    here.remove_port("b", now);
    let gone = announced(&mut here);
    assert_eq!(gone[2], "- 10.250.0.1:100 10.250.0.1");
    assert_eq!(gone.len(), 3);
    assert_eq!(events(&mut here), []);
}

#[test]
fn a_port_that_comes_and_goes_between_two_polls_is_nothing() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("web", 1), now).unwrap();
    here.remove_port("a", now);
    assert_eq!(originations(&mut here), []);
}

#[test]
fn a_withdrawn_route_has_no_labels() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("web", 1), now).unwrap();
    originations(&mut here);
    here.remove_port("a", now);
    let labels: Vec<_> = originations(&mut here)
        .into_iter()
        .filter_map(|origination| {
            let Origination::Withdraw(EvpnRoute::MacIp(route)) = origination else { return None };
            Some((route.label, route.l3_label))
        })
        .collect();
    assert_eq!(labels, [(Label::ZERO, None); 2]);
}

#[test]
fn prefixes_are_type_5_routes() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_prefixes("red", ["10.9.0.0/16".parse().unwrap()], now);
    let all = originations(&mut here);
    let [Origination::Announce { route: EvpnRoute::IpPrefix(route), attributes, .. }] = all.as_slice() else {
        panic!("not one type 5: {all:?}");
    };
    assert_eq!((route.rd, route.label, route.gateway), (rd(1, 5000), vni(5000).into(), None));
    let router = ExtendedCommunity::router_mac(router_mac(1));
    assert_eq!(attributes.extended_communities, [ExtendedCommunity::VXLAN, target(5000), router]);
    here.set_prefixes("red", ["10.8.0.0/16".parse().unwrap()], now);
    assert_eq!(announced(&mut here), ["+ 10.250.0.1:5000 10.8.0.0/16", "- 10.250.0.1:5000 10.9.0.0/16"]);
    here.set_config(&Config::default(), now).unwrap();
    assert_eq!(announced(&mut here), ["- 10.250.0.1:5000 10.8.0.0/16"]);
    here.set_config(&config(), now).unwrap();
    assert_eq!(announced(&mut here), ["+ 10.250.0.1:5000 10.8.0.0/16"]);
}

#[test]
fn a_port_waits_for_its_subnet() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("db", 1), now).unwrap();
    assert_eq!(originations(&mut here), []);
    let mut more = config();
    more.subnets.push(subnet("db", "red", 200));
    here.set_config(&more, now).unwrap();
    assert_eq!(
        announced(&mut here),
        [
            "+ 10.250.0.1:200 10.250.0.1",
            "+ 10.250.0.1:200 02:00:00:00:01:01",
            "+ 10.250.0.1:200 02:00:00:00:01:01 192.168.100.1"
        ]
    );
    here.set_config(&config(), now).unwrap();
    assert_eq!(announced(&mut here).len(), 3);
}

#[test]
fn another_distinguisher_comes_before_the_old_one_goes() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("web", 1), now).unwrap();
    originations(&mut here);
    let mut other = config();
    other.subnets[0].route_distinguisher = Some("65000:9".parse().unwrap());
    here.set_config(&other, now).unwrap();
    let changes = announced(&mut here);
    assert_eq!(changes.len(), 6);
    assert!(changes[..3].iter().all(|line| line.starts_with("+ 65000:9 ")), "{changes:?}");
    assert!(changes[3..].iter().all(|line| line.starts_with("- 10.250.0.1:100 ")), "{changes:?}");
}

#[test]
fn distinguishers_can_change_hands() {
    let (mut here, now) = (instances(1), Instant::now());
    let with = |web: &str, db: &str| {
        let mut config = config();
        config.subnets.push(subnet("db", "red", 200));
        config.subnets[0].route_distinguisher = Some(web.parse().unwrap());
        config.subnets[1].route_distinguisher = Some(db.parse().unwrap());
        config
    };
    here.set_config(&with("65000:1", "65000:2"), now).unwrap();
    here.set_port("a", port("web", 1), now).unwrap();
    here.set_port("b", port("db", 1), now).unwrap();
    assert_eq!(announced(&mut here).len(), 6);
    here.set_config(&with("65000:2", "65000:1"), now).unwrap();
    let changes = announced(&mut here);
    assert_eq!(changes.len(), 6);
    assert!(changes.iter().all(|line| line.starts_with('+')), "{changes:?}");
    here.remove_port("a", now);
    here.remove_port("b", now);
    assert_eq!(announced(&mut here).iter().filter(|line| line.starts_with('-')).count(), 6);
}

#[test]
fn automatic_numbers_stay_and_do_not_collide() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut all = Config { networks: vec![network("red", 5000)], ..Config::default() };
    // The low halves of both VNIs are 5000's.
    all.subnets.push(subnet("low", "red", 65536 + 5000));
    here.set_config(&all, now).unwrap();
    here.set_port("a", port("low", 1), now).unwrap();
    assert_eq!(announced(&mut here)[0], "+ 10.250.0.1:5001 10.250.0.1");
    all.subnets.push(subnet("next", "red", 5001));
    here.set_config(&all, now).unwrap();
    here.set_port("b", port("next", 1), now).unwrap();
    assert_eq!(announced(&mut here)[0], "+ 10.250.0.1:5002 10.250.0.1");
}

#[test]
fn targets_of_each_form() {
    let wanted = |asn: u32, import: Targets| {
        let mut host = crate::support::host(1);
        host.asn = Asn::new(asn);
        let mut here = Instances::new(host);
        let mut red = network("red", 70000);
        red.import = import;
        here.set_config(&Config { networks: vec![red], ..Config::default() }, Instant::now()).unwrap();
        here.route_targets()
    };
    let one = |text: &str| Wanted::Targets(BTreeSet::from([text.parse::<RouteTarget>().unwrap()]));
    assert_eq!(wanted(65000, Targets::Auto), one("65000:70000"));
    // As FRR does: 4200000001 is 0xfa56ea01, and 0xea01 is 59905.
    assert_eq!(wanted(4_200_000_001, Targets::Auto), one("59905:70000"));
    assert_eq!(wanted(65000, Targets::Derived), one("65000:268505456"));
    let set = BTreeSet::from(["192.0.2.1:7".parse().unwrap()]);
    assert_eq!(wanted(65000, Targets::Set(set)), one("192.0.2.1:7"));
    let mut any = config();
    any.subnets[0].import_any_as = true;
    let mut here = instances(1);
    here.set_config(&any, Instant::now()).unwrap();
    assert_eq!(here.route_targets(), Wanted::All);
}

#[test]
fn configurations_that_cannot_be() {
    let peering =
        |from: &str, to: &str, overlapping| Peering { from: from.into(), to: to.into(), overlapping };
    let mut two = config();
    two.networks.push(network("blue", 6000));
    let mut blue = subnet("blue-web", "blue", 600);
    blue.prefixes = vec!["192.168.0.0/16".parse().unwrap()];
    two.subnets.push(blue);
    let case = |edit: &dyn Fn(&mut Config)| {
        let mut config = two.clone();
        edit(&mut config);
        instances(1).set_config(&config, Instant::now()).map_err(|error| match error {
            ConfigError::Name(_) => "name",
            ConfigError::Vni { .. } => "vni",
            ConfigError::Distinguisher { .. } => "rd",
            ConfigError::NoNetwork { .. } => "network",
            ConfigError::Peering { .. } => "peering",
            ConfigError::Overlap { .. } => "overlap",
            ConfigError::NoNumber(_) => "number",
        })
    };
    assert_eq!(case(&|_| {}), Ok(()));
    assert_eq!(case(&|config| config.networks.push(network("red", 7))), Err("name"));
    assert_eq!(case(&|config| config.subnets.push(subnet("web", "red", 7))), Err("name"));
    assert_eq!(case(&|config| config.subnets.push(subnet("x", "red", 5000))), Err("vni"));
    assert_eq!(case(&|config| config.subnets.push(subnet("x", "green", 7))), Err("network"));
    let rd = Some("65000:1".parse().unwrap());
    assert_eq!(
        case(&|config| {
            config.subnets[0].route_distinguisher = rd;
            config.networks[0].route_distinguisher = rd;
        }),
        Err("rd")
    );
    let refuse = Overlapping::Refuse;
    assert_eq!(case(&|config| config.peerings.push(peering("red", "red", refuse))), Err("peering"));
    assert_eq!(case(&|config| config.peerings.push(peering("red", "green", refuse))), Err("network"));
    assert_eq!(case(&|config| config.peerings.push(peering("red", "blue", refuse))), Err("overlap"));
    let order = Overlapping::Order(1);
    assert_eq!(case(&|config| config.peerings.push(peering("red", "blue", order))), Ok(()));
}

#[test]
fn ports_that_cannot_be() {
    let (mut here, now) = (instances(1), Instant::now());
    here.set_port("a", port("web", 1), now).unwrap();
    let mut other = port("web", 2);
    other.mac = mac(1);
    let taken = PortError::MacTaken { mac: mac(1), port: "a".into() };
    assert_eq!(here.set_port("b", other, now), Err(taken));
    let mut other = port("web", 2);
    other.ips = BTreeSet::from([ip(1)]);
    let taken = PortError::AddressTaken { address: ip(1), port: "a".into() };
    assert_eq!(here.set_port("b", other, now), Err(taken));
    let mut other = port("web", 2);
    other.mac = weft_vxlan::MacAddr::BROADCAST;
    assert_eq!(here.set_port("b", other.clone(), now), Err(PortError::Mac(other.mac)));
    assert_eq!(announced(&mut here).len(), 3);
}
