//! Graceful restart (RFC 4724) with FRR or GoBGP as reflector: it dies, and weft does.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ──┐
//!                                         ├ sw ── 192.0.2.3 h3 (reflector)
//! red-2 10.0.0.12 ─ h2 192.0.2.2 (weft) ──┘
//! ```

use anyhow::{Result, ensure};
use weft_api::view::bgp::Neighbor;
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, Program};
use weft_tests::probe::Steady;
use weft_tests::underlay::Machine;
use weft_tests::{Lab, PATIENCE, wait_for};

use crate::{bgpd, cloud_and_others, gobgp_toml, host, vtep};

fn clients(lab: &Lab) -> Result<(Cloud<'_>, Vec<Machine>)> {
    let reflector = vtep(3)?;
    let retry = r#","connect_retry_s":1"#;
    let (mut cloud, others) = cloud_and_others(lab, 2, |vteps| Fabric::clients(vteps, reflector, retry))?;
    let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
    cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?)?;
    Ok((cloud, others))
}

fn reach_each_other(cloud: &Cloud<'_>) -> Result<()> {
    let (one, two) = (cloud.pod("red-1"), cloud.pod("red-2"));
    one.namespace.ping_until(two.v4.into(), PATIENCE)?;
    two.namespace.ping_until(one.v4.into(), PATIENCE)?;
    Ok(())
}

fn peer(cloud: &Cloud<'_>, of: usize) -> Result<Neighbor> {
    Ok(serde_json::from_str(&cloud.daemon(of).weft().must(&["bgp", "neighbors", "rr", "-o", "json"])?)?)
}

/// In: FRR killed under ping, and started again once both hosts have noticed. Out: both hosts keep its routes as stale ones
/// and then have fresh ones, and no ping is lost.
#[test]
fn frr_dies_and_returns() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, others) = clients(lab)?;
        let client = "  neighbor PEER route-reflector-client\n";
        let bgpd = bgpd(3, ASN, &[(1, ASN), (2, ASN)], "", client).replace(
            " no bgp default",
            " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n no bgp default",
        );
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let mut frr = Frr::start(lab, "frr", &others[0].namespace, settings)?;
        frr.wait_established(host(1))?;
        frr.wait_established(host(2))?;
        reach_each_other(&cloud)?;
        let ping = Steady::ping(&cloud.pod("red-1").namespace, cloud.pod("red-2").v4.into(), 100)?;
        ping.wait_for_more(50)?;
        frr.kill()?;
        for own in [0, 1] {
            wait_for(PATIENCE, "stale routes", || match peer(&cloud, own) {
                Ok(peer) if peer.restart.as_ref().is_some_and(|kept| !kept.stale.is_empty()) => Ok(()),
                other => Err(format!("{other:#?}")),
            })?;
        }
        ping.wait_for_more(100)?;
        frr.start_again()?;
        for own in [0, 1] {
            wait_for(PATIENCE, "fresh routes", || match peer(&cloud, own) {
                Ok(peer)
                    if peer.restart.is_none()
                        && peer.summary.routes.get("evpn").is_some_and(|routes| routes.received > 0) =>
                {
                    Ok(())
                }
                other => Err(format!("{other:#?}")),
            })?;
        }
        ping.wait_for_more(100)?;
        none_lost(ping)
    })
}

/// GoBGP as the reflector of two hosts, which keeps their routes over a restart.
fn patient_gobgp(lab: &Lab, machine: &Machine) -> Result<GoBgp> {
    let more = "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 120\n\
                [neighbors.route-reflector.config]\nroute-reflector-client = true\n\
                route-reflector-cluster-id = \"192.0.2.3\"\n";
    let toml = gobgp_toml(3, ASN, &[(1, ASN), (2, ASN)], more);
    let kept = "\"l2vpn-evpn\"\n[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n";
    let toml = toml.replace("\"l2vpn-evpn\"\n", kept);
    let gobgp = GoBgp::start(lab, "gobgp", &machine.namespace, &toml)?;
    gobgp.wait_established(host(1))?;
    gobgp.wait_established(host(2))?;
    Ok(gobgp)
}

