//! 100 MB over TCP, compared by hash, in every way that the bytes can be cut.
//!
//! ```text
//! red-1 ┐
//! red-3 ┴ h1 ─────── h2 ─ red-2
//! ```
//! Offloads of the pods and of the cable are on (super-packets travel whole) or off (each packet is cut and summed
//! before it leaves).

use anyhow::{Context as _, Result, ensure};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::{Lab, Offloads, Wire, underlay};

const BYTES: u64 = 100_000_000;

fn start(lab: &Lab, pods: Offloads, cable: Offloads) -> Result<Cloud<'_>> {
    let wire = Wire { offloads: cable, ..Wire::default() };
    let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, wire)?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-b", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?;
    cloud.deploy(&intent)?;
    if pods == Offloads::Off {
        cloud.pods().try_for_each(|pod| pod.namespace.set_offloads(POD_DEVICE, pods))?;
    }
    Ok(cloud)
}

/// In: 100 MB from red-1 to red-2 over IPv4 and back over IPv6, between hosts, with these offloads. Out: the same
/// bytes.
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn between_hosts(pods: Offloads, cable: Offloads) -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, pods, cable)?;
        let (a, b) = (cloud.pod("red-1"), cloud.pod("red-2"));
        for (from, to, address) in [(a, b, b.v4.into()), (b, a, a.v6.into())] {
            let transfer = from.namespace.transfer(&to.namespace, address, BYTES).context("between hosts")?;
            println!(
                "pods {pods:?}, cable {cable:?}, {address}: {:.2} Gbit/s",
                transfer.bits_per_second() / 1e9
            );
        }
        Ok(())
    })
}

#[test]
fn pods_on_cable_on() -> Result<()> {
    between_hosts(Offloads::On, Offloads::On)
}

#[test]
fn pods_on_cable_off() -> Result<()> {
    between_hosts(Offloads::On, Offloads::Off)
}

#[test]
fn pods_off_cable_on() -> Result<()> {
    between_hosts(Offloads::Off, Offloads::On)
}

#[test]
fn pods_off_cable_off() -> Result<()> {
    between_hosts(Offloads::Off, Offloads::Off)
}

/// In: 100 MB between two pods of one host, over each family, offloads on and off. Out: the same bytes.
#[test]
fn on_one_host() -> Result<()> {
    for pods in [Offloads::On, Offloads::Off] {
        Lab::test(|lab| {
            let cloud = start(lab, pods, Offloads::On)?;
            let (a, b) = (cloud.pod("red-1"), cloud.pod("red-3"));
            a.namespace.transfer(&b.namespace, b.v4.into(), BYTES)?;
            b.namespace.transfer(&a.namespace, a.v6.into(), BYTES)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// In: numbered datagrams over each family, many to a send call, which the kernel cuts as late as it can (UDP GSO), to
/// a pod of the same host and of the other; then as many to a call as fit into 64 KiB, which with the outer headers
/// would no longer. Out: all, whole.
#[test]
fn udp_segmentation() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, Offloads::On, Offloads::On)?;
        let from = cloud.pod("red-1");
        for to in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
            for address in to.addresses() {
                for (count, length, at_once) in [(400_u32, 1000, 40), (448, 1169, 56)] {
                    let arrived = from.namespace.segmented(&to.namespace, address, count, length, at_once)?;
                    ensure!(
                        arrived == usize::try_from(count)?,
                        "{arrived} of {count} datagrams reached {address}"
                    );
                }
            }
        }
        Ok(())
    })
}
