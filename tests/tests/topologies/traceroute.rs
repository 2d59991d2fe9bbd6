//! Traceroute shows the gateways that route, and the workload at the end.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                      ┌ red-2 10.0.0.12
//! red-3 10.0.1.13 ┴ h1 192.0.2.1 ─────── 192.0.2.2 h2 ┴ red-4 10.0.1.14
//! ```
//! Subnet red-a (gateway 10.0.0.1) has red-1 and red-2, red-b (gateway 10.0.1.1) red-3 and red-4.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::probe::Hop;
use weft_tests::{Lab, Wire, underlay};

fn time_exceeded(from: IpAddr) -> Hop {
    Hop { from, kind: if from.is_ipv4() { 11 } else { 3 }, code: 0 }
}

fn port_unreachable(from: IpAddr) -> Hop {
    let (kind, code) = if from.is_ipv4() { (3, 3) } else { (1, 4) };
    Hop { from, kind, code }
}

/// In: traceroute's UDP probes from red-1 with one hop more each time, over both families. Out, to red-4 on the other host
/// and in the other subnet: red-1's gateway, red-4's gateway (symmetric IRB routes at both ends), red-4. To red-3 on the
/// same host: the gateway, red-3. To red-2, switched: red-2 at once. To a gateway: that gateway at once. What ends on
/// the way is counted as dropped, and nothing of it is on the cable but in VXLAN.
#[test]
fn each_router_on_the_way_answers() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        let intent = Intent::default()
            .tenant("red", 100)?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-a", 1, 12)?
            .pod("red-3", "red-b", 0, 13)?
            .pod("red-4", "red-b", 1, 14)?;
        cloud.deploy(&intent)?;
        let watch = cloud.watch()?;
        let pod = |name| cloud.pod(name);
        let from = pod("red-1");
        for family in [0, 1] {
            let address = |name| pod(name).addresses()[family];
            let gateway = |name| pod(name).gateways()[family];
            for (to, path) in [
                (address("red-4"), vec![gateway("red-1"), gateway("red-4"), address("red-4")]),
                (address("red-3"), vec![gateway("red-1"), address("red-3")]),
                (address("red-2"), vec![address("red-2")]),
                (gateway("red-1"), vec![gateway("red-1")]),
                (gateway("red-4"), vec![gateway("red-4")]),
            ] {
                for (hops, who) in (1..).zip(&path) {
                    let expected = if *who == to { port_unreachable(*who) } else { time_exceeded(*who) };
                    let hop = from.namespace.trace(to, hops)?;
                    ensure!(hop == expected, "hop {hops} to {to}: {hop:?}, not {expected:?}");
                }
            }
        }
        // Of each family two ended at the sender's gateway, and one at the other.
        for (host, count) in [(0, 4), (1, 2)] {
            let drops = cloud.daemon(host).weft().drops(DropReason::TtlExpired)?;
            ensure!(drops == count, "{drops} packets have expired at host {host}, not {count}");
        }
        watch.assert_clean().map(drop)
    })
}
