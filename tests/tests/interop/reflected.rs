//! weft as route reflector of FRR and GoBGP, and of two raw speakers.
//!
//! ```text
//!                 h1 192.0.2.1 (weft)
//!                          │
//! FRR or raw ─ h2 ──────── sw ──────── h3 ─ GoBGP or raw
//! ```

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use weft_bgp::wire::{
    AsPath, Asn, AttributeCode, Attributes, Capability, Community, EthernetAd, EthernetSegment,
    EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, Family, InclusiveMulticast, IpPrefixRoute,
    Label, MacIp, Message, NextHop, Nlri, Open, Origin, Reachable, RouteDistinguisher, RouteTarget, RouterId,
    Routes, UnknownAttribute, UnknownRoute, Update,
};
use weft_tests::Lab;
use weft_tests::cloud::{ASN, Cloud, Fabric};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, Program, RawPeer};
use weft_tests::underlay::Machine;
use weft_vxlan::Vni;

use crate::{bgpd, cloud_and_others, gobgp_toml, host, kernel, vtep};

const MAC: &str = "02:00:00:00:00:07";
const INTO_VNI: &str = "etag 0 label 101 rd 65002:101 rt 65002:101 encap vxlan";

fn reflector(lab: &Lab) -> Result<(Cloud<'_>, Vec<Machine>)> {
    let client = |number| -> Result<String> {
        let more = r#","route_reflector_client":true,"connect_retry_s":1"#;
        Ok(Fabric::peer(&format!("h{number}"), vtep(number)?, ASN, more))
    };
    let documents = vec![vec![client(2)?, client(3)?]];
    cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })
}

/// In: routes of all types by GoBGP; a VNI and a pod behind FRR. Out: each has the other's routes, with the other as next
/// hop and originator, weft as cluster, and the communities, labels and tunnel that they were told with.
#[test]
fn between_frr_and_gobgp() -> Result<()> {
    peers::test(&[Program::Frr, Program::GoBgp], |lab| {
        let (_cloud, others) = reflector(lab)?;
        let machine = kernel(&others[0]);
        machine.add_vni(101)?;
        let bgpd = bgpd(2, ASN, &[(1, ASN)], "", "  advertise-all-vni\n");
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let frr = Frr::start(lab, "frr", machine.underlay, settings)?;
        let gobgp = GoBgp::start(lab, "gobgp", &others[1].namespace, &gobgp_toml(3, ASN, &[(1, ASN)], ""))?;
        frr.wait_established(host(1))?;
        gobgp.wait_established(host(1))?;

        gobgp.add_evpn(&format!("a-d esi single-homed {INTO_VNI}"))?;
        gobgp.add_evpn(&format!("macadv {MAC} 10.9.0.7 {INTO_VNI}"))?;
        let tunnel = "pmsi ingress-repl 101 192.0.2.3";
        gobgp.add_evpn(&format!(
            "multicast 192.0.2.3 etag 0 rd 65002:101 rt 65002:101 encap vxlan {tunnel}"
        ))?;
        gobgp.add_evpn("esi 192.0.2.3 esi LACP aa:bb:cc:dd:ee:ff 100 rd 192.0.2.3:1")?;
        let prefix =
            "prefix 10.77.0.0/24 etag 0 label 9000 rd 65002:9000 rt 65002:9000 encap vxlan router-mac";
        gobgp.add_evpn(&format!("{prefix} {MAC}"))?;
        let network = format!("RT:65002:9000 ET:8 Rmac:{MAC}");
        for (kind, communities) in [
            (1, "RT:65002:101 ET:8"),
            (2, "RT:65002:101 ET:8"),
            (3, "RT:65002:101 ET:8"),
            (4, "ES-Import-Rt:aa:bb:cc:dd:ee:ff"),
            (5, network.as_str()),
        ] {
            let path = frr.wait_for_evpn(&format!("a route of type {kind}"), |path| {
                path.route.starts_with(&format!("[{kind}]:")) && path.next_hops == [host(3)]
            })?;
            ensure!(path.neighbour == Some(host(1)) && path.as_path.is_empty() && path.best, "{path:#?}");
            let words = |text: &str| {
                let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
                words.sort();
                words
            };
            ensure!(words(&path.extended_communities) == words(communities), "{communities}: {path:#?}");
        }
        let shown = frr.vtysh(&["show bgp l2vpn evpn route detail"])?;
        let reflected = shown.matches("Originator: 192.0.2.3, Cluster list: 192.0.2.1").count();
        ensure!(reflected == 5, "{reflected} of {shown}");

        let pod = machine.pod(lab, "frr-2", 101, "10.0.0.22/24".parse()?, None)?;
        let nobody = pod.namespace.ping("10.0.0.99".parse()?)?;
        ensure!(nobody.is_err(), "{nobody:?}");
        let mac = pod.namespace.mac("eth0")?;
        for what in ["[type:multicast]".to_owned(), format!("[mac:{mac}]")] {
            let path = gobgp.wait_for_path("evpn", &what, |route, path| {
                route.contains(&what) && path.neighbour == Some(host(1))
            })?;
            let of = |code: u64| path.attributes.get(&code).map(ToString::to_string).unwrap_or_default();
            for (code, value) in [(9, "192.0.2.2"), (10, "192.0.2.1"), (14, "192.0.2.2"), (16, "65000:101")] {
                ensure!(of(code).contains(value), "no {value} in {code}: {path:#?}");
            }
            let label = if what.contains("mac:") { path.nlri.to_string() } else { of(22) };
            ensure!(label.contains("101"), "{path:#?}");
        }
        Ok(())
    })
}

