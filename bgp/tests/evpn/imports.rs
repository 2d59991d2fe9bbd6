//! What routes of other hosts become: each case says what comes in and, line by line, what must come out.

use std::slice::from_ref;
use std::time::Instant;

use crate::support::{
    Remote, apply, config, events, forwarding, instances, ip, mobility, network, port, rd, router_mac,
    subnet, target, vni,
};
use weft_bgp::evpn::{Event, Instances, Overlapping, Peering, Refusal};
use weft_bgp::wire::{EthernetTag, EvpnRoute, ExtendedCommunity, GroupCommunity, Label, NextHop, TunnelType};
use weft_vxlan::MacAddr;

fn after(here: &mut Instances, routes: &[Remote]) -> Vec<String> {
    for route in routes {
        here.handle_route(route.comes(), Instant::now());
    }
    forwarding(here)
}

const MAC_9: &str = "mac 100 02:00:00:00:01:09";
const HOST_9: &str = "host 5000 192.168.100.9";

#[test]
fn each_type_becomes_what_it_says() {
    let group = GroupCommunity { domain: 0, group: 7 };
    for (routes, expected) in [
        (vec![Remote::mac_ip(2, 9, None)], vec![format!("{MAC_9} -> 10.250.0.2 vni 100")]),
        (
            vec![Remote::mac_ip(2, 9, Some(ip(9))).with(group.into())],
            vec![
                format!("{MAC_9} -> 10.250.0.2 vni 100"),
                format!(
                    "{HOST_9} -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02 neighbour 100 02:00:00:00:01:09 vni 100 \
                     group 7"
                ),
            ],
        ),
        (
            vec![Remote::prefix(2, "10.9.0.0/16")],
            vec!["prefix 5000 10.9.0.0/16 -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02".to_owned()],
        ),
        (vec![Remote::flood(2)], vec!["flood 100 10.250.0.2 -> vni 100".to_owned()]),
        // The VNIs that the other host wants, whatever they are here.
        (
            vec![Remote::mac_ip(2, 9, Some(ip(9))).labels(777, 888)],
            vec![
                format!("{MAC_9} -> 10.250.0.2 vni 777"),
                format!(
                    "{HOST_9} -> 10.250.0.2 vni 888 rmac 02:00:0a:fa:00:02 neighbour 100 02:00:00:00:01:09 vni 777"
                ),
            ],
        ),
        // Without the subnet's target: routed only.
        (
            vec![Remote::mac_ip(2, 9, Some(ip(9))).without(target(100))],
            vec![format!("{HOST_9} -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02")],
        ),
        // Without the network's target, its label, or a router's MAC: switched only.
        (vec![Remote::mac_ip(2, 9, Some(ip(9))).without(target(5000))], switched()),
        (vec![Remote::mac_ip(2, 9, Some(ip(9))).edit(|route| route.l3_label = None)], switched()),
        (
            vec![Remote::mac_ip(2, 9, Some(ip(9))).without(ExtendedCommunity::router_mac(router_mac(2)))],
            switched(),
        ),
        // No target of an instance here; this host's own route, reflected; a gateway's address here.
        (vec![Remote::mac_ip(2, 9, None).without(target(100)).with(target(101))], vec![]),
        (vec![Remote::mac_ip(1, 9, Some(ip(9))), Remote::flood(1), Remote::prefix(1, "10.9.0.0/16")], vec![]),
        (
            vec![Remote::mac_ip(2, 9, Some(ip(254))).with(ExtendedCommunity::DEFAULT_GATEWAY)],
            vec![format!("{MAC_9} -> 10.250.0.2 vni 100")],
        ),
        // The prefix of a subnet here.
        (vec![Remote::prefix(2, "192.168.100.0/24")], vec![]),
    ] {
        let mut here = instances(1);
        assert_eq!(after(&mut here, &routes), expected);
        assert_eq!(events(&mut here), []);
        for route in &routes {
            here.handle_route(route.goes(), Instant::now());
        }
        assert_eq!(forwarding(&mut here).len(), expected.len(), "all of it goes");
        here.handle_route(routes[0].comes(), Instant::now());
        here.handle_route(routes[0].goes(), Instant::now());
        assert_eq!(forwarding(&mut here), [""; 0]);
    }
}

fn switched() -> Vec<String> {
    vec![
        format!("{MAC_9} -> 10.250.0.2 vni 100"),
        format!("{HOST_9} -> 10.250.0.2 switched neighbour 100 02:00:00:00:01:09 vni 100"),
    ]
}

