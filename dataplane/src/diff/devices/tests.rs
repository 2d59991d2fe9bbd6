use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use netlink_packet_route::link::In6AddrGenMode;
use weft_vxlan::MacAddr;

use super::*;
use crate::bpf::Attachment;
use crate::netlink::Peer;
use crate::netns::NetnsError;

const NETNS: &str = "/run/netns/a";
const NEXT_HOP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

fn link(index: u32, name: &str, kind: Kind, alias: Option<&str>) -> Link {
    Link {
        index,
        name: name.to_owned(),
        kind,
        alias: alias.map(str::to_owned),
        group: 0,
        mtu: 1450,
        mac: Some(MacAddr::new([2; 6])),
        up: true,
        arp: true,
        link_local: None,
        ipv6: false,
        gso_max_size: 65_500,
        master: Some(4),
    }
}

fn headroom() -> Link {
    let link = link(4, names::HEADROOM, Kind::Bridge, Some(&names::headroom_alias()));
    Link { up: false, master: None, ..link }
}

fn underlay() -> Link {
    Link { mtu: 1500, master: None, ..link(1, "under0", Kind::Other, None) }
}

fn vxlan() -> Link {
    let kind = Kind::Vxlan { port: 4789, external: true, zero_checksums: true };
    Link { mtu: VXLAN_MTU, ..link(2, names::VXLAN, kind, Some(&names::vxlan_alias())) }
}

fn host_end() -> Link {
    let peer = Peer { index: 30, nsid: Some(0) };
    link(3, &names::host_end("a"), Kind::Veth(peer), Some(&names::port_alias("a")))
}

fn far_end() -> Link {
    let kind = Kind::Veth(Peer { index: 3, nsid: Some(0) });
    Link { link_local: Some(In6AddrGenMode::Eui64), ipv6: true, ..link(30, "eth0", kind, None) }
}

fn wanted() -> Devices {
    let port = WantedPort {
        host_end: names::host_end("a"),
        netns: PathBuf::from(NETNS),
        device: "eth0".to_owned(),
        mac: MacAddr::new([2; 6]),
        mtu: Some(1450),
        gso_max_size: 65_500,
        addresses: Vec::new(),
        gateways: Vec::new(),
    };
    Devices {
        udp_port: 4789,
        underlay: Some(1),
        uplinks: BTreeSet::new(),
        ports: BTreeMap::from([("a".to_owned(), port)]),
        neighbours: BTreeSet::from([(1, NEXT_HOP)]),
        software_checksums: false,
    }
}

fn attachment(program: &'static str, ifindex: u32) -> Attachment {
    Attachment { hook: crate::Hook::Tcx, program, ifindex, attached_to: ifindex }
}

fn neighbour(protocol: u8, managed: bool) -> Neighbour {
    Neighbour { ifindex: 1, address: NEXT_HOP, mac: None, managed, permanent: false, protocol }
}

/// A kernel that is as wanted.
fn settled() -> Observed {
    let namespace = Namespace { nsid: Some(0), links: vec![far_end()], ..Namespace::default() };
    Observed {
        links: vec![underlay(), vxlan(), host_end(), headroom()],
        attachments: vec![
            attachment(programs::FROM_UNDERLAY, 1),
            attachment(programs::FROM_VXLAN, 2),
            attachment(programs::FROM_POD, 3),
        ],
        neighbours: vec![neighbour(PROTOCOL, true)],
        namespaces: BTreeMap::from([(PathBuf::from(NETNS), Ok(namespace))]),
        ..Observed::default()
    }
}

const STAGES: [Stage; 5] = [Stage::Create, Stage::Prepare, Stage::Open, Stage::Remove, Stage::Detach];

/// Changes of `stage`, and the failures, in words.
fn outcome(stage: Stage, observed: &Observed) -> (Vec<String>, Vec<String>) {
    let (changes, failures) = devices(stage, &wanted(), observed);
    (changes.iter().map(ToString::to_string).collect(), failures.iter().map(ToString::to_string).collect())
}

fn changes(stage: Stage, observed: &Observed) -> Vec<String> {
    let (changes, failures) = outcome(stage, observed);
    assert_eq!(failures, [""; 0]);
    changes
}

fn create() -> String {
    let device = names::host_end("a");
    format!("create port a: {device} here, eth0 in {NETNS} with MAC 02:02:02:02:02:02, MTU 1450")
}

