use weft_dataplane_abi::Scope;
use weft_policy::GroupSet;

use super::*;
use crate::desired::Path;

const RED: u32 = 100;
const RED_FRONT: u32 = 200;

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

fn at(last: u8) -> Vtep {
    Vtep::new([192, 0, 2, last].into()).unwrap()
}

/// 10.0.0.20 is behind the second host, with a MAC in red's subnet.
fn route() -> (IpKey, HostRoute) {
    let routed = NextHop::remote(Scope::raw(RED), at(2), vni(900), mac(0xf2));
    let key = IpKey::new(vni(RED), [10, 0, 0, 20].into());
    (key, HostRoute::new(Scope::raw(RED), routed, vni(RED_FRONT), mac(20)))
}

/// That MAC is behind `vtep`.
fn switched(vtep: Vtep) -> HashMap<MacKey, NextHop> {
    let hop = NextHop::remote(Scope::raw(RED_FRONT), vtep, vni(902), MacAddr::new([0; 6]));
    HashMap::from([(MacKey::new(vni(RED_FRONT), mac(20)), hop)])
}

fn kept(fdb: HashMap<MacKey, NextHop>) -> RouteTables {
    let mut tables = RouteTables::new();
    tables.keep(&Pinned { hosts: vec![route()], fdb, ..Pinned::default() });
    tables
}

#[test]
fn an_address_is_kept_only_with_the_mac_that_it_had() {
    let (key, route) = route();
    let tables = kept(switched(at(2)));
    assert_eq!(tables.hosts.get(&key), Some(route));
    assert_eq!(tables.unconfirmed(), 2);
    // Unknown, or behind another host: with which VNI it was switched to cannot be told.
    assert_eq!(kept(HashMap::new()).unconfirmed(), 0);
    let moved = kept(switched(at(3)));
    assert_eq!((moved.hosts.len(), moved.unconfirmed()), (0, 1));
}

/// In: a prefix, an address and its MAC with two ways each. Out: all are kept as they are, unless a way is not there.
#[test]
fn routes_with_several_ways_are_kept_whole() {
    let ways = |number, mac_of: fn(u8) -> MacAddr| {
        let [first, other] = [2, 3].map(|last| Path { vtep: at(last), vni: vni(number), mac: mac_of(last) });
        Paths { first, others: Box::new([other]) }
    };
    let neighbour = Neighbour { subnet: vni(RED_FRONT), vni: vni(902), mac: mac(20) };
    let routed = ways(900, mac);
    let (prefix, address) = ("10.9.0.0/16".parse().unwrap(), [10, 0, 0, 20].into());
    let mut before = RouteTables::new();
    before.change(RouteDelta {
        hosts: vec![(
            (vni(RED), address),
            Some(RemoteHost { paths: routed.clone(), neighbour: Some(neighbour), groups: GroupSet::empty() }),
        )],
        prefixes: vec![((vni(RED), prefix), Some(routed))],
        macs: vec![((vni(RED_FRONT), mac(20)), Some(ways(902, |_| MacAddr::new([0; 6]))))],
        flood: vec![],
    });
    let entries =
        |keys: Vec<PathKey>| keys.into_iter().map(|key| (key, before.paths.entries.get(&key).unwrap()));
    let all: Vec<_> = before.paths.entries.sources().map(|(key, _)| *key).collect();
    assert_eq!(all.len(), 4);
    let pinned = |paths| Pinned {
        hosts: before.hosts.sources().map(|(key, host)| (*key, host.value(key))).collect(),
        prefixes: before.prefixes.sources().map(|(key, paths)| (*key, paths.value(key))).collect(),
        fdb: before.fdb.entries.sources().map(|(key, claim)| (*key, claim.value(key))).collect(),
        paths: entries(paths).collect(),
        flood: BTreeMap::new(),
    };
    let mut after = RouteTables::new();
    after.keep(&pinned(all.clone()));
    assert_eq!(after.unconfirmed(), 3);
    for (key, host) in before.hosts.sources() {
        assert_eq!(after.hosts.source(key), Some(host));
    }
    assert_eq!(after.paths.entries.len(), 4);
    assert_eq!(after.macs, before.macs);

    let mut after = RouteTables::new();
    after.keep(&pinned(all.into_iter().filter(|key| key.index() == 0).collect()));
    assert_eq!((after.unconfirmed(), after.paths.entries.len()), (0, 0));
}

#[test]
fn what_is_of_this_host_is_not_kept() {
    let gateway = NextHop::gateway(Scope::raw(RED), mac(0xfe));
    let key = IpKey::new(vni(RED), [10, 0, 0, 1].into());
    let member = FloodMember::port(vni(RED_FRONT), 30, 1);
    let mut tables = RouteTables::new();
    tables.keep(&Pinned {
        hosts: vec![(key, HostRoute::routed(Scope::raw(RED), gateway))],
        flood: BTreeMap::from([(FloodKey::new(vni(RED_FRONT), flood_group::PORTS, 0), member)]),
        ..Pinned::default()
    });
    assert_eq!((tables.unconfirmed(), tables.hosts.len(), tables.flood.len()), (0, 0, 0));
}

#[test]
fn what_was_tried_and_undone_confirms_nothing() {
    let mut tables = kept(switched(at(2)));
    let before = tables.mark();
    let address = (vni(RED), [10, 0, 0, 20].into());
    let undo = tables.change(RouteDelta { hosts: vec![(address, None)], ..RouteDelta::default() });
    assert_eq!(tables.unconfirmed(), 1);
    tables.change(undo);
    tables.back_to(before);
    assert_eq!(tables.unconfirmed(), 2);
    let RouteDelta { hosts, macs, .. } = tables.sweep();
    assert_eq!((hosts, macs), (vec![(address, None)], vec![((vni(RED_FRONT), mac(20)), None)]));
}