#[test]
fn what_is_refused_and_why() {
    let nvgre = ExtendedCommunity::from(TunnelType(9));
    let mut with_gateway = Remote::prefix(2, "10.9.0.0/16");
    if let EvpnRoute::IpPrefix(route) = &mut with_gateway.route {
        route.gateway = Some(ip(3));
    }
    let mut v6 = Remote::mac_ip(2, 9, None);
    v6.next_hop = NextHop::V6("2001:db8::2".parse().unwrap());
    let mut loopback = Remote::mac_ip(2, 9, None);
    loopback.next_hop = NextHop::V6("::1".parse().unwrap());
    let mut no_pmsi = Remote::flood(2);
    no_pmsi.attributes.pmsi = None;
    let router = ExtendedCommunity::router_mac(router_mac(2));
    let broadcast = MacAddr::BROADCAST;
    for (route, expected) in [
        (
            Remote::mac_ip(2, 9, None).without(ExtendedCommunity::VXLAN).with(nvgre),
            Refusal::Encapsulation(TunnelType(9)),
        ),
        (v6, Refusal::Family("2001:db8::2".parse().unwrap())),
        (loopback, Refusal::NextHop(weft_vxlan::VtepError::NotUnicast("::1".parse().unwrap()))),
        (Remote::mac_ip(2, 9, None).edit(|route| route.tag = EthernetTag(7)), Refusal::Tag(EthernetTag(7))),
        (Remote::mac_ip(2, 9, None).edit(|route| route.label = Label::ZERO), Refusal::Label),
        (Remote::mac_ip(2, 9, None).edit(|route| route.mac = broadcast), Refusal::Mac(broadcast)),
        (no_pmsi, Refusal::NoIngressReplication),
        (Remote::prefix(2, "10.9.0.0/16").without(router), Refusal::NoRouterMac),
        (with_gateway, Refusal::OverlayIndex),
    ] {
        let mut here = instances(1);
        assert_eq!(after(&mut here, &[route.clone(), route]), [""; 0]);
        let told: Vec<_> = events(&mut here)
            .into_iter()
            .map(|event| {
                let Event::Refused { reason, .. } = event else { panic!("{event:?}") };
                reason
            })
            .collect();
        assert_eq!(told, [expected], "once");
    }
}

#[test]
fn a_route_that_gets_bad_is_gone() {
    let mut here = instances(1);
    let good = Remote::mac_ip(2, 9, None);
    after(&mut here, from_ref(&good));
    let bad = good.without(ExtendedCommunity::VXLAN).with(TunnelType(9).into());
    assert_eq!(after(&mut here, from_ref(&bad)), [format!("{MAC_9} -> gone")]);
    // Several encapsulations, one of which is ours.
    assert_eq!(
        after(&mut here, &[bad.with(ExtendedCommunity::VXLAN)]),
        [format!("{MAC_9} -> 10.250.0.2 vni 100")]
    );
}

#[test]
fn among_several_the_choice_is_by_what_they_are() {
    let (low, high) = (Remote::mac_ip(2, 9, None), Remote::mac_ip(3, 9, None));
    let rows: Vec<(Vec<Remote>, &str)> = vec![
        (vec![low.clone(), high.clone()], "10.250.0.2"),
        (vec![low.clone(), high.clone().with(mobility(1))], "10.250.0.3"),
        (vec![low.clone().with(mobility(2)), high.clone().with(mobility(1))], "10.250.0.2"),
        (vec![low.clone().with(mobility(9)), high.clone().with(crate::support::sticky())], "10.250.0.3"),
        (vec![low.clone().with(ExtendedCommunity::DEFAULT_GATEWAY), high.clone()], "10.250.0.3"),
        // One MAC address under two distinguishers of one host.
        (vec![high.clone().edit(|route| route.rd = rd(3, 7)), high.clone()], "10.250.0.3"),
    ];
    for (mut routes, expected) in rows {
        for _ in 0..2 {
            let mut here = instances(1);
            let mut table = std::collections::BTreeMap::new();
            after_into(&mut here, &routes, &mut table);
            assert_eq!(table[MAC_9], format!("{expected} vni 100"));
            // The others are kept: each of them is used when it is alone.
            here.handle_route(routes[0].goes(), Instant::now());
            apply(&mut here, &mut table);
            let EvpnRoute::MacIp(_) = &routes[1].route else { panic!("not a type 2") };
            assert_eq!(table[MAC_9], format!("{} vni 100", routes[1].next_hop.address()));
            routes.reverse();
        }
    }
}

