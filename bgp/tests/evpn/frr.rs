//! FRR's own messages: what they become here, and that this host announces the same in its place.
//!
//! The capture is of FRR at 10.250.0.1 in AS 65000: VNI 100 in a VRF with L3 VNI 5000, router's MAC
//! 02:aa:00:00:50:01, one pod 02:00:00:00:01:01 with 192.168.100.1.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Instant;

use crate::support::{Table, apply, config, host, instances, ip, originations, port};
use weft_bgp::evpn::{Instances, LearnedPath, Origination, RouteChange};
use weft_bgp::peer::PeerId;
use weft_bgp::wire::{
    Attributes, Dialect, EvpnRoute, ExtendedCommunity, Frame, Message, Received, RouteDistinguisher, Routes,
    Update,
};

const CAPTURE: &str = include_str!("../vectors/frr-ibgp-irb.txt");
const DIALECT: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };

/// The UPDATE with this number in the capture.
fn update(number: usize) -> Update {
    let start = format!("[{number}] UPDATE");
    let lines = CAPTURE.lines().skip_while(|line| !line.starts_with(&start)).skip(1);
    let hex: String = lines.take_while(|line| !line.starts_with("  ;")).map(str::trim).collect();
    let digits: Vec<_> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    let bytes: Vec<_> = digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect();
    let frame = Frame::next(&bytes, false).unwrap().unwrap();
    let Message::Update(update) = Received::decode(frame, &DIALECT).unwrap().message else {
        panic!("message {number} is no UPDATE");
    };
    update
}

fn routes(routes: &Routes) -> Vec<EvpnRoute> {
    let Routes::Evpn(routes) = routes else { panic!("not EVPN: {routes:?}") };
    routes.iter().map(|nlri| nlri.route.clone()).collect()
}

/// What the RIB would tell of the message.
fn changes(number: usize) -> Vec<RouteChange<'static>> {
    let update = update(number);
    let mut all = Vec::new();
    for route in update.unreachable.iter().flat_map(routes) {
        all.push(RouteChange { route, best: None, others: vec![] });
    }
    if let Some(reachable) = &update.reachable {
        for route in routes(&reachable.routes) {
            let (attributes, next_hop) = (update.attributes.clone(), reachable.next_hop);
            all.push(RouteChange {
                route,
                best: Some(LearnedPath {
                    attributes: Cow::Owned(attributes),
                    next_hop,
                    from: PeerId(1),
                    long_lived_stale: false,
                }),
                others: vec![],
            });
        }
    }
    all
}

fn hear(here: &mut Instances, table: &mut Table, messages: impl IntoIterator<Item = usize>) {
    for change in messages.into_iter().flat_map(changes) {
        here.handle_route(change, Instant::now());
        apply(here, table);
    }
}

fn lines(table: &Table) -> Vec<String> {
    table.iter().map(|(subject, to)| format!("{subject} -> {to}")).collect()
}

#[test]
fn what_frr_announces_becomes_forwarding_until_it_is_withdrawn() {
    let (mut here, mut table) = (instances(2), Table::new());
    let rmac = "vni 5000 rmac 02:aa:00:00:50:01";
    hear(&mut here, &mut table, 2..=6);
    let pod_mac = "mac 100 02:00:00:00:01:01 -> 10.250.0.1 vni 100".to_owned();
    let pod = format!("host 5000 192.168.100.1 -> 10.250.0.1 {rmac} neighbour 100 02:00:00:00:01:01 vni 100");
    let flood = "flood 100 10.250.0.1 -> vni 100".to_owned();
    let prefix = format!("prefix 5000 172.16.1.0/24 -> 10.250.0.1 {rmac}");
    // 192.168.100.0/24 is a subnet of this host itself.
    assert_eq!(lines(&table), [flood.clone(), pod.clone(), pod_mac.clone(), prefix.clone()]);
    // A sticky MAC comes and goes; a type 5 comes and goes.
    hear(&mut here, &mut table, [7]);
    assert!(lines(&table).contains(&"mac 100 02:00:00:00:01:77 -> 10.250.0.1 vni 100".to_owned()));
    hear(&mut here, &mut table, [8, 11]);
    assert!(lines(&table).contains(&format!("prefix 5000 10.99.0.0/16 -> 10.250.0.1 {rmac}")));
    hear(&mut here, &mut table, [12]);
    assert_eq!(lines(&table), [flood.clone(), pod, pod_mac, prefix.clone()]);
    // The default gateway of FRR, at an address that is the gateway here too: only its MAC address is of use. The same
    // from advertise-svi-ip, without the community.
    for message in [13, 14] {
        hear(&mut here, &mut table, [message]);
        assert!(table.contains_key("mac 100 02:00:00:00:fe:fe"), "{message}");
        assert!(!table.contains_key("host 5000 192.168.100.254"), "{message}");
    }
    hear(&mut here, &mut table, [9]);
    assert!(
        !table.contains_key("host 5000 192.168.100.1") && !table.contains_key("mac 100 02:00:00:00:01:01")
    );
    hear(&mut here, &mut table, 15..=18);
    assert_eq!(lines(&table), [""; 0]);
}

