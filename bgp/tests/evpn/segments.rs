//! Addresses behind multihomed segments: usable while somebody is attached (RFC 7432 section 8).
//!
//! ```text
//!   host 1 (here) ---- host 2 --+
//!                 \--- host 3 --+-- segment -- MAC 9, IP 9
//! ```

use std::time::Instant;

use crate::support::{Remote, apply, config, instances, ip, mac, rd, router_mac, target, vni, vtep};
use proptest::prelude::*;
use weft_bgp::evpn::{Lost, RouteChange, Source, Subject, Targets, Verdict};
use weft_bgp::wire::{EsiLabel, EthernetAd, EthernetSegmentId, EthernetTag, EvpnRoute, Label};

const MAC_9: &str = "mac 100 02:00:00:00:01:09";
const HOST_9: &str = "host 5000 192.168.100.9";

fn segment() -> EthernetSegmentId {
    EthernetSegmentId::from_bytes([3, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0, 1])
}

/// A type 1: of the whole segment, or of the subnet on it.
fn discovery(host: u8, whole: bool) -> Remote {
    let mut remote = Remote::mac_ip(host, 9, None);
    let (number, tag, label) =
        if whole { (1, EthernetTag::MAX, Label::ZERO) } else { (100, EthernetTag::ZERO, vni(100).into()) };
    remote.route = EvpnRoute::EthernetAd(EthernetAd { rd: rd(host, number), segment: segment(), tag, label });
    remote
}

fn address(host: u8) -> Remote {
    Remote::mac_ip(host, 9, Some(ip(9))).edit(|route| route.segment = segment())
}

#[test]
fn an_address_is_there_while_its_segment_is() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let mut step = |change, mac: Option<&str>, host: Option<&str>| {
        here.handle_route(change, now);
        apply(&mut here, &mut table);
        assert_eq!(table.get(MAC_9).map(String::as_str), mac);
        let (starts, got) = (host, table.get(HOST_9).map(String::as_str));
        assert_eq!(got.is_some(), starts.is_some());
        assert!(got.unwrap_or_default().starts_with(starts.unwrap_or_default()), "{got:?}");
    };
    let (at_2, at_3) = ("10.250.0.2 vni 100", "10.250.0.3 vni 100");
    let at_both = "10.250.0.2 vni 100 or 10.250.0.3 vni 100";
    let (routed_2, switched_3) = ("10.250.0.2 vni 5000", "10.250.0.3 switched");
    step(address(2).comes(), None, None);
    step(discovery(2, false).comes(), None, None);
    step(discovery(2, true).comes(), Some(at_2), Some(routed_2));
    step(discovery(3, true).comes(), Some(at_2), Some(routed_2));
    step(discovery(3, false).comes(), Some(at_both), Some(routed_2));
    // The mass withdrawal of host 2: host 3 never told of the address, but it is attached.
    step(discovery(2, true).goes(), Some(at_3), Some(switched_3));
    step(discovery(3, true).goes(), None, None);
    step(discovery(3, true).comes(), Some(at_3), Some(switched_3));
    step(discovery(2, true).comes(), Some(at_both), Some(routed_2));
    step(address(2).goes(), None, None);
}

/// In: two hosts on the segment that both tell of the address. Out: each flow takes one of them, switched or routed; once
/// one of them says that only one host of the segment takes packets (RFC 7432 section 14.1.1), the lower one is used.
#[test]
fn all_members_are_used_unless_one_says_that_only_one_is() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    for route in every() {
        here.handle_route(route.comes(), now);
    }
    apply(&mut here, &mut table);
    assert_eq!(table[MAC_9], "10.250.0.2 vni 100 or 10.250.0.3 vni 100");
    let [mac_2, mac_3] = [2, 3].map(router_mac);
    let neighbour = "neighbour 100 02:00:00:00:01:09 vni 100";
    let at_2 = format!("10.250.0.2 vni 5000 rmac {mac_2} {neighbour}");
    assert_eq!(table[HOST_9], format!("{at_2} or 10.250.0.3 vni 5000 rmac {mac_3}"));

    let label = EsiLabel { single_active: true, label: Label::ZERO };
    here.handle_route(discovery(3, true).with(label.into()).comes(), now);
    apply(&mut here, &mut table);
    assert_eq!((table[MAC_9].as_str(), table[HOST_9].as_str()), ("10.250.0.2 vni 100", at_2.as_str()));
    assert_eq!(std::iter::from_fn(|| here.poll_event()).count(), 0, "nothing moved");
}

