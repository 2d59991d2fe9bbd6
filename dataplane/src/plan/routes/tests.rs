use weft_policy::GroupSet;
use weft_vxlan::MacAddr;

use weft_dataplane_abi::Scope;

use super::*;
use crate::desired::{Host, Limits};

const RED: u32 = 100;
const BLUE: u32 = 101;
const RED_FRONT: u32 = 200;

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

fn vtep(last: u8) -> Vtep {
    Vtep::new([192, 0, 2, last].into()).unwrap()
}

fn key(network: u32, address: &str) -> IpKey {
    IpKey::new(vni(network), address.parse().unwrap())
}

fn remote(last: u8, neighbour: Option<Neighbour>) -> RemoteHost {
    let path = Path { vtep: vtep(last), vni: vni(900), mac: mac(0xf0 | last) };
    RemoteHost { paths: path.into(), neighbour, groups: GroupSet::empty() }
}

fn behind(last: u8, number: u32) -> Paths {
    Path { vtep: vtep(last), vni: vni(number), mac: mac(1) }.into()
}

/// 02:00:00:00:00:14 in red's subnet.
fn neighbour() -> Neighbour {
    Neighbour { subnet: vni(RED_FRONT), vni: vni(902), mac: mac(20) }
}

fn host(network: u32, address: &str, host: Option<RemoteHost>) -> RouteDelta {
    RouteDelta { hosts: vec![((vni(network), address.parse().unwrap()), host)], ..RouteDelta::default() }
}

fn prefix(network: u32, prefix: &str, behind: Option<Paths>) -> RouteDelta {
    RouteDelta { prefixes: vec![((vni(network), prefix.parse().unwrap()), behind)], ..RouteDelta::default() }
}

fn members(tables: &RouteTables, candidates: &[VtepVniKey]) -> Vec<bool> {
    candidates.iter().map(|key| tables.vtep_vnis.entries.get(key) == Some(1)).collect()
}

#[test]
fn a_neighbour_is_switched_to_and_resolved_and_the_rest_is_routed() {
    let mut tables = RouteTables::new();
    tables.change(host(RED, "10.0.0.20", Some(remote(2, Some(neighbour())))));
    tables.change(host(RED, "10.0.5.5", Some(remote(3, None))));

    // The VNIs are those that the other host wants.
    let network = Scope::raw(RED);
    let routed = NextHop::remote(network, vtep(2), vni(900), mac(0xf2));
    let route = HostRoute::new(network, routed, vni(RED_FRONT), mac(20));
    assert_eq!(tables.hosts.get(&key(RED, "10.0.0.20")), Some(route));
    let route = HostRoute::routed(network, NextHop::remote(network, vtep(3), vni(900), mac(0xf3)));
    assert_eq!(tables.hosts.get(&key(RED, "10.0.5.5")), Some(route));
    let switched = NextHop::remote(Scope::raw(RED_FRONT), vtep(2), vni(902), MacAddr::new([0; 6]));
    assert_eq!(tables.fdb.entries.get(&MacKey::new(vni(RED_FRONT), mac(20))), Some(switched));
    // Both know the groups of whoever it is.
    let groups: GroupSet = [weft_policy::GroupId(7)].into_iter().collect();
    tables.change(host(RED, "10.0.0.20", Some(RemoteHost { groups, ..remote(2, Some(neighbour())) })));
    let identity = tables.hosts.get(&key(RED, "10.0.0.20")).map(|route| route.identity());
    assert_ne!(identity, Some(0));
    let entry = tables.fdb.entries.get(&MacKey::new(vni(RED_FRONT), mac(20)));
    assert_eq!(entry.map(|entry| entry.identity()), identity);
    tables.change(host(RED, "10.0.0.20", Some(remote(2, Some(neighbour())))));
    assert_eq!(tables.fdb.entries.len(), 1);
    assert_eq!(tables.vteps(), BTreeSet::from([vtep(2), vtep(3)]));
}