fn remove() -> String {
    format!("remove port a: device {}", names::host_end("a"))
}

#[test]
fn what_is_as_wanted_stays() {
    for stage in STAGES {
        assert_eq!(outcome(stage, &settled()), (vec![], vec![]), "{stage:?}");
    }
}

#[test]
fn an_empty_host_gets_everything_once() {
    let mut observed = Observed { links: vec![underlay()], ..settled() };
    observed.attachments.clear();
    observed.neighbours.clear();
    observed.namespaces.insert(PathBuf::from(NETNS), Ok(Namespace::default()));
    let mut seen = Vec::new();
    for stage in STAGES {
        let (changes, failures) = devices(stage, &wanted(), &observed);
        assert!(failures.is_empty());
        for change in changes {
            observed.assume(&change);
            seen.push(change.to_string());
        }
    }
    let host_end = names::host_end("a");
    let expected = [
        "create device weft-vxlan for VXLAN on UDP port 4789".to_owned(),
        "create bridge weft-headroom for headroom".to_owned(),
        create(),
        "device weft-vxlan: keep the host's IPv6 off it".to_owned(),
        "device weft-vxlan: set MTU 65000".to_owned(),
        format!("device {host_end}: keep the host's IPv6 off it"),
        "device weft-headroom: keep the host's IPv6 off it".to_owned(),
        "device weft-vxlan: have the kernel leave headroom in what comes through it".to_owned(),
        format!("device {host_end}: have the kernel leave headroom in what comes through it"),
        format!("attach program from_pod to device {host_end}"),
        "attach program from_underlay to device under0".to_owned(),
        "attach program from_vxlan to device weft-vxlan".to_owned(),
        "keep next hop 192.0.2.9 resolved".to_owned(),
        "device weft-vxlan: bring up".to_owned(),
        format!("device {host_end}: bring up"),
        "port a: have super-packets of 65500 bytes segmented".to_owned(),
        "port a: bring up".to_owned(),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn one_port_of_a_namespace_gets_the_default_route_of_a_family() {
    let gateway4 = IpAddr::from([10, 0, 0, 1]);
    let gateway6: IpAddr = "2001:db8::1".parse().unwrap();
    let port = wanted().ports.remove("a").unwrap();
    let on = |device: &str, gateways: &[IpAddr], netns: &str| WantedPort {
        device: device.to_owned(),
        gateways: gateways.to_vec(),
        netns: PathBuf::from(netns),
        ..port.clone()
    };
    // Names of ports and of devices are in opposite orders.
    let mut ports = BTreeMap::from([
        ("a".to_owned(), on("eth2", &[gateway4, gateway6], NETNS)),
        ("b".to_owned(), on("eth1", &[gateway4], NETNS)),
        ("c".to_owned(), on("eth0", &[gateway4], "/run/netns/c")),
    ]);
    for (name, port) in &mut ports {
        port.host_end = names::host_end(name);
    }
    let wanted = Devices { ports, ..wanted() };
    let mut observed = Observed { links: vec![underlay(), vxlan(), headroom()], ..settled() };
    for netns in [NETNS, "/run/netns/c"] {
        observed.namespaces.insert(PathBuf::from(netns), Ok(Namespace::default()));
    }
    for change in devices(Stage::Create, &wanted, &observed).0 {
        observed.assume(&change);
    }
    let (changes, _) = devices(Stage::Open, &wanted, &observed);
    let routes = |port: &str| {
        let of_port = changes.iter().filter(|change| change.port() == Some(port));
        of_port.filter_map(default_route).collect::<Vec<_>>()
    };
    assert_eq!((routes("a"), routes("b"), routes("c")), (vec![gateway6], vec![gateway4], vec![gateway4]));
}

#[test]
fn a_misplaced_port_is_made_anew() {
    let elsewhere = Observed {
        links: vec![
            headroom(),
            underlay(),
            vxlan(),
            Link { kind: Kind::Veth(Peer { index: 30, nsid: Some(5) }), ..host_end() },
        ],
        ..settled()
    };
    let mut elsewhere = elsewhere;
    elsewhere
        .namespaces
        .insert(PathBuf::from(NETNS), Ok(Namespace { nsid: Some(0), ..Namespace::default() }));
    assert_eq!(changes(Stage::Create, &elsewhere), [remove(), create()]);

    let mut renamed = settled();
    let namespace = Namespace {
        nsid: Some(0),
        links: vec![Link { name: "eth9".to_owned(), ..far_end() }],
        ..Namespace::default()
    };
    renamed.namespaces.insert(PathBuf::from(NETNS), Ok(namespace));
    assert_eq!(changes(Stage::Create, &renamed), [remove(), create()]);
}

#[test]
fn a_port_whose_namespace_is_missing_keeps_what_it_has() {
    let mut observed = settled();
    observed.namespaces.insert(PathBuf::from(NETNS), Err(NetnsError::Missing(NETNS.to_owned())));
    let missing = "port a: network namespace /run/netns/a does not exist: create it, or detach the port";
    assert_eq!(outcome(Stage::Create, &observed), (vec![], vec![missing.to_owned()]));
    for stage in [Stage::Prepare, Stage::Open, Stage::Remove, Stage::Detach] {
        assert_eq!(outcome(stage, &observed), (vec![], vec![]), "{stage:?}");
    }
}

#[test]
fn without_its_program_a_device_is_down() {
    let mut observed = settled();
    observed.attachments.clear();
    let down = |device: &str| format!("device {device}: bring down, because its program is not attached");
    assert_eq!(changes(Stage::Open, &observed), [down(names::VXLAN), down(&names::host_end("a"))]);
}

#[test]
fn a_link_that_is_attached_elsewhere_is_replaced() {
    let mut observed = settled();
    observed.attachments[2].attached_to = 0;
    let expected = [format!("attach program from_pod to device {}", names::host_end("a"))];
    assert_eq!(changes(Stage::Prepare, &observed), expected);
    assert_eq!(changes(Stage::Detach, &observed), ["detach program from_pod from device 3"]);
}

#[test]
fn a_device_that_could_not_be_removed_keeps_its_program() {
    let nothing = Devices { ports: BTreeMap::new(), ..wanted() };
    let (removals, _) = devices(Stage::Remove, &nothing, &settled());
    assert_eq!(removals.len(), 1);
    assert_eq!(devices(Stage::Detach, &nothing, &settled()).0, []);
    let gone = Observed { links: vec![underlay(), vxlan(), headroom()], ..settled() };
    let detach = Change::Detach { program: programs::FROM_POD, ifindex: 3 };
    assert_eq!(devices(Stage::Detach, &nothing, &gone).0, [detach]);
}

#[test]
fn another_underlay_takes_the_program_along() {
    let mut observed = settled();
    observed.links.push(link(8, "under1", Kind::Other, None));
    let moved = Devices { underlay: Some(8), ..wanted() };
    let (attach, _) = devices(Stage::Prepare, &moved, &observed);
    let device = "under1".to_owned();
    assert_eq!(attach, [Change::Attach { program: programs::FROM_UNDERLAY, device, ifindex: 8, port: None }]);
    let (detach, _) = devices(Stage::Detach, &moved, &observed);
    assert_eq!(detach, [Change::Detach { program: programs::FROM_UNDERLAY, ifindex: 1 }]);
}

#[test]
fn an_underlay_that_is_missing_leaves_the_program_where_it_is() {
    let missing = Devices { underlay: None, ..wanted() };
    assert_eq!(devices(Stage::Detach, &missing, &settled()).0, []);
    let gone = Observed { links: vec![vxlan(), host_end(), headroom()], ..settled() };
    let detach = Change::Detach { program: programs::FROM_UNDERLAY, ifindex: 1 };
    assert_eq!(devices(Stage::Detach, &missing, &gone).0, [detach]);
}

#[test]
fn neighbours_of_others_are_used_and_not_taken() {
    let cases = [
        (neighbour(0, false), 1, 0),
        (Neighbour { permanent: true, ..neighbour(0, false) }, 0, 0),
        (neighbour(0, true), 0, 0),
        (neighbour(11, false), 0, 0),
    ];
    for (held, added, removed) in cases {
        let observed = Observed { neighbours: vec![held.clone()], ..settled() };
        assert_eq!(changes(Stage::Prepare, &observed).len(), added, "{held:?}");
        assert_eq!(changes(Stage::Detach, &observed).len(), removed, "{held:?}");
    }
    let nothing = Devices { neighbours: BTreeSet::new(), ..wanted() };
    let removal = Change::RemoveNeighbour { address: NEXT_HOP, ifindex: 1 };
    assert_eq!(devices(Stage::Detach, &nothing, &settled()).0, [removal]);
}

#[test]
fn another_udp_port_makes_the_vxlan_device_anew() {
    let moved = Devices { udp_port: 4790, ..wanted() };
    let (changes, failures) = devices(Stage::Create, &moved, &settled());
    assert!(failures.is_empty());
    let removal = Change::RemoveDevice { device: names::VXLAN.to_owned(), ifindex: 2, port: None };
    assert_eq!(changes, [removal, Change::CreateVxlan { device: names::VXLAN.to_owned(), udp_port: 4790 }]);
}

#[test]
fn xdp_redirects_only_into_ports_whose_gro_was_switched_on_while_up() {
    let lines = |targets: Option<BTreeSet<u32>>| {
        changes(Stage::Open, &Observed { redirect_targets: targets, ..settled() })
    };
    assert_eq!(lines(None), [""; 0]);
    assert_eq!(lines(Some([3].into())), [""; 0]);
    assert_eq!(lines(Some([7].into())), ["port a: switch its GRO on, for XDP to deliver into it"]);
    let down = Link { up: false, ..far_end() };
    let namespace = Namespace { nsid: Some(0), links: vec![down], ..Namespace::default() };
    let namespaces = BTreeMap::from([(PathBuf::from(NETNS), Ok(namespace))]);
    let observed = Observed { redirect_targets: Some([7].into()), namespaces, ..settled() };
    assert_eq!(changes(Stage::Open, &observed), ["port a: bring up"]);
}

#[test]
fn checksums_are_computed_from_before_the_maps_change_until_after() {
    let computing = Observed { software_checksums: true, ..settled() };
    let table = [
        (false, settled(), None),
        (true, settled(), Some((Stage::Prepare, "compute checksums before it encapsulates"))),
        (true, computing.clone(), None),
        (false, computing, Some((Stage::Open, "leave checksums to the underlay device"))),
    ];
    for (software_checksums, observed, expected) in table {
        let wanted = Devices { software_checksums, ..wanted() };
        let first = STAGES.into_iter().find_map(|stage| {
            let (changes, _) = devices(stage, &wanted, &observed);
            changes.first().map(|change| (stage, change.to_string()))
        });
        let expected = expected.map(|(stage, words)| (stage, format!("device {}: {words}", names::VXLAN)));
        assert_eq!(first, expected, "{software_checksums}");
    }
}

#[test]
fn xdp_is_not_detached_with_the_rest() {
    let mut observed = settled();
    observed.attachments.push(attachment(programs::XDP_GUARD, 1));
    assert_eq!(changes(Stage::Detach, &observed), [""; 0]);
}

#[test]
fn the_bridge_for_headroom_is_down_and_has_as_many_ports_as_it_can() {
    let up = Link { up: true, ..headroom() };
    let observed = Observed { links: vec![underlay(), vxlan(), host_end(), up], ..settled() };
    assert_eq!(
        changes(Stage::Prepare, &observed),
        ["device weft-headroom: bring down, because it is to carry nothing"]
    );
    // Somebody took a port out of it.
    let out = Link { master: Some(9), ..host_end() };
    let members =
        |count: u32| (100..100 + count).map(|index| Link { index, name: "x".to_owned(), ..host_end() });
    let mut links = vec![underlay(), vxlan(), headroom(), out.clone()];
    let observed = Observed { links: links.clone(), ..settled() };
    let joined = [format!("device {}: have the kernel leave headroom in what comes through it", out.name)];
    assert_eq!(changes(Stage::Prepare, &observed), joined);
    links.extend(members(1021));
    let observed = Observed { links: links.clone(), ..settled() };
    assert_eq!(changes(Stage::Prepare, &observed), joined);
    links.extend(members(1));
    let full = Observed { links, ..settled() };
    assert!(changes(Stage::Prepare, &full).is_empty());
}

#[test]
fn a_foreign_device_with_the_name_of_the_bridge_is_left() {
    let foreign = Link { alias: None, ..headroom() };
    let observed = Observed { links: vec![underlay(), vxlan(), host_end(), foreign], ..settled() };
    let (changes, failures) = devices(Stage::Create, &wanted(), &observed);
    assert_eq!(changes, []);
    let [failure] = failures.as_slice() else { panic!("{failures:?}") };
    assert_eq!(failure.object, "device weft-headroom");
}
