//! What is not weft's stays as it is; what is weft's goes at teardown.
//!
//! ```text
//!            other people's: veth "foreign0", vxlan device "vx9" on port 8472, filters on up0 before and after weft's,
//!                            a route, a permanent neighbour, a pinned map
//! red-1 ─ h1 up0 ─────── up0 h2 ─ red-2
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::foreign::{Filter, Hook, filters, pin_map};
use weft_tests::underlay::{self, UPLINK, Underlay};
use weft_tests::{End, Lab, Link, Namespace, PATIENCE, Route, Wire, wait_for};
use weft_vxlan::MacAddr;

fn intent() -> Result<Intent> {
    Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)
}

/// A host's state, as far as weft could touch it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    links: Vec<Link>,
    routes: Vec<Route>,
    neighbours: BTreeSet<String>,
    filters: Vec<(String, Vec<u32>, Vec<u32>)>,
    sockets: Vec<String>,
}

fn state(namespace: &Namespace) -> Result<State> {
    let links = namespace.links()?;
    let mut filters_of = Vec::new();
    for link in &links {
        let (ingress, egress) = (Hook::Ingress, Hook::Egress);
        let of = |hook| filters(namespace, &link.name, hook);
        filters_of.push((link.name.clone(), of(ingress)?, of(egress)?));
    }
    let permanent = namespace.neighbours()?.into_iter().filter(|neighbour| neighbour.permanent);
    Ok(State {
        neighbours: permanent.map(|neighbour| format!("{neighbour:?}")).collect(),
        routes: namespace.routes()?,
        filters: filters_of,
        sockets: udp_sockets(namespace)?,
        links,
    })
}

/// Local addresses of UDP sockets, the kernel's own among them.
fn udp_sockets(namespace: &Namespace) -> Result<Vec<String>> {
    let mut sockets = Vec::new();
    for table in ["udp", "udp6"] {
        let path = Path::new("/proc/thread-self/net").join(table);
        let text = namespace.run(|| fs::read_to_string(path))??;
        let locals = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        sockets.extend(locals.map(str::to_owned));
    }
    sockets.sort();
    Ok(sockets)
}

/// Other people's things; filters stay as long as this lives.
struct Foreign {
    _filters: [Filter; 2],
    _peer: Namespace,
    pin: std::path::PathBuf,
}

fn settle(lab: &Lab, underlay: &Underlay) -> Result<Foreign> {
    let host = &underlay.machines[0].namespace;
    let peer = lab.namespace("foreign")?;
    Wire::default().lay(
        End { namespace: host, device: "foreign0", addresses: &["10.9.0.1/24".parse()?] },
        End { namespace: &peer, device: "eth0", addresses: &["10.9.0.2/24".parse()?] },
    )?;
    host.add_vxlan("vx9", 9, 8472)?;
    host.set_up("vx9", true)?;
    host.add_route("10.0.0.0/8".parse()?, "10.9.0.2".parse()?)?;
    let mac = MacAddr::new([2, 0xcc, 0, 0, 0, 1]);
    host.add_neighbour(UPLINK, "192.0.2.77".parse()?, mac)?;
    host.add_neighbour("foreign0", "10.9.0.77".parse()?, mac)?;
    let folder = lab.pin_folder("foreign");
    fs::create_dir(&folder)?;
    let pin = folder.join("map");
    pin_map(&pin)?;
    let _filters =
        [Filter::attach(host, UPLINK, Hook::Ingress)?, Filter::attach(host, UPLINK, Hook::Egress)?];
    Ok(Foreign { _filters, _peer: peer, pin })
}

