//! Graceful restart (RFC 4724) with FRR as reflector: it dies, and weft does.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ──┐
//!                                         ├ sw ── 192.0.2.3 h3 (FRR, reflector)
//! red-2 10.0.0.12 ─ h2 192.0.2.2 (weft) ──┘
//! ```

use anyhow::{Result, ensure};
use weft_api::view::bgp::Neighbor;
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, Program};
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, wait_for};

use crate::{bgpd, cloud_and_others, host, vtep};

fn start(lab: &Lab) -> Result<(Cloud<'_>, Frr)> {
    let reflector = vtep(3)?;
    let retry = r#","connect_retry_s":1"#;
    let (mut cloud, others) = cloud_and_others(lab, 2, |vteps| Fabric::clients(vteps, reflector, retry))?;
    let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
    cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?)?;
    let client = "  neighbor PEER route-reflector-client\n";
    let bgpd = bgpd(3, ASN, &[(1, ASN), (2, ASN)], "", client).replace(
        " no bgp default",
        " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n no bgp default",
    );
    let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
    let frr = Frr::start(lab, "frr", &others[0].namespace, settings)?;
    frr.wait_established(host(1))?;
    frr.wait_established(host(2))?;
    let (one, two) = (cloud.pod("red-1"), cloud.pod("red-2"));
    one.namespace.ping_until(two.v4.into(), PATIENCE)?;
    two.namespace.ping_until(one.v4.into(), PATIENCE)?;
    Ok((cloud, frr))
}

fn peer(cloud: &Cloud<'_>, of: usize) -> Result<Neighbor> {
    Ok(serde_json::from_str(&cloud.daemon(of).weft().must(&["bgp", "neighbor", "rr", "-o", "json"])?)?)
}

/// In: FRR killed under ping, and started again once both hosts have noticed. Out: both hosts keep its routes as stale ones
/// and then have fresh ones, and no ping is lost.
#[test]
fn frr_dies_and_returns() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, mut frr) = start(lab)?;
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
        let tally = ping.stop()?;
        ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        Ok(())
    })
}

/// In: weftd of h1 killed under ping from the other side, and started again once FRR has noticed. Out: FRR and h2 keep h1's
/// routes meanwhile, and no ping is lost.
#[test]
fn weft_dies_and_returns() -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (mut cloud, frr) = start(lab)?;
        let of_first = |frr: &Frr| -> Result<usize> {
            Ok(frr.evpn_paths()?.iter().filter(|path| path.neighbour == Some(host(1))).count())
        };
        let before = of_first(&frr)?;
        ensure!(before > 0, "no routes of h1");
        let ping = Steady::ping(&cloud.pod("red-2").namespace, cloud.pod("red-1").v4.into(), 100)?;
        ping.wait_for_more(50)?;
        cloud.daemon_mut(0).kill()?;
        wait_for(PATIENCE, "the end of FRR's session with h1", || match frr.neighbour(host(1)) {
            Ok(said) if said["bgpState"] != "Established" => Ok(()),
            other => Err(format!("{other:#?}")),
        })?;
        let kept = of_first(&frr)?;
        ensure!(kept == before, "{kept} of {before} routes of h1 are kept");
        ping.wait_for_more(100)?;
        cloud.daemon_mut(0).start()?;
        frr.wait_established(host(1))?;
        cloud.wait_until_up()?;
        // Past what either side sweeps.
        ping.wait_for_more(500)?;
        let after = of_first(&frr)?;
        ensure!(after == before, "{after} of {before} routes of h1 are there again");
        let tally = ping.stop()?;
        ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
        Ok(())
    })
}
