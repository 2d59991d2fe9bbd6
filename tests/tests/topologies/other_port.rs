//! Two hosts on one cable that speak VXLAN on another UDP port than IANA's.
//!
//! ```text
//! red-1 10.0.0.11 ── h1 192.0.2.1 ─── UDP 8472 ─── 192.0.2.2 h2 ── 10.0.1.12 red-2
//! ```

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Capture, Lab, Offloads, Packet, Settings, Wire, underlay};

const PORT: u16 = 8472;
const BYTES: u64 = 20_000_000;

/// In: pings, and 20 MB over TCP in each direction over each family, in super-packets and in packets that are cut before
/// the cable. Out: all arrives, and on the cable all UDP goes to the port that was set.
#[test]
fn everything_goes_to_the_port_that_is_set() -> Result<()> {
    for offloads in [Offloads::On, Offloads::Off] {
        Lab::test(|lab| {
            let wire = Wire { offloads, ..Wire::default() };
            let set = |settings: &mut Settings| settings.udp_port = PORT;
            let mut cloud = Cloud::start_with(lab, underlay::two_hosts(lab, wire)?, set)?;
            let intent = Intent::default().tenant("red", 100)?;
            cloud.deploy(&intent.pod("red-1", "red-a", 0, 11)?.pod("red-2", "red-b", 1, 12)?)?;
            let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let goes_to = |port: u16| {
                move |packet: &Packet| {
                    packet.ip.as_ref().and_then(|ip| ip.ports).is_some_and(|ports| ports.1 == port)
                }
            };
            let cable = &cloud.machine(1).namespace;
            let right = Capture::start(cable, underlay::UPLINK, goes_to(PORT))?;
            let wrong = Capture::start(cable, underlay::UPLINK, goes_to(weft_vxlan::UDP_PORT))?;
            a.pings(b)?;
            for (from, to) in [(a, b), (b, a)] {
                for address in to.addresses() {
                    from.namespace.transfer(&to.namespace, address, BYTES)?;
                }
            }
            ensure!(right.finish()?.count > 0, "no VXLAN was on the cable");
            wrong.assert_none("VXLAN for the port that was not set")
        })?;
    }
    Ok(())
}