#[test]
fn a_vtep_may_send_only_into_what_it_takes_part_in_here() {
    let mut tables = RouteTables::new();
    let keys = [
        VtepVniKey::new(vni(RED), vtep(2)),
        VtepVniKey::new(vni(RED_FRONT), vtep(2)),
        VtepVniKey::new(vni(BLUE), vtep(3)),
        VtepVniKey::new(vni(BLUE), vtep(2)),
    ];
    let blue = behind(3, 901);
    tables.change(host(RED, "10.0.0.20", Some(remote(2, Some(neighbour())))));
    tables.change(host(RED, "2001:db8::20", Some(remote(2, Some(neighbour())))));
    tables.change(prefix(BLUE, "10.3.0.0/16", Some(blue)));
    assert_eq!(members(&tables, &keys), [true, true, true, false]);

    // While one address is left, its host takes part, and its MAC is switched to.
    tables.change(host(RED, "10.0.0.20", None));
    assert_eq!(members(&tables, &keys), [true, true, true, false]);
    assert_eq!(tables.fdb.entries.len(), 1);
    tables.change(host(RED, "2001:db8::20", None));
    tables.change(prefix(BLUE, "10.3.0.0/16", None));
    assert_eq!(members(&tables, &keys), [false; 4]);
    assert_eq!((tables.fdb.entries.len(), tables.hosts.len(), tables.prefixes.len()), (0, 0, 0));
    assert!(tables.vteps().is_empty());
}

#[test]
fn a_moved_workload_is_behind_its_new_host() {
    let mut tables = RouteTables::new();
    tables.change(host(RED, "10.0.0.20", Some(remote(2, Some(neighbour())))));
    tables.change(host(RED, "10.0.0.20", Some(remote(3, Some(neighbour())))));
    let switched = NextHop::remote(Scope::raw(RED_FRONT), vtep(3), vni(902), MacAddr::new([0; 6]));
    assert_eq!(tables.fdb.entries.get(&MacKey::new(vni(RED_FRONT), mac(20))), Some(switched));
    let old = [VtepVniKey::new(vni(RED), vtep(2)), VtepVniKey::new(vni(RED_FRONT), vtep(2))];
    assert_eq!(members(&tables, &old), [false; 2]);
    assert_eq!(tables.vteps(), BTreeSet::from([vtep(3)]));
}

/// In: two prefixes and a MAC that each have the same two ways, in the network and in the subnet. Out: the ways are held
/// once in each; they go with the last that has them; and other ways are another set.
#[test]
fn equal_ways_are_held_once() {
    let mut tables = RouteTables::new();
    let both = |numbers: [u32; 2]| {
        let [first, other] = [2, 3].map(|last| behind(last, numbers[usize::from(last) - 2]).first);
        Paths { first, others: Box::new([other]) }
    };
    let with_mac =
        |paths| RouteDelta { macs: vec![((vni(RED_FRONT), mac(9)), paths)], ..RouteDelta::default() };
    tables.change(prefix(RED, "10.3.0.0/16", Some(both([900, 901]))));
    tables.change(prefix(RED, "10.4.0.0/16", Some(both([900, 901]))));
    tables.change(with_mac(Some(both([900, 901]))));
    assert_eq!(tables.paths.entries.len(), 4);
    assert_eq!(tables.vteps(), BTreeSet::from([vtep(2), vtep(3)]));
    let members = [RED, RED_FRONT].map(|number| VtepVniKey::new(vni(number), vtep(3)));
    assert_eq!(self::members(&tables, &members), [true; 2]);

    let at = |address| PrefixKey { bits: 80, address: key(RED, address) };
    let [one, other] = ["10.3.0.0", "10.4.0.0"].map(|address| tables.prefixes.get(&at(address)).unwrap());
    assert_eq!((one, one.paths().1), (other, 2));
    let second = PathKey::raw(RED, one.paths().0, 1);
    let expected = NextHop::remote(Scope::raw(RED), vtep(3), vni(901), mac(1));
    assert_eq!(tables.paths.entries.get(&second), Some(expected));

    tables.change(prefix(RED, "10.3.0.0/16", Some(both([900, 902]))));
    assert_eq!(tables.paths.entries.len(), 6);
    assert_ne!(tables.prefixes.get(&at("10.3.0.0")), Some(one));
    tables.change(prefix(RED, "10.4.0.0/16", Some(behind(2, 900))));
    tables.change(with_mac(None));
    assert_eq!(tables.paths.entries.len(), 2);
    tables.change(prefix(RED, "10.3.0.0/16", None));
    assert_eq!((tables.paths.entries.len(), tables.vteps().len()), (0, 1));
}

