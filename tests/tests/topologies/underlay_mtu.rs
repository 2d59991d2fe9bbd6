//! A router in the middle of the underlay whose way on is narrower than the hosts' wires.
//!
//! ```text
//! red-1 ── h1 ── 1500 ── r ── 1400 ── h2 ── red-2
//! ```

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ipnet::IpNet;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::underlay::{UPLINK, through_a_router};
use weft_tests::{Capture, Direction, Lab, PATIENCE, Packet, Wire, wait_for, wait_until};

/// MTUs of the narrow wire, one after the other.
const NARROW: [u16; 2] = [1400, 1350];
/// So long after the first packet that was too big the daemon knows, at the latest.
const BOUND: Duration = Duration::from_secs(5);
const ETHERNET_LEN: usize = 14;

/// In: pings of red-1 that fill the wire, in tunnels over each family, on a host where nothing else happens. Out: the first
/// are lost in the middle; then h1 knows the MTU of the way to h2, `weft status` tells it, pings that fit are answered,
/// and no outer packet that the router would refuse leaves h1 any more. All that again when the way gets narrower still.
#[test]
fn the_mtu_of_the_way_is_learned() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let mut cloud = Cloud::start(lab, through_a_router(lab, Wire::default(), over_ipv6)?)?;
            let intent = Intent::default().tenant("red", 100)?;
            cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
            NARROW.into_iter().try_for_each(|mtu| learns(&cloud, mtu, if over_ipv6 { 70 } else { 50 }))
        })?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn learns(cloud: &Cloud<'_>, narrow: u16, overhead: usize) -> Result<()> {
    // Nothing but the router's words shall make h1 look.
    wait_for(PATIENCE, "h1 to rest", || {
        let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
        let rested = status.checked_seconds_ago;
        if rested >= 2 { Ok(()) } else { Err(format!("{rested} seconds")) }
    })?;
    let before = usize::from(cloud.daemon(0).weft().status()?.vteps[0].mtu.unwrap_or_default());
    cloud.underlay.routers[0].set_mtu("h2", narrow.into())?;
    let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
    let payload = |outer: usize| outer - overhead - 28;
    let known = usize::from(narrow);
    let patience = Duration::from_millis(200);

    let start = Instant::now();
    wait_for(BOUND, "the MTU of the way", || {
        let full = from.namespace.ping_sized(to.v4.into(), payload(before), patience);
        let full = full.map_err(|error| format!("{error:#}"))?;
        let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
        match (status.vteps[0].mtu, full) {
            (_, Ok(_)) => Err("a packet that is too big was answered".to_owned()),
            (Some(mtu), Err(_)) if mtu == narrow => Ok(()),
            (mtu, Err(error)) => Err(format!("{mtu:?}, {error:?}")),
        }
    })?;
    println!(
        "{overhead} bytes of overhead: {narrow} known {:?} after the first packet that was too big",
        start.elapsed()
    );

    let too_big = move |packet: &Packet| {
        packet.direction == Direction::Out && packet.vxlan().is_some() && packet.length > known + ETHERNET_LEN
    };
    let wire = Capture::start(&cloud.machine(0).namespace, UPLINK, too_big)?;
    let full = from.namespace.ping_sized(to.v4.into(), payload(known + 1), patience)?;
    ensure!(full.is_err(), "a packet that is too big was answered");
    let fits = from.namespace.ping_sized(to.v4.into(), payload(known), BOUND)?;
    ensure!(fits.is_ok(), "a packet that fits was not answered: {fits:?}");
    wire.assert_none("outer packets that are larger than the way takes")
}

/// In: the narrow way is learned, and grows wide again; h1's kernel forgets what it learned, here after three seconds, and
/// something changes in it. Out: h1 knows that the way is wide.
#[test]
fn a_way_that_grew_wide_is_found_wide() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let mut cloud = Cloud::start(lab, through_a_router(lab, Wire::default(), over_ipv6)?)?;
            let intent = Intent::default().tenant("red", 100)?;
            cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
            let host = &cloud.machine(0).namespace;
            host.sysctl(if over_ipv6 { "ipv6/route/mtu_expires" } else { "ipv4/route/mtu_expires" }, "3")?;
            cloud.underlay.routers[0].set_mtu("h2", NARROW[0].into())?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let mtu = || -> Result<Option<u16>> { Ok(cloud.daemon(0).weft().status()?.vteps[0].mtu) };
            let fills = 1500 - if over_ipv6 { 70 } else { 50 } - 28;
            wait_until(BOUND, "the narrow way to be known", || {
                drop(from.namespace.ping_sized(to.v4.into(), fills, Duration::from_millis(200)));
                mtu().is_ok_and(|mtu| mtu == Some(NARROW[0]))
            })?;
            cloud.underlay.routers[0].set_mtu("h2", 1500)?;
            let mut nudges = 1..=u8::MAX;
            wait_until(PATIENCE, "the wide way to be known", || {
                let address = IpNet::from(IpAddr::from([203, 0, 113, nudges.next().unwrap_or_default()]));
                drop(host.add_address("lo", address));
                mtu().is_ok_and(|mtu| mtu == Some(1500))
            })?;
            let full = from.namespace.ping_sized(to.v4.into(), fills, BOUND)?;
            ensure!(full.is_ok(), "a packet that fits was not answered: {full:?}");
            Ok(())
        })?;
    }
    Ok(())
}
