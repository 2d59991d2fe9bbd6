//! ExaBGP for EVPN, and BIRD for IPv4 and IPv6, beside weft.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ──── sw ──── 192.0.2.3 h3 (ExaBGP or BIRD)
//! ```

use anyhow::{Result, ensure};
use ipnet::IpNet;
use weft_api::view::bgp::{RibRoute, Verdict};
use weft_bgp::wire::{
    Attributes, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, InclusiveMulticast,
    IpPrefixRoute, Label, MacIp, NextHop, Nlri, PmsiTunnel, Reachable, RouteTarget, Routes, TunnelId, Update,
};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Bird, Carrier, ExaBgp, Program};
use weft_tests::underlay::{self, UPLINK};
use weft_tests::{PATIENCE, Wire, wait_for};
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::injected::{arrives, explained};
use crate::{cloud_and_others, host, vtep};

const MAC: &str = "02:00:00:00:00:77";
const FAMILIES: &str = r#","families":["evpn","ipv4-unicast","ipv6-unicast"]"#;

/// In: routes of type 2, 3 and 5 by ExaBGP; a pod behind weft. Out: weft sends to h3 as they say, and ExaBGP has logged
/// weft's routes of type 2, 3 and 5.
#[test]
fn exabgp_says_and_hears_evpn() -> Result<()> {
    peers::test(&[Program::ExaBgp], |lab| {
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |vteps| Fabric::clients(vteps, vtep(3).unwrap(), FAMILIES))?;
        cloud.deploy(&Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?)?;
        let machine = &others[1];
        let neighbour = format!(
            "neighbor 192.0.2.1 {{\nrouter-id 192.0.2.3;\nlocal-address 192.0.2.3;\nlocal-as {ASN};\n\
             peer-as {ASN};\nfamily {{ ipv4 unicast; l2vpn evpn; }}\n}}\n"
        );
        let mut exabgp = ExaBgp::start(lab, "exabgp", &machine.namespace, &neighbour)?;
        exabgp.wait_established(host(1))?;
        for (last, update) in (2..).zip(updates()?) {
            exabgp.send(Carrier([198, 18, 0, last].into()), &update)?;
        }
        explained(&cloud, "10.0.0.77", Verdict::Used, "")?;
        explained(&cloud, "10.77.0.0/24", Verdict::Used, "")?;
        arrives(&cloud, machine, "10.0.0.77", 101, Some(MAC))?;
        arrives(&cloud, machine, "10.77.0.5", 100, Some(MAC))?;
        arrives(&cloud, machine, "10.0.0.88", 101, None)?;

        let mac = cloud.pod("red-1").mac.to_string().to_uppercase();
        exabgp.wait_for_evpn(host(1), "the pod", |route| {
            route["code"] == 2 && route["mac"] == mac && route["ip"] == "10.0.0.11"
        })?;
        let multicast = exabgp.wait_for_evpn(host(1), "a route of type 3", |route| route["code"] == 3)?;
        ensure!(multicast["ip"] == "192.0.2.1", "{multicast:#}");
        let pmsi = multicast["attribute"]["pmsi"].as_str().unwrap_or_default();
        ensure!(pmsi.contains("ingressreplication") && pmsi.contains("(101)"), "{multicast:#}");
        exabgp.wait_for_evpn(host(1), "a route of type 5", |route| {
            route["code"] == 5 && route["ip"] == "10.0.0.0" && route["iplen"] == 24
        })?;
        Ok(())
    })
}