#[test]
fn prefixes_count_their_scope_and_drop_host_bits() {
    let mut tables = RouteTables::new();
    let behind = behind(2, 900);
    let expected = [
        ("0.0.0.0/0", "0.0.0.0", 64),
        ("10.3.7.7/16", "10.3.0.0", 80),
        ("2001:db8:9::1/48", "2001:db8:9::", 112),
    ];
    for (given, address, bits) in expected {
        tables.change(prefix(RED, given, Some(behind.clone())));
        let next_hop = NextHop::remote(Scope::raw(RED), vtep(2), vni(900), mac(1));
        assert_eq!(tables.prefixes.get(&PrefixKey { bits, address: key(RED, address) }), Some(next_hop));
    }
    assert_eq!(tables.prefixes.len(), 3);
}

#[test]
fn changes_can_be_undone() {
    let mut tables = RouteTables::new();
    tables.change(host(RED, "10.0.0.20", Some(remote(2, Some(neighbour())))));
    let mut delta = host(RED, "10.0.0.20", None);
    delta.hosts.extend(host(RED, "10.0.0.20", Some(remote(4, None))).hosts);
    delta.hosts.extend(host(RED, "10.0.0.21", Some(remote(3, None))).hosts);
    delta.prefixes = prefix(RED, "10.3.0.0/16", Some(behind(5, 1))).prefixes;
    let undo = tables.change(delta);
    assert_eq!(tables.vteps(), BTreeSet::from([vtep(3), vtep(4), vtep(5)]));
    tables.change(undo);
    assert_eq!(tables.vteps(), BTreeSet::from([vtep(2)]));
    assert!(tables.holds(&key(RED, "10.0.0.20"), Some(&remote(2, Some(neighbour())))));
    assert_eq!((tables.hosts.len(), tables.prefixes.len(), tables.fdb.entries.len()), (1, 0, 1));
}

#[test]
fn the_delta_to_other_routes_leads_there() {
    let mut desired = Desired {
        host: Host {
            underlay: "eth0".to_owned(),
            vtep: vtep(1),
            udp_port: 4789,
            router_mac: mac(0xf1),
            gateway_mac: mac(0xfe),
            limits: Limits::default(),
            flows: crate::desired::FlowLimits::NONE,
            xdp: crate::desired::Xdp::Off,
            software_checksums: BTreeSet::new(),
        },
        subnets: BTreeMap::new(),
        networks: BTreeMap::new(),
        ports: BTreeMap::new(),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    };
    let address = |last: u8| (vni(RED), IpAddr::from([10, 0, 0, last]));
    let behind = behind(5, 1);
    desired.remote_hosts = [(address(20), remote(2, None)), (address(21), remote(3, None))].into();
    desired.remote_prefixes = [((vni(RED), "10.3.0.0/16".parse().unwrap()), behind.clone())].into();
    let mut tables = RouteTables::new();
    tables.change(tables.delta_to(&desired));
    assert_eq!(tables.delta_to(&desired), RouteDelta::default());
    desired.remote_hosts.remove(&address(20));
    desired.remote_prefixes = [((vni(RED), "10.4.0.0/16".parse().unwrap()), behind.clone())].into();
    let delta = tables.delta_to(&desired);
    assert_eq!(delta.hosts, [(address(20), None)]);
    let prefixes = [
        ((vni(RED), "10.4.0.0/16".parse().unwrap()), Some(behind)),
        ((vni(RED), "10.3.0.0/16".parse().unwrap()), None),
    ];
    assert_eq!(delta.prefixes, prefixes);
}
