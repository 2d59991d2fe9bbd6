use weft_dataplane_abi::Scope;

use super::*;

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
