//! How soon a port is known at the other hosts.
//!
//! ```text
//! h1 reflector ──┐
//!                ├ sw ── h3
//! h2 ────────────┘
//! ```

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Fabric, Intent, KernelHosts};
use weft_tests::{Lab, PATIENCE, Wire, underlay, wait_closely};
use weft_vxlan::Vni;

/// How many ports are made, one after the other, on each host in turn.
const PORTS: usize = 50;
/// From the answer to the command that attaches a port until the kernels of all hosts have routes to it.
const PROMPT: Duration = Duration::from_millis(100);

/// In: 50 ports, attached one after the other. Out: each is in the kernels of all hosts within 100 ms of the
/// command's answer (the median; the longest time is told).
#[test]
fn a_port_is_known_everywhere_at_once() -> Result<()> {
    Lab::test(|lab| {
        let below = underlay::three_hosts(lab, Wire::default())?;
        let mut cloud = Cloud::start_evpn(lab, below, |vteps| Fabric::reflector(vteps, 0))?;
        let mut intent = Intent::default().tenant("red", 100)?;
        for host in 0..3 {
            intent = intent.pod(&format!("red-{host}"), "red-b", host, 11 + u8::try_from(host)?)?;
        }
        cloud.deploy(&intent)?;
        let tables = (0..3).map(|host| cloud.kernel_hosts(host)).collect::<Result<Vec<_>>>()?;
        let network = Vni::new(100)?;
        let (mut times, mut with_command) = (Vec::new(), Vec::new());
        for number in 0..PORTS {
            let (name, host) = (format!("port-{number}"), number % 3);
            let nth = 20 + u8::try_from(number)?;
            intent = intent.pod(&name, "red-a", host, nth)?;
            cloud.tell(host, &intent)?;
            let begun = Instant::now();
            cloud.attach_one(&intent, &name)?;
            let attached = Instant::now();
            let addresses = cloud.pod(&name).addresses();
            wait_closely(PATIENCE, "the port in all kernels", || {
                let has = |(table, address): (&KernelHosts, _)| table.has(network, address);
                let all = tables.iter().flat_map(|table| addresses.map(|address| (table, address)));
                all.map(has).try_fold(true, |all, one| Ok(all && one?))
            })?;
            times.push(attached.elapsed());
            with_command.push(begun.elapsed());
        }
        times.sort();
        with_command.sort();
        for (what, times) in [("after", &times), ("with", &with_command)] {
            let (median, longest) = (times[PORTS / 2], times[PORTS - 1]);
            println!(
                "{PORTS} ports in all kernels {what} the command: median {median:?}, longest {longest:?}"
            );
        }
        let median = times[PORTS / 2];
        ensure!(median < PROMPT, "{times:?}");
        Ok(())
    })
}
