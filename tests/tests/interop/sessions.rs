//! Sessions with FRR: what protects them, limits them and ends them.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft, AS 65000) ──── sw ──── (FRR, AS 65001) 192.0.2.2 h2
//! ```

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use weft_api::view::bgp::{Neighbor, PeerState};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, Program};
use weft_tests::underlay::{Machine, UPLINK};
use weft_tests::{Lab, PATIENCE, wait_for};

use crate::{bgpd, cloud_and_others, gobgp_toml, host, vtep};

const THEIRS: u32 = 65001;

/// weft at h1 with a pod and a peer `frr` with these further fields.
fn weft<'lab>(lab: &'lab Lab, more: &str) -> Result<(Cloud<'lab>, Vec<Machine>)> {
    let more = format!(r#","connect_retry_s":1{more}"#);
    let documents = vec![vec![Fabric::peer("frr", vtep(2)?, THEIRS, &more)]];
    let (mut cloud, others) =
        cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })?;
    cloud.deploy(&Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?)?;
    Ok((cloud, others))
}

fn frr(lab: &Lab, machine: &Machine, peers: &str) -> Result<Frr> {
    let bgpd = bgpd(2, THEIRS, &[(1, ASN)], peers, "");
    Frr::start(lab, "frr", &machine.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })
}

fn peer(cloud: &Cloud<'_>, name: &str) -> Result<Neighbor> {
    let said = cloud.daemon(0).weft().must(&["bgp", "neighbors", name, "-o", "json"])?;
    serde_json::from_str(&said).with_context(|| said.clone())
}

/// Waits until weft says so of a peer.
fn weft_says(cloud: &Cloud<'_>, name: &str, what: &str, is_so: impl Fn(&Neighbor) -> bool) -> Result<()> {
    wait_for(PATIENCE, what, || match peer(cloud, name) {
        Ok(peer) if is_so(&peer) => Ok(()),
        other => Err(format!("{other:#?}")),
    })
}

fn is_up(peer: &Neighbor) -> bool {
    peer.summary.state == PeerState::Established
}

/// A counter of a host's TCP, by its name in `/proc/net/netstat`.
fn tcp_counter(machine: &Machine, name: &str) -> Result<u64> {
    let text = machine.namespace.run(|| fs::read_to_string("/proc/thread-self/net/netstat"))??;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = pairs.find(|(known, _)| *known == name).with_context(|| format!("no {name}: {text}"))?;
    Ok(value.parse()?)
}

/// Waits until the host's TCP has counted more of this than `before`.
fn counted(machine: &Machine, name: &str, before: u64) -> Result<()> {
    wait_for(PATIENCE, name, || match tcp_counter(machine, name) {
        Ok(count) if count > before + 1 => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// In: the same password on both sides, then another one at FRR, then none, then the right-one again. Out: a session, none
/// (weft's TCP drops what FRR sends), none, a session.
#[test]
fn passwords() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, others) = weft(lab, r#","password":"right-one""#)?;
        let frr = frr(lab, &others[0], " neighbor PEER password right-one\n")?;
        frr.wait_established(host(1))?;
        let own = cloud.machine(0);
        for (order, counter) in [
            ("neighbor 192.0.2.1 password wrong", "TCPMD5Failure"),
            ("no neighbor 192.0.2.1 password", "TCPMD5NotFound"),
        ] {
            let before = tcp_counter(own, counter)?;
            frr.vtysh(&["configure", &format!("router bgp {THEIRS}"), order])?;
            weft_says(&cloud, "frr", "the end of the session", |peer| !is_up(peer))?;
            counted(own, counter, before)?;
            ensure!(!is_up(&peer(&cloud, "frr")?) && frr.neighbour(host(1))?["bgpState"] != "Established");
        }
        frr.vtysh(&["configure", &format!("router bgp {THEIRS}"), "neighbor 192.0.2.1 password right-one"])?;
        frr.wait_established(host(1))
    })
}

/// In: FRR and weft as direct neighbours by GTSM; then FRR without it, whose packets have a TTL of 1. Out: a session; then
/// none, and weft's TCP drops what FRR sends.
#[test]
fn hop_counts() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, others) = weft(lab, r#","ttl_security":1"#)?;
        let frr = frr(lab, &others[0], " neighbor PEER ttl-security hops 1\n")?;
        frr.wait_established(host(1))?;
        let own = cloud.machine(0);
        let before = tcp_counter(own, "TCPMinTTLDrop")?;
        let router = format!("router bgp {THEIRS}");
        frr.vtysh(&["configure", &router, "no neighbor 192.0.2.1 ttl-security hops 1"])?;
        weft_says(&cloud, "frr", "the end of the session", |peer| !is_up(peer))?;
        counted(own, "TCPMinTTLDrop", before)?;
        ensure!(!is_up(&peer(&cloud, "frr")?));
        frr.vtysh(&["configure", &router, "neighbor 192.0.2.1 ttl-security hops 1"])?;
        frr.wait_established(host(1))
    })
}

