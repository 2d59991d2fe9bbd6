//! A workload with two NICs, in two subnets.
//!
//! ```text
//!        eth0 10.0.0.11 (red-a) ┐             ┌ red-2 10.0.0.12 (red-a)
//! red-1                         ├ h1 ─── h2 ┤
//!        eth1 10.0.1.14 (red-b) ┘             └ red-3 10.0.1.13 (red-b)
//! ```

use std::fs;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::{Direction, Lab, Wire, underlay};

const SECOND: &str = "eth1";
const DOCUMENT: &str = "kind: port\nname: red-1-b\nsubnet: red-b\naddresses: [10.0.1.14, \"fd00:b::e\"]\n";

/// In: a second port is attached to the namespace of the first, as another device; pings to neighbours of both subnets.
/// Then the second is detached. Out: nothing fails, the default routes stay those of the first NIC, pings to each
/// neighbour arrive from the address of the NIC in its subnet, and the first NIC never notices that the second goes.
#[test]
fn each_nic_is_of_its_own_subnet() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
        cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?.pod("red-3", "red-b", 1, 13)?)?;
        let (pod, near, far) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
        let defaults = |of: &str| -> Result<usize> {
            let index = pod.namespace.link(of)?.index;
            let routes = pod.namespace.routes()?;
            Ok(routes.iter().filter(|it| it.gateway.is_some() && it.device == Some(index)).count())
        };
        ensure!(defaults(POD_DEVICE)? == 2);

        let weft = cloud.daemon(0).weft();
        let file = lab.folder().join("second.yaml");
        fs::write(&file, DOCUMENT)?;
        weft.must(&["apply", "-f", &file.to_string_lossy()])?;
        let netns = pod.namespace.path().to_string_lossy();
        weft.must(&["port", "attach", "red-1-b", "--netns", &netns, "--device", SECOND])?;
        pod.namespace.wait_until_running(SECOND)?;
        cloud.wait_until_up()?;
        ensure!(defaults(POD_DEVICE)? == 2, "{:?}", pod.namespace.routes()?);

        // h2 learns of the new NIC.
        let there = cloud.daemon(1).weft();
        let mac = pod.namespace.mac(SECOND)?;
        let vtep = cloud.machine(0).vtep;
        let mut remote = format!("kind: remote\nname: h1\nvtep: {vtep}\naddresses:\n");
        for (subnet, address, mac) in [
            ("red-a", IpAddr::V4(pod.v4), pod.mac),
            ("red-a", IpAddr::V6(pod.v6), pod.mac),
            ("red-b", "10.0.1.14".parse()?, mac),
            ("red-b", "fd00:b::e".parse()?, mac),
        ] {
            remote += &format!("  - {{subnet: {subnet}, address: \"{address}\", mac: \"{mac}\"}}\n");
        }
        fs::write(&file, remote)?;
        there.must(&["apply", "-f", &file.to_string_lossy()])?;

        let second: [IpAddr; 2] = ["10.0.1.14".parse()?, "fd00:b::e".parse()?];
        for (neighbour, own) in [(near, pod.addresses()), (far, second)] {
            for (to, from) in neighbour.addresses().into_iter().zip(own) {
                let arrived = neighbour.capture(move |packet| {
                    let ip = packet.ip.as_ref();
                    packet.direction == Direction::In
                        && ip.is_some_and(|ip| ip.source == from && ip.destination == to)
                })?;
                pod.pings_address(to)?;
                ensure!(arrived.finish()?.count > 0, "{to} was not pinged from {from}");
            }
        }

        weft.must(&["port", "detach", "red-1-b"])?;
        ensure!(pod.namespace.link(SECOND).is_err(), "{SECOND} is left");
        ensure!(defaults(POD_DEVICE)? == 2, "{:?}", pod.namespace.routes()?);
        pod.pings(near)
    })
}