fn after_into(here: &mut Instances, routes: &[Remote], table: &mut crate::support::Table) {
    for route in routes {
        here.handle_route(route.comes(), Instant::now());
        apply(here, table);
    }
}

#[test]
fn any_as_imports_what_ends_in_the_vni() {
    let mut any = config();
    any.subnets[0].import_any_as = true;
    for (text, imported) in [
        ("65123:100", true),
        ("4200000001:100", true),
        ("65123:268435556", true),
        ("65123:101", false),
        ("65123:536870912", false),
        ("192.0.2.1:100", false),
    ] {
        let mut here = instances(1);
        here.set_config(&any, Instant::now()).unwrap();
        let other = text.parse::<weft_bgp::wire::RouteTarget>().unwrap();
        let route = Remote::mac_ip(2, 9, None).without(target(100)).with(other.into());
        assert_eq!(!after(&mut here, &[route]).is_empty(), imported, "{text}");
    }
}

#[test]
fn what_comes_is_told_before_what_goes() {
    let mut here = instances(1);
    let (host, covering) = (Remote::mac_ip(2, 9, Some(ip(9))), Remote::prefix(2, "192.168.0.0/16"));
    after(&mut here, from_ref(&host));
    here.handle_route(host.goes(), Instant::now());
    here.handle_route(covering.comes(), Instant::now());
    let changes = forwarding(&mut here);
    assert!(changes[0].starts_with("prefix 5000 192.168.0.0/16 -> 10.250.0.2"), "{changes:?}");
    assert_eq!(changes[1..], [format!("{MAC_9} -> gone"), format!("{HOST_9} -> gone")]);
}

#[test]
fn a_peering_shows_routes_of_one_network_in_another() {
    let mut here = instances(1);
    let mut peered = config();
    peered.networks.extend([network("blue", 6000), network("green", 7000)]);
    peered.subnets.push(subnet("blue-web", "blue", 600));
    let from = |from: &str, order| Peering {
        from: from.into(),
        to: "blue".into(),
        overlapping: Overlapping::Order(order),
    };
    peered.peerings = vec![from("red", 2), from("green", 1)];
    here.set_config(&peered, Instant::now()).unwrap();
    let red = Remote::mac_ip(2, 9, Some(ip(9)));
    let changes = after(&mut here, from_ref(&red));
    assert_eq!(changes[2], "host 6000 192.168.100.9 -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02");
    // The peering with the lower number comes first, and the network's own route before both.
    let green = |host: u8, network: u32| {
        let route =
            Remote::mac_ip(host, 9, Some(ip(9))).edit(|route| route.l3_label = Some(vni(network).into()));
        route.without(target(100)).without(target(5000)).with(target(network))
    };
    let changes = after(&mut here, &[green(3, 7000)]);
    assert_eq!(changes[0], "host 6000 192.168.100.9 -> 10.250.0.3 vni 7000 rmac 02:00:0a:fa:00:03");
    let changes = after(&mut here, &[green(4, 6000)]);
    assert_eq!(changes, ["host 6000 192.168.100.9 -> 10.250.0.4 vni 6000 rmac 02:00:0a:fa:00:04"]);
    peered.peerings.clear();
    here.handle_route(green(4, 6000).goes(), Instant::now());
    forwarding(&mut here);
    here.set_config(&peered, Instant::now()).unwrap();
    assert_eq!(forwarding(&mut here), ["host 6000 192.168.100.9 -> gone"]);
}

/// In: the same prefix in two networks that a third sees with the same order. Out: one of them, not a part of the flows to
/// each: they are two destinations.
#[test]
fn a_prefix_of_two_networks_is_not_one_destination() {
    let mut here = instances(1);
    let mut peered = config();
    peered.networks.extend([network("blue", 6000), network("green", 7000)]);
    let from =
        |from: &str| Peering { from: from.into(), to: "blue".into(), overlapping: Overlapping::Refuse };
    peered.peerings = vec![from("red"), from("green")];
    here.set_config(&peered, Instant::now()).unwrap();
    let green = Remote::prefix(3, "10.9.0.0/16").without(target(5000)).with(target(7000));
    let changes = after(&mut here, &[Remote::prefix(2, "10.9.0.0/16"), green]);
    let in_blue: Vec<_> = changes.iter().filter(|line| line.starts_with("prefix 6000")).collect();
    assert_eq!(in_blue, ["prefix 6000 10.9.0.0/16 -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02"]);
}