/// A host and the floods of subnet 101, and a prefix of network 100.
fn updates() -> Result<[Update; 3]> {
    let mac: MacAddr = MAC.parse()?;
    let next_hop = NextHop::V4([192, 0, 2, 3].into());
    let (segment, tag) = (EthernetSegmentId::ZERO, EthernetTag::ZERO);
    let announcement = |target: &str, pmsi, router_mac: bool, route: EvpnRoute| -> Result<Update> {
        let target: RouteTarget = target.parse()?;
        let mut extended_communities = vec![target.into(), ExtendedCommunity::VXLAN];
        extended_communities.extend(router_mac.then(|| ExtendedCommunity::router_mac(mac)));
        Ok(Update {
            attributes: Attributes { extended_communities, pmsi, ..Attributes::default() },
            reachable: Some(Reachable { next_hop, routes: Routes::Evpn(vec![Nlri::from(route)]) }),
            ..Update::default()
        })
    };
    let (rd, label) = ("192.0.2.3:101".parse()?, Label::from(Vni::new(101)?));
    let ip = Some("10.0.0.77".parse()?);
    let host_route = EvpnRoute::MacIp(MacIp { rd, segment, tag, mac, ip, label, l3_label: None });
    let originator = host(3);
    let floods = EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator });
    let tunnel = TunnelId::IngressReplication(originator);
    let pmsi = PmsiTunnel { flags: 0, label, tunnel };
    let (rd, label) = ("192.0.2.3:100".parse()?, Label::from(Vni::new(100)?));
    let prefix = "10.77.0.0/24".parse()?;
    let prefix = EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway: None, label });
    Ok([
        announcement("65000:101", None, false, host_route)?,
        announcement("65000:101", Some(pmsi), false, floods)?,
        announcement("65000:100", None, true, prefix)?,
    ])
}

fn bird(own: &str, other: &str, six: &str) -> String {
    format!(
        "router id 192.0.2.3;\nprotocol device {{}}\n\
         protocol static static4 {{ ipv4; route 203.0.113.0/24 blackhole; }}\n\
         protocol static static6 {{ ipv6; route 2001:db8:b::/48 blackhole; }}\n\
         protocol bgp weft {{\nlocal {own} as 65003;\nneighbor {other} as {ASN};\nconnect delay time 1;\n\
         ipv4 {{ import all; export where source = RTS_STATIC; }};\n\
         ipv6 {{ import all; export where source = RTS_STATIC; {six} }};\n}}\n"
    )
}

/// In: a session for IPv4 and IPv6 with BIRD, of another AS. Out: BIRD has a route to weft's VTEP over weft, and weft has
/// BIRD's networks.
#[test]
fn bird_learns_the_vtep() -> Result<()> {
    peers::test(&[Program::Bird], |lab| {
        let documents = vec![vec![Fabric::peer("bird", vtep(3)?, 65003, FAMILIES)]];
        let (cloud, others) =
            cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })?;
        let machine = &others[1].namespace;
        let configuration = bird("192.0.2.3", "192.0.2.1", "next hop address 2001:db8::3;");
        let bird = Bird::start(lab, "bird", machine, &configuration)?;
        bird.wait_established("weft")?;
        let route = bird.wait_for_route("192.0.2.1/32".parse()?)?;
        ensure!(route.protocol == "weft" && route.next_hop == Some(host(1)), "{route:?}");
        has(&cloud, &["203.0.113.0/24", "2001:db8:b::/48"])
    })
}

