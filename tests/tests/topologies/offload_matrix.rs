//! Every two settings together of what may cut, sum and merge packets on their way: of the pods, of the underlay, its
//! MTUs, and the families inside and outside.
//!
//! ```text
//! red-1 ┐
//! red-5 ┤                                        ┌ red-2
//! red-3 ┴ h1 ── here ── r ── there ── h2 ┴ red-4
//! ```
//! Subnet red-a has red-1, red-2 and red-5, red-b red-3 and red-4. Wires have an MTU each, "here" and "there"; r may know of a
//! way that is narrower than both. One lab for each family outside; from case to case devices are set anew, and the way
//! never gets wider, so that nobody knows yet what is new.

#![expect(clippy::print_stdout, reason = "a line for each case")]

mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::underlay::{UPLINK, through_a_router};
use weft_tests::{Lab, PATIENCE, Wire, wait_for};

use settings::{Case, cases};

/// Bytes of a transfer.
const BYTES: u64 = 4_000_000;
/// Longest pause of a transfer: while a way turns out to be narrower, weftd looks once a second.
const PAUSE: Duration = Duration::from_secs(4);
/// What weft never drops of honest traffic; [`DropReason::TooBig`] and noise are part of it.
const NEVER: [DropReason; 5] = [
    DropReason::Malformed,
    DropReason::KernelRefused,
    DropReason::SpoofedIp,
    DropReason::ExtensionHeaders,
    DropReason::UnsupportedEthertype,
];