/// In: a session over IPv6 between hosts whose VTEPs are IPv4 addresses. Out: FRR has the pod with weft's VTEP as next hop.
#[test]
fn over_ipv6() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let document = format!(
            r#"{{"kind":"peer","name":"frr","address":"2001:db8::2","asn":{THEIRS},"connect_retry_s":1}}"#
        );
        let fabric = |_: &[_]| Fabric { asns: vec![ASN], any_as: false, documents: vec![vec![document]] };
        let (mut cloud, others) = cloud_and_others(lab, 1, fabric)?;
        cloud.deploy(&Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?)?;
        cloud.machine(0).namespace.add_address(UPLINK, "2001:db8::1/64".parse()?)?;
        others[0].namespace.add_address(UPLINK, "2001:db8::2/64".parse()?)?;
        let bgpd = bgpd(2, THEIRS, &[(1, ASN)], "", "").replace("192.0.2.1", "2001:db8::1");
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let frr = Frr::start(lab, "frr", &others[0].namespace, settings)?;
        frr.wait_established("2001:db8::1".parse()?)?;
        let path = frr.wait_for_evpn("the pod", |path| path.route.contains("[10.0.0.11]"))?;
        ensure!(path.next_hops == [host(1)], "{path:#?}");
        Ok(())
    })
}

/// In: a group with a range in weft, and FRR connects; then FRR with a range, and weft connects. Out: a session each time;
/// in weft the first is a dynamic peer of the group, and goes with its session.
#[test]
fn neighbours_by_range() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let group = r#"{"kind":"peer-group","name":"leaves","asn":"external","ranges":["192.0.2.2/31"]}"#;
        let named = Fabric::peer("third", vtep(3)?, THEIRS, r#","connect_retry_s":1"#);
        let documents = vec![vec![group.to_owned(), named]];
        let (cloud, others) =
            cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })?;
        let mut first = frr(lab, &others[0], "")?;
        first.wait_established(host(1))?;
        let dynamic = peer(&cloud, "leaves/192.0.2.2")?;
        ensure!(
            dynamic.summary.dynamic && dynamic.summary.group.as_deref() == Some("leaves"),
            "{dynamic:#?}"
        );

        let ranged = format!(
            "router bgp {THEIRS}\n bgp router-id 192.0.2.3\n no bgp ebgp-requires-policy\n \
             no bgp default ipv4-unicast\n neighbor weft peer-group\n neighbor weft remote-as {ASN}\n \
             bgp listen range 192.0.2.0/24 peer-group weft\n address-family l2vpn evpn\n  \
             neighbor weft activate\n exit-address-family\n"
        );
        let settings = FrrSettings { bgpd: &ranged, ..FrrSettings::default() };
        let second = Frr::start(lab, "frr-3", &others[1].namespace, settings)?;
        second.wait_established(host(1))?;
        first.kill()?;
        wait_for(PATIENCE, "the end of the dynamic peer", || match peer(&cloud, "leaves/192.0.2.2") {
            Ok(peer) if is_up(&peer) => Err(format!("{peer:#?}")),
            Ok(_) | Err(_) => Ok(()),
        })
    })
}

