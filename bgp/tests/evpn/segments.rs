//! Addresses behind multihomed segments: usable while somebody is attached (RFC 7432 section 8).
//!
//! ```text
//!   host 1 (here) ---- host 2 --+
//!                 \--- host 3 --+-- segment -- MAC 9, IP 9
//! ```

use std::time::Instant;

use crate::support::{Remote, apply, config, instances, ip, mac, rd, router_mac, target, vni, vtep};
use proptest::prelude::*;
use weft_bgp::evpn::{Source, Subject, Targets, Verdict};
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
