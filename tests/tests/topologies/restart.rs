//! weftd stops, is killed, and starts again, while tenants' traffic goes on.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 ─────── h2 ─ red-2 10.0.0.12
//! ```

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Steady;
use weft_tests::{Lab, Weftd, Wire, underlay};

fn intent() -> Result<Intent> {
    Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)
}

/// Enough to see that a flow goes on.
const SOME: u64 = 50;

/// In: pings at 100/s, UDP at 500/s and a TCP stream, while `end` ends both weftds one after the other, each stays
/// away for a while and starts again. Out: everything is answered and arrives, at every stage; the ports are up again,
/// with their counters, and a new pod can be added.
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn under_traffic(what: &str, end: impl Fn(&mut Weftd) -> Result<()>) -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
        a.pings(b)?;
        let flows = [
            ("ping IPv4", Steady::ping(&a.namespace, b.v4.into(), 100)?),
            ("ping IPv6", Steady::ping(&b.namespace, a.v6.into(), 100)?),
            ("UDP", Steady::udp(&a.namespace, &b.namespace, b.v4.into(), 500)?),
            ("TCP", Steady::tcp(&a.namespace, &b.namespace, b.v6.into(), 500)?),
        ];
        let go_on = || flows.iter().try_for_each(|(_, flow)| flow.wait_for_more(SOME));
        go_on()?;
        let before = sent(&cloud)?;
        for host in 0..2 {
            end(cloud.daemon_mut(host))?;
            go_on()?;
            cloud.daemon_mut(host).start()?;
            cloud.wait_until_up()?;
            go_on()?;
        }
        ensure!(sent(&cloud)? > before, "the counters of red-1 began anew");
        for (name, flow) in flows {
            let tally = flow.stop()?;
            println!(
                "{what}: {name}: {} sent, {} lost, longest gap {:?}",
                tally.sent,
                tally.lost(),
                tally.longest_gap
            );
            ensure!(tally.lost() == 0, "{what}: {name}: {tally:?}");
        }
        cloud.deploy(&intent()?.pod("red-3", "red-a", 0, 13)?.pod("red-4", "red-a", 1, 14)?)?;
        cloud.pod("red-3").pings(cloud.pod("red-2"))?;
        cloud.pod("red-1").pings(cloud.pod("red-4"))
    })
}

/// Packets that red-1 sent, by weft's count.
fn sent(cloud: &Cloud<'_>) -> Result<u64> {
    let counters = cloud.daemon(0).weft().counters()?;
    Ok(counters.iter().filter(|port| port.port == "red-1").map(|port| port.from_port.packets).sum())
}

#[test]
fn by_sigterm() -> Result<()> {
    under_traffic("SIGTERM", |daemon| {
        let status = daemon.terminate()?;
        ensure!(status.success(), "weftd ended with {status}");
        Ok(())
    })
}

#[test]
fn by_sigkill() -> Result<()> {
    under_traffic("SIGKILL", |daemon| daemon.kill().map(drop))
}

/// In: weftd is killed, and while it is away a port's device is removed by hand; and once more while it is
/// there. Out: both times the port is repaired, and the others never notice.
#[test]
fn what_changed_meanwhile_is_repaired() -> Result<()> {
    use weft_api::view::PortPhase;
    use weft_tests::cloud::POD_DEVICE;
    use weft_tests::{PATIENCE, wait_for};
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?.pod("red-3", "red-a", 0, 13)?)?;
        cloud.daemon_mut(0).kill()?;
        cloud.pod("red-3").namespace.delete_link(POD_DEVICE)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        cloud.pod("red-3").namespace.wait_until_running(POD_DEVICE)?;
        cloud.pod("red-3").pings(cloud.pod("red-2"))?;

        // While weftd is there, it notices by itself.
        cloud.pod("red-3").namespace.delete_link(POD_DEVICE)?;
        wait_for(PATIENCE, "the repair", || {
            let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
            let up = status.ports.iter().all(|port| port.state == PortPhase::Up);
            let there = cloud.pod("red-3").namespace.link(POD_DEVICE).is_ok_and(|link| link.running);
            if up && there { Ok(()) } else { Err(format!("{:#?}", status.ports)) }
        })?;
        cloud.pod("red-3").pings(cloud.pod("red-2"))
    })
}
