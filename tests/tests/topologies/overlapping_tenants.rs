//! Two tenants with the same addresses on the same hosts.
//!
//! ```text
//! red-1  10.0.0.11 ┐                                     ┌ red-2  10.0.0.12
//!                  ├ h1 192.0.2.1 ────── 192.0.2.2 h2 ┤
//! blue-1 10.0.0.11 ┘                                     └ blue-2 10.0.0.12
//! ```
//! And likewise fd00:a::b and fd00:a::c; red-3 and blue-3 in second subnets, routed.

use anyhow::{Result, ensure};
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Lab, Wire, underlay};

fn intent() -> Result<Intent> {
    let mut intent = Intent::default();
    for (tenant, vni) in [("red", 100), ("blue", 200)] {
        let name = |rest: &str| format!("{tenant}-{rest}");
        intent = intent
            .tenant(tenant, vni)?
            .pod(&name("1"), &name("a"), 0, 11)?
            .pod(&name("2"), &name("a"), 1, 12)?
            .pod(&name("3"), &name("b"), 1, 13)?;
    }
    Ok(intent)
}

/// In: every pod of each tenant speaks to every other one of its tenant, saying its name, at addresses that the other
/// tenant has too. Out: the one of the same tenant answers, always; no pod ever sees a word of the other tenant's.
#[test]
fn the_same_addresses_twice() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?)?;
        let watch = cloud.watch()?;
        let mut captures = Vec::new();
        for pod in cloud.pods() {
            let other = if pod.name.starts_with("red") { "blue-" } else { "red-" };
            captures.push(pod.capture(move |packet| packet.says(other))?);
        }
        let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
        for tenant in ["red", "blue"] {
            let of_tenant = || cloud.pods().filter(|pod| pod.name.starts_with(tenant));
            for from in of_tenant() {
                for to in of_tenant().filter(|to| to.name != from.name) {
                    from.talks_to(to)?;
                }
            }
        }
        drop(servers);
        captures.into_iter().try_for_each(|capture| capture.assert_none("another tenant's words"))?;
        watch.assert_clean().map(drop)
    })
}

/// In: red-1 asks for an address that only blue has. Out: nobody answers, and nobody of blue's hears of it.
#[test]
fn what_only_the_other_tenant_has() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        cloud.deploy(&intent()?.pod("blue-4", "blue-a", 0, 14)?.pod("blue-5", "blue-a", 1, 15)?)?;
        let red = cloud.pod("red-1");
        let mut captures = Vec::new();
        for pod in cloud.pods().filter(|pod| pod.name.starts_with("blue")) {
            captures.push(pod.capture(|packet| packet.ethertype == 0x0806 || packet.says("red-1"))?);
        }
        for name in ["blue-4", "blue-5"] {
            for address in cloud.pod(name).addresses() {
                ensure!(red.namespace.udp_echo(address, "red-1").is_err(), "{address} answers red");
            }
        }
        // Those of its own tenant it reaches, over the same ways.
        red.pings(cloud.pod("red-2"))?;
        captures.into_iter().try_for_each(|capture| capture.assert_none("another tenant's packets"))
    })
}
