//! What hosts learned of each other, and how fast they do.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use weft_api::view::{Route, RouteSource, Via};
use weft_tests::cloud::{Cloud, Intent, Pod, Reflector};
use weft_tests::{PATIENCE, wait_for};

use crate::report::{Report, say};
use crate::tenants;

/// The median is less than this.
const LONG: Duration = Duration::from_millis(100);
/// Workloads that come one after the other.
const NEWCOMERS: u8 = 20;

/// Waits until every host of a tenant knows all workloads of it.
pub(crate) fn wait_until_complete(cloud: &Cloud<'_>) -> Result<()> {
    for pod in cloud.pods() {
        for other in cloud.pods().filter(|other| tenant(other) == tenant(pod)) {
            for address in other.addresses() {
                wait_for(PATIENCE, &format!("{} at the host of {}", other.name, pod.name), || {
                    let found = route(cloud, pod.host, tenant(pod), address);
                    found.map(drop).map_err(|error| format!("{error:#}"))
                })?;
            }
        }
    }
    Ok(())
}

/// The way from a workload to an address, as its host knows it, in words.
pub(crate) fn way(cloud: &Cloud<'_>, from: &Pod, to: IpAddr) -> Result<String> {
    let route = route(cloud, from.host, tenant(from), to)?;
    let via = match route.via {
        Via::Port(port) => format!("port {port}"),
        Via::Gateway => "the host".to_owned(),
        Via::Vtep { vtep, vni } => format!("{vtep} VNI {vni}"),
    };
    Ok(match route.source {
        RouteSource::Peer(peer) => format!("{via}, by BGP from {peer}"),
        RouteSource::Port(_) | RouteSource::Gateway(_) | RouteSource::Remote(_) => via,
    })
}

fn tenant(pod: &Pod) -> &str {
    pod.name.split('-').next().unwrap_or_default()
}

fn route(cloud: &Cloud<'_>, host: usize, network: &str, address: IpAddr) -> Result<Route> {
    let json = cloud.daemon(host).weft().must(&["routes", "--network", network, "-o", "json"])?;
    let routes: Vec<Route> = serde_json::from_str(&json).context("weft's JSON")?;
    let wanted = IpNet::from(address);
    routes
        .into_iter()
        .find(|route| route.destination == wanted)
        .with_context(|| format!("no route to {address}"))
}

/// Workloads appear at h1, and it is measured when h4, in the other data centre, knows of them.
pub(crate) fn run(report: &mut Report, cloud: &mut Cloud<'_>, rr: Reflector) -> Result<()> {
    say("\nnew workloads appear at h1; the host in the other data centre learns of them");
    let before = tenants::intent()?;
    let mut times = Vec::new();
    let mut intent = before.clone();
    for number in 0..NEWCOMERS {
        intent = intent.pod(&format!("red-new{number}"), "red-a", 0, 100 + number)?;
    }
    cloud.tell(0, &intent)?;
    for number in 0..NEWCOMERS {
        times.push(appear(cloud, &intent, &format!("red-new{number}"))?);
    }
    times.sort();
    let median = times[times.len() / 2];
    report.check(&format!("{NEWCOMERS} of them, each from its attachment to its route there"), || {
        // How long others take is theirs.
        ensure!(rr != Reflector::Weft || median < LONG, "median {median:.0?}");
        Ok(format!("median {median:.1?}, at most {:.1?}", times.last().copied().unwrap_or_default()))
    });
    Ok(())
}

/// Attaches one, and returns after what time the last host knows of it. The time that a look takes is in it.
fn appear(cloud: &mut Cloud<'_>, intent: &Intent, name: &str) -> Result<Duration> {
    cloud.attach_one(intent, name)?;
    let (start, address) = (Instant::now(), cloud.pod(name).v4.into());
    wait_for(PATIENCE, &format!("{name} at h4"), || {
        route(cloud, 3, "red", address).map(drop).map_err(|error| format!("{error:#}"))
    })?;
    Ok(start.elapsed())
}