fn start(lab: &Lab, over_ipv6: bool) -> Result<Cloud<'_>> {
    let wire = Wire { mtu: 9000, ..Wire::default() };
    let mut cloud = Cloud::start(lab, through_a_router(lab, wire, over_ipv6)?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-4", "red-b", 1, 14)?
        .pod("red-5", "red-a", 0, 15)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// Sets all devices as the case wants them, and waits until weft gave the pods the MTUs that follow.
fn set(cloud: &Cloud<'_>, case: &Case) -> Result<()> {
    let router = &cloud.underlay.routers[0];
    for (host, mtu) in [case.here, case.there].into_iter().enumerate() {
        let machine = cloud.machine(host);
        for (namespace, device) in [(&machine.namespace, UPLINK), (router, machine.name.as_str())] {
            namespace.set_mtu(device, mtu)?;
            case.cable.set(namespace, device)?;
        }
        let vtep = IpNet::from(machine.vtep.address());
        let known = router.routes()?.into_iter().find(|route| route.destination == Some(vtep));
        let gateway = known.and_then(|route| route.gateway).context("a route of the router")?;
        router.replace_route_of_mtu(vtep, gateway, case.between.unwrap_or_default())?;
        for port in cloud.daemon(host).weft().status()?.ports {
            let device = port.device.context("a port has a device")?;
            case.pods.set(&machine.namespace, &device)?;
        }
    }
    for pod in cloud.pods() {
        case.pods.set(&pod.namespace, POD_DEVICE)?;
        let wanted = [case.here, case.there][pod.host] - case.overhead();
        wait_for(PATIENCE, &format!("{} to have an MTU of {wanted}", pod.name), || {
            match pod.namespace.link(POD_DEVICE) {
                Ok(link) if link.mtu == wanted => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })?;
    }
    Ok(())
}

/// What is dropped that never should be.
fn dropped(cloud: &Cloud<'_>) -> Result<BTreeMap<&'static str, u64>> {
    let mut drops = BTreeMap::new();
    for daemon in cloud.daemons() {
        let all = daemon.weft().all_drops()?;
        for reason in NEVER {
            *drops.entry(reason.name()).or_default() += all.get(reason.name()).copied().unwrap_or_default();
        }
    }
    Ok(drops)
}

/// One direction: TCP first, which has to find its own way; then datagrams, of which those are lost that are sent before
/// their sender can know what fits: `mtu` bytes. The longest pause.
fn through(case: &Case, from: &Pod, to: &Pod, mtu: u32) -> Result<Duration> {
    let address: IpAddr = if case.inside_ipv6 { to.v6.into() } else { to.v4.into() };
    let transfer = from.namespace.transfer(&to.namespace, address, BYTES)?;
    ensure!(transfer.longest_pause < PAUSE, "the transfer stood still for {:?}", transfer.longest_pause);

    let headers = if case.inside_ipv6 { 48 } else { 28 };
    let fits = usize::try_from(mtu)? - headers;
    wait_for(PATIENCE, &format!("{} to know the way's MTU", from.name), || {
        let known = from.namespace.path_mtu(address).map_err(|error| format!("{error:#}"))?;
        if known == mtu {
            return Ok(());
        }
        // More than fits, for which it is told.
        drop(from.namespace.ping_sized(address, fits + 9, Duration::from_millis(50)));
        Err(format!("{known}, not {mtu}"))
    })?;
    let around =
        [4, 5, 63, 512, fits - 8, fits - 1, fits, fits + 1, fits + 8, 2 * fits, 9001, 30_000, 65_000];
    let lost = from.namespace.sizes(&to.namespace, address, &around)?;
    ensure!(lost.is_empty(), "datagrams of these sizes did not arrive: {lost:?}");
    // In one call so many segments as an IP packet holds, of all that there is room for, and of few bytes.
    for (length, at_once) in
        [(fits, (65_000 / fits).min(40)), (fits / 2 + 1, (65_000 / fits).min(40)), (61, 60)]
    {
        let count = u32::try_from(3 * at_once)?;
        let arrived = from.namespace.segmented(&to.namespace, address, count, length, at_once)?;
        ensure!(arrived == 3 * at_once, "{arrived} of {count} segments of {length} bytes arrived");
    }
    Ok(transfer.longest_pause)
}

/// In: for each case 4 MB over TCP between hosts both ways, and within one, one datagram of each of many sizes around what fits, and datagrams many to a
/// send call (UDP GSO). Out: the same bytes without a stall, every datagram whole, pods with the MTU that their own host's
/// wire leaves, and no drop of a reason that honest traffic never causes.
fn over(over_ipv6: bool) -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, over_ipv6)?;
        let before = dropped(&cloud)?;
        let cases = cases(over_ipv6);
        let start = Instant::now();
        for (number, case) in (1..).zip(&cases) {
            let began = Instant::now();
            set(&cloud, case).with_context(|| format!("{case}"))?;
            let (near, far) = if case.routed { ("red-3", "red-4") } else { ("red-5", "red-2") };
            let (a, near, far) = (cloud.pod("red-1"), cloud.pod(near), cloud.pod(far));
            let mut pause = Duration::ZERO;
            for (from, to, mtu) in [(a, far, case.path()), (far, a, case.path()), (a, near, case.here)] {
                let paused = through(case, from, to, mtu - case.overhead());
                pause = pause.max(paused.with_context(|| format!("{} to {}, {case}", from.name, to.name))?);
            }
            let drops = dropped(&cloud)?;
            ensure!(drops == before, "{case}: {drops:?}, before {before:?}");
            println!(
                "{number} of {}: {case}: {:.1?}, longest pause {pause:.0?}",
                cases.len(),
                began.elapsed()
            );
        }
        println!("{} cases: {:.1?}", cases.len(), start.elapsed());
        Ok(())
    })
}

/// In: on new hosts, which nobody has told anything: h1 on a wire of 9000, h2 on one of 1500, and a router between them
/// that takes less than both; 4 MB over TCP and datagrams, each way, inside over each family. Out: the same, with a pause
/// until the way's MTU is known.
#[test]
fn a_way_that_is_narrower_than_both_ends() -> Result<()> {
    for over_ipv6 in [false, true] {
        for inside_ipv6 in [false, true] {
            Lab::test(|lab| {
                let cloud = start(lab, over_ipv6)?;
                let case = Case::narrow_between(inside_ipv6, over_ipv6);
                set(&cloud, &case)?;
                let (a, b) = (cloud.pod("red-1"), cloud.pod("red-4"));
                for (from, to) in [(a, b), (b, a)] {
                    let mtu = case.path() - case.overhead();
                    let pause =
                        through(&case, from, to, mtu).with_context(|| format!("from {}", from.name))?;
                    println!("{case}, from {}: longest pause {pause:.0?}", from.name);
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

#[test]
fn over_ipv4() -> Result<()> {
    over(false)
}

#[test]
fn over_ipv6() -> Result<()> {
    over(true)
}
