use std::collections::BTreeSet;

use super::*;
use crate::Hook;
use crate::bpf::Attachment;
use crate::desired::{Host, Limits, Xdp};
use crate::netlink::{Kind, Link, XDP_BASIC, XDP_REDIRECT};
use crate::observe::UnderlayDriver;
use crate::plan::Devices;

fn link(index: u32) -> Link {
    Link {
        index,
        name: format!("under{index}"),
        kind: Kind::Other,
        alias: None,
        group: 0,
        mtu: 1500,
        mac: None,
        up: true,
        arp: true,
        link_local: None,
        ipv6: false,
        gso_max_size: 0,
        master: None,
    }
}

/// Devices 1 to 4, of which the second has no native XDP, with programs of ours on some.
fn observed(held: &[(&'static str, u32)]) -> Observed {
    let driver = |features| UnderlayDriver { features: Some(features), ..UnderlayDriver::default() };
    let attachments = held.iter().map(|&(program, ifindex)| Attachment {
        hook: Hook::Tcx,
        program,
        ifindex,
        attached_to: ifindex,
    });
    Observed {
        links: (1..=4).map(link).collect(),
        attachments: attachments.collect(),
        underlay_drivers: BTreeMap::from([
            (1, driver(XDP_BASIC | XDP_REDIRECT)),
            (2, driver(0)),
            (3, driver(XDP_BASIC | XDP_REDIRECT)),
            (4, driver(XDP_BASIC | XDP_REDIRECT)),
        ]),
        ..Observed::default()
    }
}

/// The changes, and the failures, where `underlay` is configured and routes lead through `uplinks`.
fn changes(
    asked: Xdp,
    underlay: Option<u32>,
    uplinks: &[u32],
    held: &[(&'static str, u32)],
) -> (Vec<String>, Vec<String>) {
    let observed = observed(held);
    let host = Host {
        underlay: "under1".to_owned(),
        vtep: "192.0.2.1".parse().unwrap(),
        udp_port: 4789,
        router_mac: weft_vxlan::MacAddr::new([2; 6]),
        gateway_mac: weft_vxlan::MacAddr::new([2; 6]),
        limits: Limits::default(),
        flows: crate::desired::FlowLimits::NONE,
        xdp: asked,
        software_checksums: BTreeSet::new(),
    };
    let devices = Devices {
        udp_port: 4789,
        underlay,
        uplinks: uplinks.iter().copied().collect(),
        ports: BTreeMap::new(),
        neighbours: BTreeSet::new(),
        software_checksums: false,
    };
    let (wanted, failures) = WantedXdp::plan(&host, &devices, &observed);
    let changes = xdp(&wanted, underlay.is_none(), &observed).into_iter().map(|change| {
        if let Change::Attach { program, device, .. } = change {
            format!("{program} on {device}")
        } else if let Change::Detach { program, ifindex } = change {
            format!("no {program} on {ifindex}")
        } else {
            panic!("{change}")
        }
    });
    (changes.collect(), failures.iter().map(ToString::to_string).collect())
}

#[test]
fn each_underlay_device_gets_what_its_driver_has() {
    let (changed, failures) = changes(Xdp::Auto, Some(1), &[1, 2, 3], &[]);
    assert_eq!(changed, ["xdp_guard on under1", "xdp_guard on under3"]);
    assert_eq!(failures, [""; 0]);
    let (changed, failures) = changes(Xdp::Forward, Some(1), &[2, 3], &[("xdp_guard", 3)]);
    assert_eq!(changed, ["xdp_forward on under1", "xdp_forward on under3"]);
    assert!(failures.len() == 1 && failures[0].starts_with("XDP on device under2: driver"), "{failures:?}");
}

#[test]
fn what_is_no_underlay_device_any_more_loses_it() {
    let held = [("xdp_guard", 1), ("xdp_guard", 3), ("xdp_guard", 4), ("xdp_guard", 9)];
    let cases = [
        (Xdp::Guard, Some(1), vec![3, 4], vec![9]),
        (Xdp::Guard, Some(1), vec![3], vec![4, 9]),
        // Without the device that is configured, what there was goes on, but not on a device that has gone.
        (Xdp::Guard, None, vec![3], vec![9]),
        (Xdp::Off, Some(1), vec![3], vec![1, 3, 4, 9]),
    ];
    for (asked, underlay, uplinks, gone) in cases {
        let expected: Vec<_> = gone.iter().map(|ifindex| format!("no xdp_guard on {ifindex}")).collect();
        let (changed, _) = changes(asked, underlay, &uplinks, &held);
        assert_eq!(changed, expected, "{asked:?}, {underlay:?}, {uplinks:?}");
    }
}