/// In: BIRD's networks, to a weft that installs routes; one is deleted by somebody; weftd killed, and BIRD has one network less when
/// it returns; then none; then one that somebody else has, too; and one at teardown. Out: the kernel has what BIRD says, and keeps it without weftd.
#[test]
fn bird_s_networks_are_in_the_kernel() -> Result<()> {
    peers::test(&[Program::Bird], |lab| {
        let mut below = underlay::two_hosts(lab, Wire::default())?;
        let other = below.machines.split_off(1).remove(0);
        let fabric = |_: &[Vtep]| {
            let documents = vec![vec![Fabric::peer("bird", other.vtep, 65003, FAMILIES)]];
            Fabric { asns: vec![ASN], any_as: false, documents }
        };
        below.machines[0].namespace.add_address(UPLINK, "2001:db8::1/64".parse()?)?;
        let mut cloud = Cloud::start_evpn_with(lab, below, fabric, |settings| {
            "install_routes = true\n".clone_into(&mut settings.bgp);
        })?;
        let configuration = bird("192.0.2.2", "192.0.2.1", "next hop address 2001:db8::2;");
        let bird = Bird::start(lab, "bird", &other.namespace, &configuration)?;
        bird.wait_established("weft")?;
        let (v4, v6) = ("203.0.113.0/24".parse()?, "2001:db8:b::/48".parse()?);
        in_kernel(&cloud, v4, true)?;
        in_kernel(&cloud, v6, true)?;
        bird.birdc(&["disable", "static6"])?;
        in_kernel(&cloud, v6, false)?;
        bird.birdc(&["enable", "static6"])?;
        in_kernel(&cloud, v6, true)?;
        cloud.machine(0).namespace.delete_route(v4)?;
        in_kernel(&cloud, v4, true)?;

        cloud.daemon_mut(0).kill()?;
        bird.birdc(&["disable", "static6"])?;
        ensure!(has_route(&cloud, v4)?, "without weftd");
        cloud.daemon_mut(0).start()?;
        in_kernel(&cloud, v6, false)?;
        ensure!(has_route(&cloud, v4)?, "after a restart");
        bird.birdc(&["disable", "static4"])?;
        in_kernel(&cloud, v4, false)?;

        // Somebody else's of the same metric stays, also when BIRD's is gone again; and when it goes, BIRD's comes.
        let here = &cloud.machine(0).namespace;
        here.add_route_of_metric(v4, other.vtep.address(), 4096)?;
        bird.birdc(&["enable", "static4"])?;
        wait_for(PATIENCE, "a word on the other's route", || {
            let log = std::fs::read_to_string(cloud.daemon(0).settings().log())
                .map_err(|error| error.to_string())?;
            if log.contains("203.0.113.0/24: there is one of its metric") { Ok(()) } else { Err(log) }
        })?;
        bird.birdc(&["disable", "static4"])?;
        wait_for(PATIENCE, "a RIB without the network", || {
            let rib = cloud.daemon(0).weft().must(&["bgp", "rib"]).map_err(|error| format!("{error:#}"))?;
            if rib.contains("203.0.113.0/24") { Err(rib) } else { Ok(()) }
        })?;
        ensure!(has_route(&cloud, v4)?, "the other's route was displaced");
        bird.birdc(&["enable", "static4"])?;
        has(&cloud, &["203.0.113.0/24"])?;
        here.delete_route(v4)?;
        in_kernel(&cloud, v4, true)?;
        cloud.daemon(0).weft().must(&["teardown", "--yes"])?;
        in_kernel(&cloud, v4, false)
    })
}

fn has_route(cloud: &Cloud<'_>, prefix: IpNet) -> Result<bool> {
    let routes = cloud.machine(0).namespace.routes()?;
    Ok(routes.iter().any(|route| route.destination == Some(prefix) && route.gateway.is_some()))
}

fn in_kernel(cloud: &Cloud<'_>, prefix: IpNet, wanted: bool) -> Result<()> {
    wait_for(PATIENCE, &format!("{prefix} in the kernel: {wanted}"), || match has_route(cloud, prefix) {
        Ok(has) if has == wanted => Ok(()),
        Ok(_) => Err("not so".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    })
}

/// The same where the VTEP is an IPv6 address, as is the session.
#[test]
fn bird_learns_a_vtep_of_ipv6() -> Result<()> {
    peers::test(&[Program::Bird], |lab| {
        let mut below = underlay::two_hosts_over_ipv6(lab, Wire::default())?;
        let others = below.machines.split_off(1);
        let (one, other) = (below.machines[0].vtep.address(), others[0].vtep);
        let fabric = |_: &[Vtep]| Fabric {
            asns: vec![ASN],
            any_as: false,
            documents: vec![vec![Fabric::peer("bird", other, 65003, FAMILIES)]],
        };
        let cloud = Cloud::start_evpn_with(lab, below, fabric, |settings| {
            "router_id = \"192.0.2.1\"\n".clone_into(&mut settings.bgp);
        })?;
        let configuration = bird(&other.to_string(), &one.to_string(), "");
        let bird = Bird::start(lab, "bird", &others[0].namespace, &configuration)?;
        bird.wait_established("weft")?;
        let route = bird.wait_for_route(one.into())?;
        ensure!(route.protocol == "weft" && route.next_hop == Some(one), "{route:?}");
        has(&cloud, &["2001:db8:b::/48"])
    })
}

/// Waits until weft has these routes.
fn has(cloud: &Cloud<'_>, routes: &[&str]) -> Result<()> {
    wait_for(PATIENCE, &format!("{routes:?}"), || {
        let said = cloud.daemon(0).weft().must(&["bgp", "rib", "-o", "json"]);
        let said = said.map_err(|error| format!("{error:#}"))?;
        let rib: Vec<RibRoute> = serde_json::from_str(&said).map_err(|error| error.to_string())?;
        let found = routes.iter().all(|route| rib.iter().any(|one| one.route == *route));
        if found { Ok(()) } else { Err(format!("{rib:#?}")) }
    })
}