/// In: three hosts on the segment that all told of the address; the first withdraws the segment, and not yet the address.
/// Out: it is routed to the two that are left.
#[test]
fn after_a_mass_withdrawal_the_others_are_routed_to() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let all = [2, 3, 4].map(|host| [discovery(host, true), discovery(host, false), address(host)]);
    for route in all.iter().flatten() {
        here.handle_route(route.comes(), now);
    }
    here.handle_route(discovery(2, true).goes(), now);
    apply(&mut here, &mut table);
    assert_eq!(table[MAC_9], "10.250.0.3 vni 100 or 10.250.0.4 vni 100");
    let [mac_3, mac_4] = [3, 4].map(router_mac);
    let routed = format!("10.250.0.3 vni 5000 rmac {mac_3} neighbour 100 02:00:00:00:01:09 vni 100");
    assert_eq!(table[HOST_9], format!("{routed} or 10.250.0.4 vni 5000 rmac {mac_4}"));
    let told = here.explain(&Subject::Host(vni(5000), ip(9)));
    let verdicts: Vec<_> = told.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Used, Verdict::Used, Verdict::Lost(Lost::Detached)]);
}

/// In: a host with two instances on the segment that the subnet imports. Out: one way to it, with the VNI that was told.
#[test]
fn a_member_is_one_way_however_many_instances_it_has() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let mut second = discovery(3, false);
    if let EvpnRoute::EthernetAd(route) = &mut second.route {
        (route.rd, route.label) = (rd(3, 99), vni(99).into());
    }
    for route in every().into_iter().chain([second]) {
        here.handle_route(route.comes(), now);
    }
    apply(&mut here, &mut table);
    assert_eq!(table[MAC_9], "10.250.0.2 vni 100 or 10.250.0.3 vni 100");
}

/// In: a host that tells a prefix twice, by two distinguishers, beside another host; in both orders. Out: one way to it,
/// the same in both.
#[test]
fn of_a_host_with_a_prefix_twice_the_same_route_is_used_in_any_order() {
    let twice = |number: u16| {
        let mut remote = Remote::prefix(3, "10.9.0.0/16");
        if let EvpnRoute::IpPrefix(route) = &mut remote.route {
            (route.rd, route.label) = (rd(3, number), vni(number.into()).into());
        }
        remote
    };
    for routes in [[twice(1), twice(2)], [twice(2), twice(1)]] {
        let (mut here, now) = (instances(1), Instant::now());
        let mut table = std::collections::BTreeMap::new();
        here.handle_route(Remote::prefix(2, "10.9.0.0/16").comes(), now);
        routes.iter().for_each(|route| here.handle_route(route.comes(), now));
        apply(&mut here, &mut table);
        let [mac_2, mac_3] = [2, 3].map(router_mac);
        let expected = format!("10.250.0.2 vni 5000 rmac {mac_2} or 10.250.0.3 vni 1 rmac {mac_3}");
        assert_eq!(table["prefix 5000 10.9.0.0/16"], expected);
        let told = here.explain(&Subject::Prefix(vni(5000), "10.9.0.0/16".parse().unwrap()));
        let verdicts: Vec<_> = told.iter().map(|one| one.verdict).collect();
        assert_eq!(verdicts, [Verdict::Used, Verdict::Used, Verdict::Lost(Lost::Vtep)]);
    }
}

/// In: one route of two paths, each with a VNI of its own, beside that of a third host; then the second path goes, and comes
/// back by the third host. Out: packets go to all of them, each with its VNI and once.
#[test]
fn all_paths_of_one_route_are_used() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let path = |host, label: u32| {
        let mut remote = Remote::prefix(host, "10.9.0.0/16");
        if let EvpnRoute::IpPrefix(route) = &mut remote.route {
            (route.rd, route.label) = (rd(9, 9), vni(label).into());
        }
        remote
    };
    let both = |other: Option<Remote>| {
        let other = other.map(|remote| remote.comes());
        let others = other.and_then(|change| Some((change.route, change.best?)));
        RouteChange { others: others.into_iter().collect(), ..path(2, 5002).comes() }
    };
    let way = |host: u8, label: u32| format!("10.250.0.{host} vni {label} rmac {}", router_mac(host));
    let mut step = |change, ways: &[String]| {
        here.handle_route(change, now);
        apply(&mut here, &mut table);
        assert_eq!(table["prefix 5000 10.9.0.0/16"], ways.join(" or "));
    };
    step(both(Some(path(4, 5004))), &[way(2, 5002), way(4, 5004)]);
    step(Remote::prefix(3, "10.9.0.0/16").comes(), &[way(2, 5002), way(3, 5000), way(4, 5004)]);
    step(both(None), &[way(2, 5002), way(3, 5000)]);
    step(both(Some(path(3, 5003))), &[way(2, 5002), way(3, 5003)]);
}

