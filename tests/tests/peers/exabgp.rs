//! EVPN routes between FRR at a and ExaBGP at b, both ways.

use anyhow::{Result, ensure};
use weft_bgp::wire::{
    Attributes, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, InclusiveMulticast,
    IpPrefixRoute, Label, MacIp, NextHop, Nlri, PmsiTunnel, Reachable, RouteTarget, Routes, TunnelId, Update,
};
use weft_tests::peers::{self, Carrier, ExaBgp, Frr, FrrSettings, KernelVtep, Program};
use weft_tests::{PATIENCE, wait_for};
use weft_vxlan::Vni;

use crate::{A, B, B4, frr_bgpd, hosts};

fn neighbour() -> String {
    format!(
        "neighbor {A} {{\nrouter-id {B};\nlocal-address {B};\nlocal-as 65002;\npeer-as 65001;\n\
         family {{ ipv4 unicast; l2vpn evpn; }}\n}}\n"
    )
}

const RD: &str = "65002:101";

/// What b announces of its VNI 101.
fn announcement(route: EvpnRoute, pmsi: Option<PmsiTunnel>) -> Result<Update> {
    let target: RouteTarget = RD.parse()?;
    Ok(Update {
        attributes: Attributes {
            extended_communities: vec![target.into(), ExtendedCommunity::VXLAN],
            pmsi,
            ..Attributes::default()
        },
        reachable: Some(Reachable { next_hop: NextHop::V4(B4), routes: routes(route) }),
        ..Update::default()
    })
}

fn withdrawal(route: EvpnRoute) -> Update {
    Update { unreachable: vec![routes(route)], ..Update::default() }
}

fn routes(route: EvpnRoute) -> Routes {
    Routes::Evpn(vec![Nlri::from(route)])
}

/// Routes of type 2, 3 and 5.
fn all_three() -> Result<[EvpnRoute; 3]> {
    let (rd, label) = (RD.parse()?, Label::from(Vni::new(101)?));
    let (segment, tag) = (EthernetSegmentId::ZERO, EthernetTag::ZERO);
    let mac = "02:00:00:00:00:07".parse()?;
    let ip = Some("10.9.0.7".parse()?);
    Ok([
        EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label: None }),
        EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator: B }),
        EvpnRoute::IpPrefix(IpPrefixRoute {
            rd,
            segment,
            tag,
            prefix: "10.77.0.0/24".parse()?,
            gateway: None,
            label,
        }),
    ])
}

/// In: routes of type 2, 3 and 5 told to ExaBGP while it runs, and the first one taken back. Out: FRR has them, then
/// all but the first.
#[test]
fn frr_shows_what_exabgp_announces() -> Result<()> {
    peers::test(&[Program::Frr, Program::ExaBgp], |lab| {
        let [a, b] = hosts(lab)?;
        let bgpd = frr_bgpd(&["ipv4 unicast", "l2vpn evpn"], "");
        let frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let mut exabgp = ExaBgp::start(lab, "exabgp", &b.namespace, &neighbour())?;
        frr.wait_established(B)?;
        exabgp.wait_established(A)?;
        let pmsi = PmsiTunnel {
            flags: 0,
            label: Label::from(Vni::new(101)?),
            tunnel: TunnelId::IngressReplication(B),
        };
        let [mac_ip, multicast, prefix] = all_three()?;
        let carrier = |last| Carrier([198, 18, 0, last].into());
        exabgp.send(carrier(2), &announcement(mac_ip.clone(), None)?)?;
        exabgp.send(carrier(3), &announcement(multicast, Some(pmsi))?)?;
        exabgp.send(carrier(5), &announcement(prefix, None)?)?;
        let shown = [
            "[2]:[0]:[48]:[02:00:00:00:00:07]:[32]:[10.9.0.7]",
            "[3]:[0]:[32]:[192.0.2.2]",
            "[5]:[0]:[24]:[10.77.0.0]",
        ];
        for route in shown {
            let path = frr.wait_for_evpn(route, |path| path.route == route && path.rd == RD)?;
            ensure!(path.next_hops == [B] && path.as_path == "65002", "{path:#?}");
            ensure!(path.extended_communities == "RT:65002:101 ET:8", "{path:#?}");
        }
        exabgp.send(carrier(2), &withdrawal(mac_ip))?;
        wait_for(PATIENCE, "the withdrawal", || match frr.evpn_paths() {
            Ok(paths) if paths.len() == 2 && paths.iter().all(|path| path.route != shown[0]) => Ok(()),
            other => Err(format!("{other:#?}")),
        })
    })
}

/// In: FRR as a VTEP with an L2 VNI, which it loses again. Out: ExaBGP has logged the route of type 3, then its end.
#[test]
fn exabgp_logs_what_frr_announces() -> Result<()> {
    peers::test(&[Program::Frr, Program::ExaBgp], |lab| {
        let [a, b] = hosts(lab)?;
        let vtep = KernelVtep { underlay: &a.namespace, overlay: &a.namespace, address: A };
        vtep.add_vni(101)?;
        let bgpd = frr_bgpd(&["ipv4 unicast", "l2vpn evpn"], "  advertise-all-vni\n");
        let _frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let exabgp = ExaBgp::start(lab, "exabgp", &b.namespace, &neighbour())?;
        exabgp.wait_established(A)?;
        let route = exabgp.wait_for_evpn(A, "a route of type 3", |route| route["code"] == 3)?;
        ensure!(route["ip"] == "192.0.2.1", "{route:#}");
        let pmsi = route["attribute"]["pmsi"].as_str().unwrap_or_default();
        ensure!(pmsi.contains("ingressreplication") && pmsi.contains("(101)"), "{route:#}");
        a.namespace.delete_link("vx101")?;
        wait_for(PATIENCE, "the end of the route", || match exabgp.evpn_routes(A) {
            Ok(routes) if routes.is_empty() => Ok(()),
            other => Err(format!("{other:#?}")),
        })
    })
}
