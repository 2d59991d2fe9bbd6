//! What must work: workloads of one tenant reach each other, wherever they are.

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::probe::Steady;

use crate::learned;
use crate::report::{Report, say};
use crate::tenants::{ONLY_RED, TENANTS};

/// Bytes that are moved between the data centres.
const BYTES: u64 = 50_000_000;

/// Pairs of workloads, and what is between them.
const PAIRS: [(&str, &str, &str); 5] = [
    ("1", "2", "same host"),
    ("1", "3", "other host"),
    ("1", "4", "other data centre"),
    ("1", "5", "other data centre, other subnet"),
    ("5", "3", "and back, to another host"),
];

/// Runs them for both tenants at once, with an eye on what must not be seen anywhere.
pub(crate) fn run(report: &mut Report, cloud: &Cloud<'_>) -> Result<()> {
    let watch = cloud.watch()?;
    let mut strangers = Vec::new();
    for pod in cloud.pods() {
        let other = if pod.name.starts_with("red") { "blue-" } else { "red-" };
        strangers.push(pod.capture(move |packet| packet.says(other))?);
    }
    let servers = cloud.pods().map(Pod::serve).collect::<Result<Vec<_>>>()?;

    for (tenant, _) in TENANTS {
        say(format_args!("\n{tenant}: ping, UDP and TCP, IPv4 and IPv6; each workload says its name"));
        for (from, to, between) in PAIRS {
            let (from, to) = (cloud.pod(&format!("{tenant}-{from}")), cloud.pod(&format!("{tenant}-{to}")));
            let what = format!("{} to {}: {between}", from.name, to.name);
            report.check(&what, || {
                from.talks_to(to)?;
                let rtt = from.namespace.ping(to.v4.into())?;
                let rtt = rtt.map_or_else(|_| "?".to_owned(), |rtt| format!("{rtt:.0?}"));
                Ok(format!("{} and {}, {rtt}", to.v4, to.v6))
            });
            say(format_args!("        way: {}", learned::way(cloud, from, to.v4.into())?));
        }
        let first = cloud.pod(&format!("{tenant}-1"));
        report.check(&format!("{} to its gateways", first.name), || {
            first.gateways().into_iter().try_for_each(|gateway| first.pings_address(gateway))?;
            Ok(format!("{} and {}", first.gateway4, first.gateway6))
        });
    }

    say("\nthe tenants do not see each other");
    report.check(&format!("blue-1 to {ONLY_RED}, which only red has"), || nobody_answers(cloud));
    report.check("words of one tenant at the other's workloads", || {
        let mut seen = 0;
        for capture in strangers {
            let caught = capture.finish()?;
            ensure!(caught.count == 0, "{} packets, such as {:#?}", caught.count, caught.packets.first());
            seen += caught.seen;
        }
        Ok(format!("none among {seen} packets"))
    });
    report.check("packets of tenants on the underlay as they are", || {
        let seen = watch.assert_clean()?;
        Ok(format!("none among {seen} packets, all wires"))
    });
    drop(servers);

    say("\nbulk data");
    let (near, far) = (cloud.pod("red-1"), cloud.pod("red-4"));
    report.check("50 MB over TCP between the data centres", || {
        let there = near.namespace.transfer(&far.namespace, far.v4.into(), BYTES)?.bits_per_second();
        let back = far.namespace.transfer(&near.namespace, near.v6.into(), BYTES)?.bits_per_second();
        Ok(format!("{:.1} and {:.1} Gbit/s, same hash", there / 1e9, back / 1e9))
    });
    Ok(())
}

fn nobody_answers(cloud: &Cloud<'_>) -> Result<String> {
    let (blue, red) = (cloud.pod("blue-1"), cloud.pod(ONLY_RED));
    let patience = std::time::Duration::from_millis(300);
    for address in red.addresses() {
        ensure!(blue.namespace.ping_sized(address, 56, patience)?.is_err(), "{address} answers blue");
    }
    cloud.pod("red-1").pings(red)?;
    Ok(format!("no answer from {} and {}, though red-1 has one", red.v4, red.v6))
}

/// Kills a weftd under traffic and starts it again.
pub(crate) fn restart(report: &mut Report, cloud: &mut Cloud<'_>) -> Result<()> {
    say("\nweftd of h1 is killed (SIGKILL) and started again under traffic");
    let (near, far) = (cloud.pod("red-1"), cloud.pod("red-4"));
    let ping = Steady::ping(&near.namespace, far.v4.into(), 100)?;
    let udp = Steady::udp(&near.namespace, &far.namespace, far.v6.into(), 500)?;
    ping.wait_for_more(20)?;
    cloud.daemon_mut(0).kill()?;
    ping.wait_for_more(50)?;
    cloud.daemon_mut(0).start()?;
    cloud.wait_until_up()?;
    ping.wait_for_more(20)?;
    for (what, flow) in [("ping at 100/s", ping), ("UDP at 500/s", udp)] {
        report.check(what, || {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "{} of {} lost", tally.lost(), tally.sent);
            Ok(format!("0 of {} lost", tally.sent))
        });
    }
    Ok(())
}