#[test]
fn a_port_here_of_another_network_has_the_order_of_its_peering() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut peered = config();
    peered.networks.extend([network("blue", 6000), network("green", 7000)]);
    peered.subnets.push(subnet("green-web", "green", 700));
    let from = |from: &str, order| Peering {
        from: from.into(),
        to: "blue".into(),
        overlapping: Overlapping::Order(order),
    };
    let in_blue = |changes: Vec<String>| -> Vec<String> {
        changes.into_iter().filter(|line| line.starts_with("host 6000")).collect()
    };
    for (red, green, hides) in [(2, 1, true), (1, 2, false)] {
        peered.peerings = vec![from("red", red), from("green", green)];
        here.set_config(&peered, now).unwrap();
        let there = "host 6000 192.168.100.9 -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02";
        assert_eq!(in_blue(after(&mut here, &[Remote::mac_ip(2, 9, Some(ip(9)))])), [there]);
        here.set_port("g", port("green-web", 9), now).unwrap();
        let hidden = if hides { vec!["host 6000 192.168.100.9 -> gone".to_owned()] } else { vec![] };
        assert_eq!(in_blue(forwarding(&mut here)), hidden);
        here.remove_port("g", now);
        let again = if hides { vec![there.to_owned()] } else { vec![] };
        assert_eq!(in_blue(forwarding(&mut here)), again);
        here.handle_route(Remote::mac_ip(2, 9, Some(ip(9))).goes(), now);
        forwarding(&mut here);
    }
}

#[test]
fn a_configuration_sorts_the_routes_that_are_there() {
    let mut here = instances(1);
    let now = Instant::now();
    here.set_config(&weft_bgp::evpn::Config::default(), now).unwrap();
    let routes = [Remote::mac_ip(2, 9, Some(ip(9))), Remote::prefix(2, "10.9.0.0/16"), Remote::flood(2)];
    assert_eq!(after(&mut here, &routes), [""; 0]);
    here.set_config(&config(), now).unwrap();
    assert_eq!(forwarding(&mut here).len(), 4);
    here.set_config(&config(), now).unwrap();
    assert_eq!(forwarding(&mut here), [""; 0]);
    // An address becomes a gateway's.
    let mut gateway = config();
    gateway.subnets[0].gateways.insert(ip(9));
    here.set_config(&gateway, now).unwrap();
    assert_eq!(forwarding(&mut here), [format!("{HOST_9} -> gone")]);
    let mut routed = config();
    routed.subnets.clear();
    here.set_config(&routed, now).unwrap();
    assert_eq!(
        forwarding(&mut here),
        [
            format!("{HOST_9} -> 10.250.0.2 vni 5000 rmac 02:00:0a:fa:00:02"),
            format!("{MAC_9} -> gone"),
            "flood 100 10.250.0.2 -> gone".to_owned()
        ]
    );
}

#[test]
fn an_own_prefix_hides_that_of_others() {
    let mut here = instances(1);
    let route = Remote::prefix(2, "10.9.0.0/16");
    assert_eq!(after(&mut here, &[route]).len(), 1);
    here.set_prefixes("red", ["10.9.0.0/16".parse().unwrap()], Instant::now());
    assert_eq!(forwarding(&mut here), ["prefix 5000 10.9.0.0/16 -> gone"]);
    here.set_prefixes("red", [], Instant::now());
    assert_eq!(forwarding(&mut here).len(), 1);
}

#[test]
fn a_port_here_comes_before_a_tie_elsewhere() {
    let mut here = instances(1);
    here.set_port("a", port("web", 9), Instant::now()).unwrap();
    assert_eq!(after(&mut here, &[Remote::mac_ip(2, 9, Some(ip(9)))]), [""; 0]);
}

#[test]
fn two_type_3_routes_of_one_host_in_either_order() {
    let other = |originator: u8, label: u32| {
        let mut route = Remote::flood(2);
        let EvpnRoute::InclusiveMulticast(key) = &mut route.route else { panic!("not a type 3") };
        key.originator = ip(originator);
        route.attributes.pmsi.as_mut().unwrap().label = vni(label).into();
        route
    };
    let (low, high) = (other(1, 100), other(2, 200));
    for routes in [[low.clone(), high.clone()], [high, low]] {
        let mut here = instances(1);
        assert_eq!(after(&mut here, &routes), ["flood 100 10.250.0.2 -> vni 100"]);
    }
}
