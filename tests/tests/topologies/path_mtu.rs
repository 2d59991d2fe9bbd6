//! A router in the middle of the underlay whose way on is narrower than the hosts' wires.
//!
//! ```text
//! red-1 ── h1 ── 1500 ── r ── 1400 ── h2 ── red-2
//! ```

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::underlay::{UPLINK, through_a_router};
use weft_tests::{Capture, Direction, Lab, Packet, Wire, wait_for};

const NARROW: u16 = 1400;
/// So long after the first packet that was too big the daemon knows, at the latest.
const BOUND: Duration = Duration::from_secs(5);
const ETHERNET_LEN: usize = 14;

/// In: pings of red-1 that fill the wire, in tunnels over each family. Out: the first are lost in the middle; then h1
/// knows the MTU of the way to h2, `weft status` tells it, pings that fit are answered, and no outer packet that the
/// router would refuse leaves h1 any more.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn the_mtu_of_the_way_is_learned() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| {
            let mut cloud = Cloud::start(lab, through_a_router(lab, Wire::default(), over_ipv6)?)?;
            let intent = Intent::default().tenant("red", 100)?;
            cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-a", 1, 12)?)?;
            cloud.underlay.routers[0].set_mtu("h2", NARROW.into())?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let overhead = if over_ipv6 { 70 } else { 50 };
            let payload = |outer: u16| usize::from(outer) - overhead - 28;
            let patience = Duration::from_millis(200);

            let start = Instant::now();
            wait_for(BOUND, "the MTU of the way", || {
                let full = from.namespace.ping_sized(to.v4.into(), payload(1500), patience);
                let full = full.map_err(|error| format!("{error:#}"))?;
                let status = cloud.daemon(0).weft().status().map_err(|error| format!("{error:#}"))?;
                match (status.vteps[0].mtu, full) {
                    (_, Ok(_)) => Err("a packet that is too big was answered".to_owned()),
                    (Some(NARROW), Err(_)) => Ok(()),
                    (mtu, Err(error)) => Err(format!("{mtu:?}, {error:?}")),
                }
            })?;
            println!("IPv6 below: {over_ipv6}: known {:?} after the first packet that was too big", start.elapsed());

            let too_big = |packet: &Packet| {
                packet.direction == Direction::Out
                    && packet.vxlan().is_some()
                    && packet.length > usize::from(NARROW) + ETHERNET_LEN
            };
            let wire = Capture::start(&cloud.machine(0).namespace, UPLINK, too_big)?;
            let full = from.namespace.ping_sized(to.v4.into(), payload(NARROW + 1), patience)?;
            ensure!(full.is_err(), "a packet that is too big was answered");
            let fits = from.namespace.ping_sized(to.v4.into(), payload(NARROW), BOUND)?;
            ensure!(fits.is_ok(), "a packet that fits was not answered: {fits:?}");
            wire.assert_none("outer packets that are larger than the way takes")
        })?;
    }
    Ok(())
}
