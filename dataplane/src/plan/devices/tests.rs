use weft_vxlan::Vni;

use super::*;
use crate::netlink::{Kind, Link};

fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn desired() -> Desired {
    let subnet = Subnet {
        name: "front".to_owned(),
        network: vni(100),
        ipv4: Some(("10.0.0.0/24".parse().unwrap(), [10, 0, 0, 1].into())),
        ipv6: Some(("2001:db8::/64".parse().unwrap(), "2001:db8::1".parse().unwrap())),
    };
    let port = Port {
        subnet: vni(200),
        mac: MacAddr::new([2; 6]),
        ipv4: Some([10, 0, 0, 10].into()),
        ipv6: None,
        netns: PathBuf::from("/run/netns/a"),
        device: "eth0".to_owned(),
        tenant: "acme".to_owned(),
        security: crate::desired::Security::open(),
    };
    Desired {
        host: Host {
            underlay: "under0".to_owned(),
            vtep: "192.0.2.1".parse().unwrap(),
            udp_port: 4789,
            router_mac: MacAddr::new([2; 6]),
            gateway_mac: MacAddr::new([2; 6]),
            limits: crate::desired::Limits::default(),
            flows: crate::desired::FlowLimits::NONE,
            xdp: crate::desired::Xdp::default(),
            software_checksums: BTreeSet::new(),
        },
        subnets: BTreeMap::from([(vni(200), subnet)]),
        networks: BTreeMap::new(),
        ports: BTreeMap::from([("a".to_owned(), port)]),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    }
}

/// A host with the VTEP's address and an underlay device of `mtu`.
fn observed(mtu: u32) -> Observed {
    let underlay = Link {
        index: 3,
        name: "under0".to_owned(),
        kind: Kind::Other,
        alias: None,
        group: 0,
        mtu,
        mac: None,
        up: true,
        arp: true,
        link_local: None,
        ipv6: false,
        gso_max_size: 0,
        master: None,
    };
    let addresses = BTreeSet::from(["192.0.2.1".parse().unwrap()]);
    Observed { links: vec![underlay], addresses, ..Observed::default() }
}

fn plan(desired: &Desired, observed: &Observed) -> (Devices, Vec<String>) {
    let (devices, failures) = Devices::plan(desired, observed, &NextHops::default());
    (devices, failures.iter().map(ToString::to_string).collect())
}

#[test]
fn a_port_has_the_subnets_prefix_length_and_the_gateways_of_its_families() {
    let (devices, failures) = plan(&desired(), &observed(1500));
    let port = &devices.ports["a"];
    assert_eq!(failures, [""; 0]);
    assert_eq!(port.addresses, ["10.0.0.10/24".parse().unwrap()]);
    assert_eq!(port.gateways, [IpAddr::from([10, 0, 0, 1])], "no IPv6 address, no IPv6 gateway");
    assert_eq!((port.mtu, devices.underlay), (Some(1450), Some(3)));
    // The largest frame below it: Ethernet, and an IP packet that with 50 bytes more is as long as one can be.
    assert_eq!(port.gso_max_size - 1, 14 + 65_535 - 50);
}

#[test]
fn the_underlay_decides_on_the_mtu() {
    assert_eq!(plan(&desired(), &observed(9000)).0.ports["a"].mtu, Some(8950));
    assert_eq!(plan(&desired(), &observed(65_536)).0.ports["a"].mtu, Some(65_485));
    let (devices, failures) = plan(&desired(), &observed(1300));
    assert_eq!(devices.ports["a"].mtu, None);
    assert_eq!(
        failures,
        ["underlay device under0: its MTU 1300 leaves too little inside VXLAN: set at least 1330"]
    );
}

#[test]
fn what_the_host_lacks_is_named() {
    let (_, failures) = plan(&desired(), &Observed::default());
    assert!(failures[0].starts_with("underlay device under0: there is no such device"), "{failures:#?}");
    assert!(
        failures[1].starts_with("VTEP 192.0.2.1 of this host: no device has the address"),
        "{failures:#?}"
    );
    let mut desired = desired();
    desired.host.vtep = "2001:db8::1".parse().unwrap();
    let (_, failures) = plan(&desired, &observed(1500));
    assert!(
        failures[0].starts_with("VTEP 2001:db8::1 of this host: no device has the address"),
        "{failures:#?}"
    );
}