/// How many routes GoBGP has of h1.
fn of_first(gobgp: &GoBgp) -> Result<usize> {
    let rib = gobgp.rib("evpn")?;
    Ok(rib.values().flatten().filter(|path| path.neighbour == Some(host(1))).count())
}

/// In: weftd of h1, a client of GoBGP, killed under ping from the other side, and started again once GoBGP has noticed.
/// Out: GoBGP and h2 keep h1's routes meanwhile, and no ping is lost.
#[test]
fn weft_dies_and_returns() -> Result<()> {
    peers::test(&[Program::GoBgp], |lab| {
        let (mut cloud, others) = clients(lab)?;
        let gobgp = patient_gobgp(lab, &others[0])?;
        reach_each_other(&cloud)?;
        let before = of_first(&gobgp)?;
        ensure!(before > 0, "no routes of h1");
        let ping = Steady::ping(&cloud.pod("red-2").namespace, cloud.pod("red-1").v4.into(), 100)?;
        ping.wait_for_more(50)?;
        cloud.daemon_mut(0).kill()?;
        wait_for(PATIENCE, "the end of GoBGP's session with h1", || match gobgp.neighbour(host(1)) {
            Ok(said) if said["state"]["session_state"].as_u64() != Some(6) => Ok(()),
            other => Err(format!("{other:#?}")),
        })?;
        let kept = of_first(&gobgp)?;
        ensure!(kept == before, "{kept} of {before} routes of h1 are kept");
        ping.wait_for_more(100)?;
        cloud.daemon_mut(0).start()?;
        gobgp.wait_established(host(1))?;
        cloud.wait_until_up()?;
        // Past what either side sweeps.
        ping.wait_for_more(500)?;
        let after = of_first(&gobgp)?;
        ensure!(after == before, "{after} of {before} routes of h1 are there again");
        none_lost(ping)
    })
}

/// In: `weft teardown` on h1, a client of GoBGP, which keeps routes over a restart. Out: it keeps none of h1's.
#[test]
fn weft_is_torn_down() -> Result<()> {
    peers::test(&[Program::GoBgp], |lab| {
        let (cloud, others) = clients(lab)?;
        let gobgp = patient_gobgp(lab, &others[0])?;
        reach_each_other(&cloud)?;
        ensure!(of_first(&gobgp)? > 0, "no routes of h1");
        cloud.daemon(0).weft().must(&["teardown", "--yes"])?;
        wait_for(PATIENCE, "the end of h1's routes", || match of_first(&gobgp) {
            Ok(0) => Ok(()),
            other => Err(format!("{other:#?}")),
        })
    })
}

/// In: weftd killed, which announced its VTEP to FRR by IPv4. Out: FRR keeps that route as a stale one, and has it fresh once
/// weftd is back. (FRR 8.4 keeps no EVPN routes.)
#[test]
fn frr_keeps_what_weft_said() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let families = r#","connect_retry_s":1,"families":["ipv4-unicast"]"#;
        let documents = vec![vec![Fabric::peer("frr", vtep(2)?, 65001, families)]];
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents })?;
        let bgpd = bgpd(2, 65001, &[(1, ASN)], "", "").replace("l2vpn evpn", "ipv4 unicast");
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        let frr = Frr::start(lab, "frr", &others[0].namespace, settings)?;
        frr.wait_established(host(1))?;
        let wait_for_route = |stale: bool| {
            wait_for(PATIENCE, &format!("the VTEP, stale: {stale}"), || match frr.show("bgp ipv4 unicast") {
                Ok(said) => {
                    let path = &said["routes"]["192.0.2.1/32"][0];
                    let is_so = path.is_object() && (path["stale"] == true) == stale;
                    if is_so { Ok(()) } else { Err(said.to_string()) }
                }
                Err(error) => Err(format!("{error:#}")),
            })
        };
        wait_for_route(false)?;
        cloud.daemon_mut(0).kill()?;
        wait_for_route(true)?;
        cloud.daemon_mut(0).start()?;
        frr.wait_established(host(1))?;
        wait_for_route(false)
    })
}

fn none_lost(ping: Steady) -> Result<()> {
    let tally = ping.stop()?;
    ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
    Ok(())
}