/// In: GoBGP has more routes than weft takes of it, then fewer; FRR takes fewer than weft has, then more. Out: each time the
/// session ends with Cease, maximum number of prefixes (RFC 4486), and comes back.
#[test]
fn too_many_routes() -> Result<()> {
    peers::test(&[Program::Frr, Program::GoBgp], |lab| {
        let families = r#","families":["evpn","ipv4-unicast"]"#;
        let (cloud, others) = weft(lab, families)?;
        let limit = format!(r#","max_routes":{{"limit":3,"restart_s":2}}{families}"#);
        let limited = Fabric::peer("gobgp", vtep(3)?, 65003, &limit);
        apply(&cloud, &limited)?;
        let ipv4 =
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"ipv4-unicast\"\n";
        let toml = gobgp_toml(3, 65003, &[(1, ASN)], ipv4);
        let gobgp = GoBgp::start(lab, "gobgp", &others[1].namespace, &toml)?;
        gobgp.wait_established(host(1))?;
        let route = |last: u8| {
            format!(
                "macadv 02:00:00:00:00:{last:02x} 10.0.0.{last} etag 0 label 101 rd 192.0.2.3:101 rt 65000:101 encap vxlan"
            )
        };
        for last in 21..=23 {
            gobgp.add_evpn(&route(last))?;
        }
        weft_says(&cloud, "gobgp", "three routes", |peer| {
            peer.summary.routes.get("evpn").is_some_and(|routes| routes.received == 3)
        })?;
        ensure!(is_up(&peer(&cloud, "gobgp")?));
        gobgp.add_evpn(&route(24))?;
        let cease = |told: Option<&weft_api::view::bgp::NotificationStatus>| {
            told.is_some_and(|told| (told.code, told.subcode) == (6, 1))
        };
        weft_says(&cloud, "gobgp", "the end by weft", |peer| {
            !is_up(peer) && cease(peer.notification_sent.as_ref())
        })?;
        gobgp.delete_evpn(&route(24))?;
        weft_says(&cloud, "gobgp", "the session with GoBGP again", is_up)?;

        // FRR has no limit for EVPN.
        gobgp.gobgp(&["global", "rib", "add", "203.0.113.0/24", "-a", "ipv4"])?;
        let bgpd = bgpd(2, THEIRS, &[(1, ASN)], "", "").replace("l2vpn evpn", "ipv4 unicast");
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let frr = Frr::start(lab, "frr", &others[0].namespace, settings)?;
        frr.wait_established(host(1))?;
        for prefix in ["192.0.2.1/32", "203.0.113.0/24"] {
            wait_for(PATIENCE, prefix, || match frr.show("bgp ipv4 unicast") {
                Ok(said) if said["routes"][prefix].is_array() => Ok(()),
                other => Err(format!("{other:?}")),
            })?;
        }
        let family = ["configure", &format!("router bgp {THEIRS}"), "address-family ipv4 unicast"];
        let order = |order: &str| frr.vtysh(&[&family[..], &[order]].concat());
        order("neighbor 192.0.2.1 maximum-prefix 1")?;
        weft_says(&cloud, "frr", "the end by FRR", |peer| {
            peer.notification_received.as_ref().is_some_and(|told| told.text.contains("6/1"))
        })?;
        order("no neighbor 192.0.2.1 maximum-prefix 1")?;
        frr.vtysh(&["clear bgp *"])?;
        frr.wait_established(host(1))
    })
}

/// In: a peer that is shut down with a text in weft, and comes back; then the same in FRR. Out: each side shows the other's
/// text (RFC 9003).
#[test]
fn shut_down_with_a_word() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, others) = weft(lab, "")?;
        let frr = frr(lab, &others[0], "")?;
        frr.wait_established(host(1))?;
        apply(
            &cloud,
            &Fabric::peer("frr", vtep(2)?, THEIRS, r#","connect_retry_s":1,"shutdown":"moving out""#),
        )?;
        wait_for(PATIENCE, "FRR's word of the shutdown", || match frr.neighbour(host(1)) {
            Ok(said) if says(&said, "moving out") && says(&said, "Administrative Shutdown") => Ok(()),
            other => Err(format!("{other:#?}")),
        })?;
        apply(&cloud, &Fabric::peer("frr", vtep(2)?, THEIRS, r#","connect_retry_s":1"#))?;
        frr.wait_established(host(1))?;
        let router = format!("router bgp {THEIRS}");
        frr.vtysh(&["configure", &router, "neighbor 192.0.2.1 shutdown message back at noon"])?;
        weft_says(&cloud, "frr", "weft's word of the shutdown", |peer| {
            peer.notification_received
                .as_ref()
                .is_some_and(|told| told.text.contains("hard reset for 6/2: \"back at noon\""))
        })?;
        frr.vtysh(&["configure", &router, "no neighbor 192.0.2.1 shutdown"])?;
        frr.wait_established(host(1))
    })
}

fn says(said: &Value, text: &str) -> bool {
    said.to_string().contains(text)
}

fn apply(cloud: &Cloud<'_>, document: &str) -> Result<()> {
    let file = cloud.daemon(0).settings().folder.join("peer.yaml");
    fs::write(&file, document)?;
    let file = file.to_str().context("a folder in UTF-8")?;
    cloud.daemon(0).weft().must(&["apply", "-f", file]).map(drop)
}