/// In: routes of all types and of two that nobody knows, with attributes of all kinds, one of which nobody knows, by a raw
/// speaker. Out: another one gets the same routes with the same attributes, plus originator and cluster; the unknown
/// attribute is marked as partial (RFC 4271 section 5).
#[test]
fn everything_as_it_came() -> Result<()> {
    Lab::test(|lab| {
        let (_cloud, others) = reflector(lab)?;
        let mut one = speaker(&others[0], 2)?;
        let mut other = speaker(&others[1], 3)?;
        let sent = routes()?;
        let attributes = attributes()?;
        let reachable =
            Reachable { next_hop: NextHop::V4([198, 51, 100, 9].into()), routes: Routes::Evpn(sent.clone()) };
        let update =
            Update { attributes: attributes.clone(), reachable: Some(reachable), ..Update::default() };
        one.send_message(&Message::Update(update))?;
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let received = other.receive()?;
            let Message::Update(update) = received.message else { continue };
            let Some(reachable) = update.reachable else { continue };
            ensure!(reachable.next_hop == NextHop::V4([198, 51, 100, 9].into()), "{reachable:?}");
            let Routes::Evpn(routes) = reachable.routes else { continue };
            got.extend(routes);
            let mut found = update.attributes;
            ensure!(found.originator_id == Some(RouterId::new([192, 0, 2, 2].into())?), "{found:?}");
            ensure!(found.cluster_list == [std::net::Ipv4Addr::new(192, 0, 2, 1)], "{found:?}");
            (found.originator_id, found.cluster_list) = (None, Vec::new());
            found.partial = attributes.partial;
            ensure!(found == attributes, "{found:#?} is not {attributes:#?}");
        }
        for route in &sent {
            ensure!(got.contains(route), "{route:?} is not among {got:#?}");
        }
        Ok(())
    })
}

/// A client of weft on a machine, with a session.
fn speaker(machine: &Machine, number: u8) -> Result<RawPeer> {
    let asn = Asn::new(ASN);
    let mut peer = RawPeer::connect(&machine.namespace, host(number), SocketAddr::new(host(1), 179))?;
    peer.handshake(&Open {
        asn,
        // No KEEPALIVEs: it is silent between its messages.
        hold_time: 0,
        router_id: RouterId::new([192, 0, 2, number].into())?,
        capabilities: vec![Capability::Multiprotocol(Family::EVPN), Capability::FourOctetAs(asn)],
    })?;
    Ok(peer)
}

fn attributes() -> Result<Attributes> {
    let target: RouteTarget = "65000:7".parse()?;
    Ok(Attributes {
        origin: Some(Origin::Incomplete),
        as_path: Some(AsPath::default()),
        med: Some(7),
        local_pref: Some(200),
        communities: vec![Community(65_000 << 16 | 9)],
        extended_communities: vec![
            target.into(),
            ExtendedCommunity::VXLAN,
            ExtendedCommunity::router_mac(MAC.parse()?),
        ],
        unknown: vec![UnknownAttribute { code: AttributeCode(99), value: vec![1, 2, 3] }],
        ..Attributes::default()
    })
}

fn routes() -> Result<Vec<Nlri<EvpnRoute>>> {
    let rd: RouteDistinguisher = "65000:7".parse()?;
    let (tag, label) = (EthernetTag::ZERO, Label::from(Vni::new(7)?));
    let l3_label = Some(Label::from(Vni::new(8)?));
    let (mac, originator): (_, IpAddr) = (MAC.parse()?, host(2));
    let segment = EthernetSegmentId::from_bytes([1, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0x64, 0]);
    let prefix = "10.7.0.0/16".parse()?;
    let gateway = Some("10.7.0.1".parse()?);
    let none = EthernetSegmentId::ZERO;
    let routes = [
        EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag, label }),
        EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip: Some("10.7.0.7".parse()?), label, l3_label }),
        EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator }),
        EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator }),
        EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment: none, tag, prefix, gateway, label }),
        EvpnRoute::Unknown(UnknownRoute { kind: 6, value: vec![6; 30] }),
        EvpnRoute::Unknown(UnknownRoute { kind: 99, value: vec![9; 3] }),
    ];
    Ok(routes.into_iter().map(Nlri::from).collect())
}