#[test]
fn a_gateway_that_is_frrs_alone_is_reached() {
    let (mut here, mut table) = (instances(2), Table::new());
    let mut other = config();
    other.subnets[0].gateways = BTreeSet::from([ip(253)]);
    here.set_config(&other, Instant::now()).unwrap();
    hear(&mut here, &mut table, [14]);
    let expected = "10.250.0.1 vni 5000 rmac 02:aa:00:00:50:01 neighbour 100 02:00:00:00:fe:fe vni 100";
    assert_eq!(table["host 5000 192.168.100.254"], expected);
}

/// A host in FRR's place.
fn twin() -> Instances {
    let mut like_frr = host(1);
    like_frr.router_mac = weft_vxlan::MacAddr::new([2, 0xaa, 0, 0, 0x50, 1]);
    let mut twin = Instances::new(like_frr);
    let rd = |text: &str| Some(text.parse::<RouteDistinguisher>().unwrap());
    let mut config = config();
    config.networks[0].route_distinguisher = rd("10.250.0.1:2");
    config.subnets[0].route_distinguisher = rd("10.250.0.1:3");
    twin.set_config(&config, Instant::now()).unwrap();
    twin
}

/// Route, communities and tunnel: origin and MED are a matter of how a route came into BGP, and the preference is
/// added by the RIB.
fn said(route: &EvpnRoute, attributes: &Attributes) -> String {
    let communities: BTreeSet<ExtendedCommunity> = attributes.extended_communities.iter().copied().collect();
    format!("{route:?} {communities:?} {:?} {:?}", attributes.pmsi, attributes.as_path)
}

fn said_by(twin: &mut Instances) -> Vec<String> {
    originations(twin)
        .iter()
        .map(|origination| match origination {
            Origination::Announce { route, attributes, .. } => said(route, attributes),
            Origination::Withdraw(route) => format!("{route:?} gone"),
        })
        .collect()
}

fn said_by_frr(number: usize) -> Vec<String> {
    changes(number)
        .iter()
        .map(|RouteChange { route, best, .. }| {
            best.as_ref().map_or(format!("{route:?} gone"), |path| said(route, &path.attributes))
        })
        .collect()
}

#[test]
fn in_frrs_place_this_host_says_the_same() {
    let (mut twin, now) = (twin(), Instant::now());
    let prefixes = ["172.16.1.0/24", "192.168.100.0/24"].map(|text| text.parse().unwrap());
    twin.set_prefixes("red", prefixes, now);
    twin.set_port("pod", port("web", 1), now).unwrap();
    let mut expected: Vec<_> = (2..=6).flat_map(said_by_frr).collect();
    let mut told = said_by(&mut twin);
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
    let mut sticky = port("web", 0x77);
    (sticky.sticky, sticky.ips) = (true, BTreeSet::new());
    twin.set_port("sticky", sticky, now).unwrap();
    assert_eq!(said_by(&mut twin), said_by_frr(7));
    twin.remove_port("sticky", now);
    assert_eq!(said_by(&mut twin), said_by_frr(8));
}

#[test]
fn in_frrs_place_this_host_moves_as_frr_does() {
    let (mut twin, now) = (twin(), Instant::now());
    twin.set_port("pod", port("web", 1), now).unwrap();
    originations(&mut twin);
    // The move away, with sequence 4 from 10.250.0.100.
    for address in [None, Some(ip(1))] {
        let away = crate::support::Remote::mac_ip(100, 1, address).with(crate::support::mobility(4));
        twin.handle_route(away.comes(), now);
    }
    assert_eq!(said_by(&mut twin), said_by_frr(9));
    // The move back.
    twin.remove_port("pod", now);
    twin.set_port("pod", port("web", 1), now).unwrap();
    assert_eq!(said_by(&mut twin)[..1], said_by_frr(10));
}
