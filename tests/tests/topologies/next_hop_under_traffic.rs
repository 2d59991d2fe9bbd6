//! The way to another host changes under traffic.
//!
//! ```text
//!            ┌ up0 ── r1 ── up0 ┐
//! red-1 ─ h1                      h2 ─ red-2
//!            └ up1 ── r2 ── up1 ┘
//! ```
//! One route at a time leads from h1 to h2. A change that leaves the old way usable loses no packet; an outage ends within
//! [`BOUND`] after h1's kernel knows better: within a few hundredths of a second, if the machine has time for weftd.

use std::time::Duration;

use anyhow::{Result, ensure};
use ipnet::IpNet;
use weft_tests::cloud::{Cloud, Intent, Pod};
use weft_tests::probe::Steady;
use weft_tests::underlay::{SECOND_UPLINK, UPLINK, gateways, two_uplinks};
use weft_tests::{Lab, PATIENCE, Wire, wait_for};
use weft_vxlan::MacAddr;

const BOUND: Duration = Duration::from_secs(3);
/// Datagrams a second.
const RATE: u32 = 500;

fn start(lab: &Lab, over_ipv6: bool) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, two_uplinks(lab, Wire::default(), over_ipv6)?)?;
    for (number, here, there) in [(1, 0, 1), (2, 1, 0)] {
        let vtep = IpNet::from(cloud.machine(there).vtep.address());
        cloud.machine(here).namespace.add_route(vtep, gateways(number, over_ipv6)?[0])?;
    }
    let intent = Intent::default().tenant("red", 100)?;
    cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
    wait_for_next_hop(&cloud, UPLINK, cloud.underlay.routers[0].mac("h1")?)?;
    Ok(cloud)
}

/// Waits until h1 sends to h2 through this device and to this MAC.
fn wait_for_next_hop(cloud: &Cloud<'_>, device: &str, mac: MacAddr) -> Result<()> {
    wait_for(PATIENCE, &format!("next hop {mac} on {device}"), || {
        let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
        let vtep = cloud.machine(1).vtep;
        let found = status.vteps.iter().filter(|it| it.vtep == vtep).any(|it| {
            it.next_hops.len() == 1 && it.next_hops[0].device == device && it.next_hops[0].mac == Some(mac)
        });
        if found { Ok(()) } else { Err(format!("{:#?}", status.vteps)) }
    })
}

/// Does something under traffic between the pods; how many datagrams are lost, and the longest gap.
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn under_traffic(
    what: &str,
    from: &Pod,
    to: &Pod,
    change: impl FnOnce() -> Result<()>,
) -> Result<(u64, Duration)> {
    let flow = Steady::udp(&from.namespace, &to.namespace, to.v4.into(), RATE)?;
    flow.wait_for_more(u64::from(RATE) / 5)?;
    change()?;
    flow.wait_for_more(u64::from(RATE) / 5)?;
    let tally = flow.stop()?;
    let (lost, gap) = (tally.lost(), tally.longest_gap);
    println!("{what}: {lost} of {} lost, longest gap {gap:?}", tally.sent);
    Ok((lost, gap))
}

/// In: the route is moved to the other router, whose neighbour entry is not there yet, and back; the next hop's neighbour
/// entry is removed; over an underlay of each family. Out: no datagram is lost.
#[test]
fn what_leaves_the_old_way_usable_loses_nothing() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let cloud = start(lab, over_ipv6)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let host = &cloud.machine(0).namespace;
            let vtep = IpNet::from(cloud.machine(1).vtep.address());
            let [first, second] = gateways(1, over_ipv6)?;
            let routers = [0, 1].map(|router: usize| cloud.underlay.routers[router].mac("h1"));
            let [r1, r2] = routers;
            let (r1, r2) = (r1?, r2?);
            for (what, gateway, device, mac) in
                [("moved route", second, SECOND_UPLINK, r2), ("moved back", first, UPLINK, r1)]
            {
                let (lost, _) = under_traffic(what, from, to, || {
                    host.replace_route(vtep, &[gateway])?;
                    wait_for_next_hop(&cloud, device, mac)
                })?;
                ensure!(lost == 0, "{what}: {lost} lost");
            }
            let (lost, _) = under_traffic("removed neighbour", from, to, || {
                host.delete_neighbour(UPLINK, first)?;
                // It is resolved anew, and kept so.
                wait_for(PATIENCE, "the neighbour", || {
                    let held = host.neighbours().map_err(|error| format!("{error:#}"))?;
                    let back = held.iter().any(|held| held.address == first && held.mac == Some(r1));
                    if back { Ok(()) } else { Err(format!("{held:#?}")) }
                })?;
                wait_for_next_hop(&cloud, UPLINK, r1)
            })?;
            ensure!(lost == 0, "removed neighbour: {lost} lost");
            Ok(())
        })?;
    }
    Ok(())
}

