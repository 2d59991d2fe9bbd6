use super::*;
use crate::netlink::Peer;

const FULL: Option<u64> = Some(XDP_BASIC | XDP_REDIRECT);
const VETH: Kind = Kind::Veth(Peer { index: 1, nsid: None });

fn link(kind: Kind) -> Link {
    Link {
        index: 3,
        name: "under0".to_owned(),
        kind,
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

fn driver(name: &str, features: Option<u64>) -> UnderlayDriver {
    UnderlayDriver { name: name.to_owned(), features, foreign: None }
}

#[test]
fn auto_guards_where_a_drivers_native_xdp_costs_nothing_else() {
    let cases = [
        (VETH, driver("veth", FULL), XdpMode::Off, "veth, where native XDP costs bulk throughput"),
        (Kind::Other, driver("virtio_net", FULL), XdpMode::Off, "driver virtio_net, where native"),
        (Kind::Other, driver("mlx5_core", FULL), XdpMode::Guard, "driver mlx5_core has native XDP"),
        (Kind::Other, driver("e1000e", Some(0)), XdpMode::Off, "driver e1000e has no native XDP"),
        (Kind::Other, driver("mlx5_core", None), XdpMode::Off, "this kernel cannot tell"),
    ];
    for (kind, driver, mode, words) in cases {
        let (decided, reason, fault) = decide(Xdp::Auto, &link(kind), &driver);
        assert_eq!((decided, fault), (mode, None), "{driver:?}");
        assert!(reason.starts_with(words), "{reason}");
    }
}

#[test]
fn what_is_asked_for_is_had_or_refused_by_name() {
    let veth = driver("veth", FULL);
    for (asked, mode) in
        [(Xdp::Off, XdpMode::Off), (Xdp::Guard, XdpMode::Guard), (Xdp::Forward, XdpMode::Forward)]
    {
        assert_eq!(decide(asked, &link(VETH), &veth), (mode, "as configured".to_owned(), None));
    }
    // A kernel that cannot tell is tried, but not where packets would get lost.
    let old = driver("mlx5_core", None);
    assert_eq!(decide(Xdp::Guard, &link(Kind::Other), &old).0, XdpMode::Guard);
    let (mode, _, fault) = decide(Xdp::Forward, &link(Kind::Other), &old);
    assert!(mode == XdpMode::Off && fault.unwrap().contains("needs Linux 6.3"));
    for (asked, features) in [(Xdp::Guard, 0), (Xdp::Forward, 0), (Xdp::Forward, XDP_BASIC)] {
        let (mode, reason, fault) = decide(asked, &link(Kind::Other), &driver("e1000e", Some(features)));
        assert_eq!((mode, reason.as_str()), (XdpMode::Off, "driver e1000e has no native XDP"));
        assert!(fault.unwrap().contains("set underlay.xdp = \"off\""));
    }
    assert_eq!(decide(Xdp::Guard, &link(Kind::Other), &driver("ena", Some(XDP_BASIC))).0, XdpMode::Guard);
}

#[test]
fn a_foreign_program_stays_and_is_a_failure_only_if_xdp_was_asked_for() {
    let taken = UnderlayDriver { foreign: Some(77), ..driver("mlx5_core", FULL) };
    for (asked, fails) in [(Xdp::Auto, false), (Xdp::Guard, true), (Xdp::Forward, true)] {
        let (mode, reason, fault) = decide(asked, &link(Kind::Other), &taken);
        assert_eq!((mode, reason.as_str()), (XdpMode::Off, "foreign program 77"));
        assert_eq!(fault.is_some_and(|fault| fault.contains("`ip link set dev under0 xdp off`")), fails);
    }
    let (_, reason, fault) = decide(Xdp::Off, &link(Kind::Other), &taken);
    assert_eq!((reason.as_str(), fault), ("as configured", None));
}