/// In: a prefix behind two hosts, of which the peer that told of one has been gone for long. Out: the other alone.
#[test]
fn what_has_been_stale_for_long_is_not_used_beside_what_is_fresh() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let mut stale = Remote::prefix(2, "10.9.0.0/16").comes();
    if let Some(best) = &mut stale.best {
        best.long_lived_stale = true;
    }
    here.handle_route(stale, now);
    here.handle_route(Remote::prefix(3, "10.9.0.0/16").comes(), now);
    apply(&mut here, &mut table);
    assert_eq!(table["prefix 5000 10.9.0.0/16"], format!("10.250.0.3 vni 5000 rmac {}", router_mac(3)));
}

/// In: a prefix behind four hosts, three of which are as good; one of them goes. Out: packets go to the three, then to the
/// two.
#[test]
fn equally_good_paths_to_a_prefix_are_all_used() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let behind = |host| Remote::prefix(host, "10.9.0.0/16");
    let mut far = behind(2);
    far.attributes.local_pref = Some(50);
    for route in [far, behind(5), behind(3), behind(4)] {
        here.handle_route(route.comes(), now);
    }
    let path = |host: u8| format!("10.250.0.{host} vni 5000 rmac {}", router_mac(host));
    apply(&mut here, &mut table);
    assert_eq!(table["prefix 5000 10.9.0.0/16"], [3, 4, 5].map(path).join(" or "));
    here.handle_route(behind(3).goes(), now);
    apply(&mut here, &mut table);
    assert_eq!(table["prefix 5000 10.9.0.0/16"], [4, 5].map(path).join(" or "));
}

#[test]
fn all_members_are_listed() {
    let (mut here, now) = (instances(1), Instant::now());
    let all = [3, 2].map(|host| [discovery(host, true), discovery(host, false), address(host)]);
    for route in all.iter().flatten() {
        here.handle_route(route.comes(), now);
    }
    let told = here.explain(&Subject::Mac(vni(100), mac(9)));
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].verdict, told[0].members.as_slice()), (Verdict::Used, &[vtep(2), vtep(3)][..]));
    assert_eq!(told[1].members, [vtep(3), vtep(2)]);
    assert!(matches!(told[0].source, Source::Route { .. }));
    // A type 1 of another subnet's target makes nobody a member.
    let other = discovery(3, false).without(target(100)).with(target(101));
    here.handle_route(other.comes(), now);
    let told = here.explain(&Subject::Mac(vni(100), mac(9)));
    assert_eq!(told[0].members, [vtep(2)]);
}

#[test]
fn a_member_comes_in_by_a_target_that_the_subnet_gets() {
    let (mut here, now) = (instances(1), Instant::now());
    let mut table = std::collections::BTreeMap::new();
    let other = discovery(3, false).without(target(100)).with(target(101));
    for route in [address(2), discovery(3, true), other] {
        here.handle_route(route.comes(), now);
    }
    apply(&mut here, &mut table);
    assert_eq!(table.len(), 0);
    let mut more = config();
    let targets = ["65000:100", "65000:101"].map(|text| text.parse().unwrap());
    more.subnets[0].import = Targets::Set(targets.into());
    here.set_config(&more, now).unwrap();
    apply(&mut here, &mut table);
    assert_eq!(table[MAC_9], "10.250.0.3 vni 100");
    assert_eq!(table[HOST_9], "10.250.0.3 switched neighbour 100 02:00:00:00:01:09 vni 100");
}

proptest! {
    #[test]
    fn the_order_does_not_matter(routes in Just(every()).prop_shuffle(), without in 0..6_usize) {
        let now = Instant::now();
        let mut tables = [routes, every()].map(|routes| {
            let mut here = instances(1);
            let mut table = std::collections::BTreeMap::new();
            for route in &routes {
                here.handle_route(route.comes(), now);
                apply(&mut here, &mut table);
            }
            here.handle_route(every()[without].goes(), now);
            apply(&mut here, &mut table);
            table
        });
        let second = std::mem::take(&mut tables[1]);
        prop_assert_eq!(&tables[0], &second);
        prop_assert!(second.contains_key(MAC_9));
    }
}

fn every() -> Vec<Remote> {
    [2, 3].iter().flat_map(|host| [discovery(*host, true), discovery(*host, false), address(*host)]).collect()
}