/// In: the router's MAC changes, and it says so; once with a host on which all is well, once while something else of its
/// intent cannot be had, which is tried again ever more slowly. Out: an outage below [`BOUND`] both times.
#[test]
fn a_changed_gateway_is_followed_whatever_else_fails() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let cloud = start(lab, over_ipv6)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let router = &cloud.underlay.routers[0];
            router.sysctl("ipv4/conf/h1/arp_notify", "1")?;
            router.sysctl("ipv6/conf/h1/ndisc_notify", "1")?;
            for (last, failing) in [(1, false), (2, true)] {
                if failing {
                    fail(&cloud)?;
                }
                let what = format!("changed gateway, IPv6 below: {over_ipv6}, something fails: {failing}");
                let mac = MacAddr::new([2, 0xfe, 0, 0, 0, last]);
                let (_, gap) = under_traffic(&what, from, to, || {
                    router.set_mac("h1", mac)?;
                    wait_for_next_hop(&cloud, UPLINK, mac)
                })?;
                ensure!(gap < BOUND, "{what}: {gap:?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Gives h1 an intent that cannot be had, and waits until it has failed several times: a remote whose VTEP is an address
/// of its own.
fn fail(cloud: &Cloud<'_>) -> Result<()> {
    let own = cloud.machine(0).namespace.addresses(UPLINK)?;
    let own = own.iter().map(IpNet::addr).find(|address| {
        address.is_ipv4() == cloud.machine(0).vtep.address().is_ipv4()
            && weft_vxlan::Vtep::new(*address).is_ok()
    });
    let Some(own) = own else { anyhow::bail!("h1 has no address on {UPLINK}") };
    let file = cloud.lab().folder().join("fails.yaml");
    std::fs::write(
        &file,
        format!(
            "kind: remote\nname: nobody\nvtep: \"{own}\"\naddresses:\n  \
             - {{subnet: red-a, address: 10.0.0.99, mac: \"02:00:00:00:00:99\"}}\n"
        ),
    )?;
    let weft = cloud.daemon(0).weft();
    // It is stored all the same, and the command says that the kernel is not as intended.
    drop(weft.run(&["apply", "-f", &file.to_string_lossy()])?);
    wait_for(PATIENCE, "a failure", || {
        let status = weft.status().map_err(|error| format!("{error:#}"))?;
        if status.failures.is_empty() { Err("all is well".to_owned()) } else { Ok(()) }
    })
}

/// In: the uplink goes down, and with it the route; it comes up, and the route is added again. Out: datagrams arrive
/// within [`BOUND`] after the route is there.
#[test]
fn an_uplink_that_went_down_and_came_up_is_used_again() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, false)?;
        let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let host = &cloud.machine(0).namespace;
        let vtep = IpNet::from(cloud.machine(1).vtep.address());
        let [gateway, _] = gateways(1, false)?;
        host.set_up(UPLINK, false)?;
        wait_for(PATIENCE, "the route to be gone", || {
            let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
            if status.vteps[0].next_hops.is_empty() { Ok(()) } else { Err(format!("{:#?}", status.vteps)) }
        })?;
        let flow = Steady::udp(&from.namespace, &to.namespace, to.v4.into(), RATE)?;
        host.set_up(UPLINK, true)?;
        host.wait_until_running(UPLINK)?;
        ensure!(flow.answered() == 0, "datagrams arrive without a route");
        host.replace_route(vtep, &[gateway])?;
        let start = std::time::Instant::now();
        flow.wait_for_more(1)?;
        let outage = start.elapsed();
        println!("uplink back: the first datagram arrives {outage:?} after the route");
        ensure!(outage < BOUND, "{outage:?}");
        wait_for_next_hop(&cloud, UPLINK, cloud.underlay.routers[0].mac("h1")?)?;
        flow.wait_for_more(u64::from(RATE) / 5)?;
        flow.stop().map(drop)
    })
}