/// In: a host with all of that; weft starts, carries traffic, is restarted by force, and is torn down. Out: at every
/// stage everything foreign is as before, and at the end nothing else is there: no device, filter, neighbour, route,
/// socket or pin of weft's, on the host or in the pod.
#[test]
fn foreign_things_stay_and_ours_go() -> Result<()> {
    Lab::test(|lab| {
        let underlay = underlay::two_hosts(lab, Wire::default())?;
        let foreign = settle(lab, &underlay)?;
        let before = state(&underlay.machines[0].namespace)?;
        let mut cloud = Cloud::start(lab, underlay)?;
        cloud.deploy(&intent()?)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        assert_kept(&before, &state(&cloud.machine(0).namespace)?, &foreign)?;
        cloud.daemon_mut(0).kill()?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        assert_kept(&before, &state(&cloud.machine(0).namespace)?, &foreign)?;

        let removed = cloud.daemon(0).weft().must(&["teardown", "--yes"])?;
        ensure!(!removed.trim().is_empty(), "teardown tells nothing");
        let status = cloud.daemon_mut(0).wait_until_ended()?;
        ensure!(status.success(), "weftd ended with {status}");
        let socket = cloud.daemon(0).settings().socket();
        ensure!(!socket.exists(), "{} is left", socket.display());
        assert_gone(&cloud, &before, &foreign)
    })
}

/// In: the same, but weftd is dead when `weft teardown` is called; then weftd is started again. Out: the same is gone;
/// the intent is still stored, so that the workloads have their network again.
#[test]
fn teardown_without_weftd() -> Result<()> {
    Lab::test(|lab| {
        let underlay = underlay::two_hosts(lab, Wire::default())?;
        let foreign = settle(lab, &underlay)?;
        let before = state(&underlay.machines[0].namespace)?;
        let mut cloud = Cloud::start(lab, underlay)?;
        cloud.deploy(&intent()?)?;
        cloud.daemon_mut(0).kill()?;
        let config = cloud.daemon(0).settings().config();
        cloud.daemon(0).weft().must(&["teardown", "--yes", "--config", &config.to_string_lossy()])?;
        assert_gone(&cloud, &before, &foreign)?;
        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        cloud.pod("red-1").namespace.wait_until_running(POD_DEVICE)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))
    })
}

/// Everything of `before` is in `now`, which may have more.
fn assert_kept(before: &State, now: &State, foreign: &Foreign) -> Result<()> {
    for link in &before.links {
        ensure!(now.links.contains(link), "{link:?} is not among {:#?}", now.links);
    }
    for route in &before.routes {
        ensure!(now.routes.contains(route), "{route:?} is not among {:#?}", now.routes);
    }
    ensure!(
        before.neighbours.is_subset(&now.neighbours),
        "{:#?}, not {:#?}",
        now.neighbours,
        before.neighbours
    );
    for (name, ingress, egress) in &before.filters {
        let found = now.filters.iter().find(|(other, ..)| other == name);
        let kept = found.is_some_and(|(_, now_ingress, now_egress)| {
            ingress.iter().all(|id| now_ingress.contains(id))
                && egress.iter().all(|id| now_egress.contains(id))
        });
        ensure!(kept, "filters of {name}: {found:?}, before {ingress:?} and {egress:?}");
    }
    ensure!(before.sockets.iter().all(|socket| now.sockets.contains(socket)), "{:?}", now.sockets);
    ensure!(foreign.pin.exists(), "{} is gone", foreign.pin.display());
    Ok(())
}

fn assert_gone(cloud: &Cloud<'_>, before: &State, foreign: &Foreign) -> Result<()> {
    let host = &cloud.machine(0).namespace;
    // The kernel takes devices and programs away a moment after they were let go.
    wait_for(PATIENCE, "the state before weft", || match state(host) {
        Ok(now) if now == *before => Ok(()),
        now => Err(format!("{now:#?}, before {before:#?}")),
    })?;
    ensure!(foreign.pin.exists(), "{} is gone", foreign.pin.display());
    let settings = cloud.daemon(0).settings();
    ensure!(!settings.pin_folder.exists(), "{} is left", settings.pin_folder.display());
    let pod = cloud.pod("red-1");
    ensure!(pod.namespace.link(POD_DEVICE).is_err(), "{POD_DEVICE} of {} is left", pod.name);
    Ok(())
}
