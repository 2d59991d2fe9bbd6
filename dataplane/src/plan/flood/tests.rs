use std::path::PathBuf;

use weft_vxlan::{MacAddr, Vtep};

use super::*;
use crate::desired::{Host, Limits, Port, Subnet};

const RED: u32 = 101;

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn vtep(number: u16) -> Vtep {
    let [high, low] = number.to_be_bytes();
    Vtep::new([192, 0, high, low].into()).unwrap()
}

fn desired(vteps: impl IntoIterator<Item = u16>) -> Desired {
    let subnet = Subnet { name: "red-a".to_owned(), network: vni(100), ipv4: None, ipv6: None };
    Desired {
        host: Host {
            underlay: "eth0".to_owned(),
            vtep: vtep(1),
            udp_port: 4789,
            router_mac: MacAddr::new([2; 6]),
            gateway_mac: MacAddr::new([4; 6]),
            limits: Limits::default(),
            flows: crate::desired::FlowLimits::NONE,
            xdp: crate::desired::Xdp::default(),
            software_checksums: BTreeSet::new(),
        },
        subnets: BTreeMap::from([(vni(RED), subnet)]),
        networks: BTreeMap::new(),
        ports: BTreeMap::new(),
        flood: BTreeMap::from([(
            vni(RED),
            vteps.into_iter().map(|number| (vtep(number), vni(901))).collect(),
        )]),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    }
}

fn plan(
    desired: &Desired,
    ports: &BTreeMap<&str, LocalPort>,
    held: &BTreeMap<FloodKey, FloodMember>,
) -> Flood {
    let flood = Flood::plan(desired, &desired.flood, ports, held);
    // Of the VTEPs alone, the lists are the same.
    let vteps = Flood::plan_vteps(desired, &desired.flood, &desired.subnets.keys().copied().collect(), held);
    let those = flood.members.iter().filter(|(key, _)| key.group() == flood_group::VTEPS);
    assert!(vteps.members.iter().eq(those));
    flood
}

/// The VTEPs that get copies, in the order of their places, which have no gap.
fn order(flood: &Flood) -> Vec<FloodMember> {
    let places = flood.members.keys().map(|key| (key.subnet(), key.group(), key.index()));
    assert!(places.eq((0..).map(|index| (RED, flood_group::VTEPS, index)).take(flood.members.len())));
    flood.members.values().copied().collect()
}

fn members(numbers: &[u16]) -> Vec<FloodMember> {
    numbers.iter().map(|number| FloodMember::vtep(vni(RED), vtep(*number), vni(901))).collect()
}

#[test]
fn whoever_is_in_a_list_stays_in_its_place() {
    let nobody = BTreeMap::new();
    let mut flood = plan(&desired([2, 4, 6, 8]), &nobody, &BTreeMap::new());
    assert_eq!(order(&flood), members(&[2, 4, 6, 8]));
    for (wanted, expected) in [
        // New ones come to the end.
        (vec![1, 2, 4, 6, 8], vec![2, 4, 6, 8, 1]),
        // The last one fills a gap.
        (vec![1, 2, 6, 8], vec![2, 1, 6, 8]),
        (vec![1, 2, 3, 8], vec![2, 1, 3, 8]),
        (vec![8], vec![8]),
        (vec![], vec![]),
    ] {
        flood = plan(&desired(wanted), &nobody, &flood.members);
        assert_eq!(order(&flood), members(&expected));
        assert!(flood.failures.is_empty());
    }
}

#[test]
fn too_many_vteps_leave_the_list_as_it_was() {
    let nobody = BTreeMap::new();
    let full = plan(&desired(1000..2024), &nobody, &BTreeMap::new());
    assert_eq!((full.members.len(), full.failures.len()), (1024, 0));
    let more = plan(&desired(1000..2025), &nobody, &full.members);
    assert_eq!(more.members, full.members);
    let [failure] = more.failures.as_slice() else { panic!("{:?}", more.failures) };
    assert!(failure.to_string().starts_with("subnet red-a: 1025 VTEPs take part in it"), "{failure}");
    // Who has gone is taken out all the same.
    let more = plan(&desired(1001..2030), &nobody, &full.members);
    assert_eq!((order(&more).len(), more.failures.len()), (1023, 1));
}

#[test]
fn ports_are_in_the_list_of_their_subnet_once_they_have_a_device() {
    let mut desired = desired([]);
    for (name, subnet) in [("a", RED), ("b", RED), ("elsewhere", 102), ("without-device", RED)] {
        let port = Port {
            subnet: vni(subnet),
            mac: MacAddr::new([2; 6]),
            ipv4: None,
            ipv6: None,
            netns: PathBuf::new(),
            device: "eth0".to_owned(),
            tenant: "acme".to_owned(),
            security: crate::desired::Security::open(),
        };
        desired.ports.insert(name.to_owned(), port);
    }
    let ports = [("a", 30, 1), ("b", 31, 2), ("elsewhere", 32, 3)];
    let ports = ports.map(|(name, ifindex, slot)| (name, LocalPort { ifindex, slot })).into();
    let flood = plan(&desired, &ports, &BTreeMap::new());
    let expected = [(0, FloodMember::port(vni(RED), 30, 1)), (1, FloodMember::port(vni(RED), 31, 2))];
    let expected =
        expected.map(|(index, member)| (FloodKey::new(vni(RED), flood_group::PORTS, index), member));
    assert_eq!(flood.members, expected.into());
}
