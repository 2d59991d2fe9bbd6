//! Two uplinks to each of two routers, over which flows are spread.
//!
//! ```text
//!            ┌ up0 ── r1 ── up0 ┐
//! red-1 ─ h1                      h2 ─ red-2
//!            └ up1 ── r2 ── up1 ┘
//! ```

use std::time::Duration;

use anyhow::{Result, ensure};
use ipnet::IpNet;
use weft_api::view::Xdp;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Steady;
use weft_tests::underlay::{SECOND_UPLINK, UPLINK, gateways, two_uplinks};
use weft_tests::{Capture, Direction, Lab, PATIENCE, Packet, Weftd, Wire, wait_for};

/// An outage ends so long after the kernel knows of it, at the latest.
const BOUND: Duration = Duration::from_secs(3);

/// Both hosts reach each other over both uplinks, and their daemons have found the way.
pub(crate) fn start(lab: &Lab, wire: Wire, over_ipv6: bool, xdp: Xdp) -> Result<Cloud<'_>> {
    let underlay = two_uplinks(lab, wire, over_ipv6)?;
    let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.xdp = xdp)?;
    for (number, here, there) in [(1, 0, 1), (2, 1, 0)] {
        let vtep = IpNet::from(cloud.machine(there).vtep.address());
        cloud.machine(here).namespace.replace_route(vtep, &gateways(number, over_ipv6)?)?;
    }
    let intent = Intent::default().tenant("red", 100)?;
    cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
    wait_for_uplinks(cloud.daemons(), 2)?;
    Ok(cloud)
}

/// Waits until the hosts send through so many uplinks.
fn wait_for_uplinks(daemons: &[Weftd], uplinks: usize) -> Result<()> {
    daemons.iter().try_for_each(|daemon| {
        wait_for(PATIENCE, "next hops", || {
            let status = daemon.weft().status().map_err(|error| format!("{error:#}"))?;
            let resolved = status.vteps[0].next_hops.iter().filter(|hop| hop.mac.is_some()).count();
            if resolved == uplinks { Ok(()) } else { Err(format!("{:#?}", status.vteps)) }
        })
    })
}

fn vxlan_out(cloud: &Cloud<'_>, device: &str) -> Result<Capture> {
    let is_sent = |packet: &Packet| packet.direction == Direction::Out && packet.vxlan().is_some();
    Capture::start(&cloud.machine(0).namespace, device, is_sent)
}

/// In: 64 flows between two pods, over an underlay of each family. Out: all are answered, and each uplink carries some.
#[test]
fn flows_use_both_uplinks() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let cloud = start(lab, Wire::default(), over_ipv6, Xdp::Auto)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let server = to.serve()?;
            let captures = [vxlan_out(&cloud, UPLINK)?, vxlan_out(&cloud, SECOND_UPLINK)?];
            for _ in 0..64 {
                from.namespace.udp_echo(to.v4.into(), "hello")?;
            }
            drop(server);
            let [first, second] = captures.map(|capture| capture.finish().map(|caught| caught.count));
            let (first, second) = (first?, second?);
            println!("of 64 flows, IPv6 below: {over_ipv6}: {first} through up0, {second} through up1");
            // A fair coin gives less than 8 of 64 once in 10^10 runs.
            ensure!(first >= 8 && second >= 8, "{first} and {second}");
            Ok(())
        })?;
    }
    Ok(())
}

/// In: eight flows of 100 datagrams a second; an uplink loses its carrier, and comes back. Out: an outage of less than
/// [`BOUND`] at the loss, for some flows; none at the return.
#[test]
fn a_lost_uplink_is_done_without() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let cloud = start(lab, Wire::default(), over_ipv6, Xdp::Auto)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let router = &cloud.underlay.routers[0];
            for (up, most) in [(false, BOUND), (true, Duration::ZERO)] {
                let flows = (0..8)
                    .map(|_| Steady::udp(&from.namespace, &to.namespace, to.v4.into(), 100))
                    .collect::<Result<Vec<_>>>()?;
                flows.iter().try_for_each(|flow| flow.wait_for_more(20))?;
                router.set_up("h1", up)?;
                if up && over_ipv6 {
                    // It went with the link.
                    router.add_address("h1", "2001:db8:1::1/64".parse()?)?;
                }
                wait_for_uplinks(&cloud.daemons()[..1], if up { 2 } else { 1 })?;
                flows.iter().try_for_each(|flow| flow.wait_for_more(20))?;
                let tallies = flows.into_iter().map(Steady::stop).collect::<Result<Vec<_>>>()?;
                let lost: u64 = tallies.iter().map(|tally| tally.lost()).sum();
                let sent: u64 = tallies.iter().map(|tally| tally.sent).sum();
                let gap = tallies.iter().map(|tally| tally.longest_gap).max().unwrap_or_default();
                println!(
                    "IPv6 below: {over_ipv6}, uplink up: {up}: {lost} of {sent} lost, longest gap {gap:?}"
                );
                ensure!(gap < BOUND && (most > Duration::ZERO || lost == 0), "{tallies:#?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}
