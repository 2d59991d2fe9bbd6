//! What must not work: VXLAN from a stranger, and a workload that lies.

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::underlay;
use weft_vxlan::{MacAddr, Vni};

use crate::report::{Report, say};

const WORD: &[u8] = b"let me in";

/// Sends both and looks for them at every workload.
pub(crate) fn run(report: &mut Report, cloud: &Cloud<'_>) -> Result<()> {
    say("\nand nobody else gets in");
    report.check("a stranger sends VXLAN into red's network", || {
        refused(cloud, DropReason::UnknownVtep, || forged(cloud))
    });
    report.check("red-1 sends as red-3 of the other host", || {
        refused(cloud, DropReason::SpoofedIp, || spoofed(cloud))
    });
    Ok(())
}

/// Does `attempt` and makes sure that h1 drops it for `reason` and that no workload but the sender sees it.
fn refused(cloud: &Cloud<'_>, reason: DropReason, attempt: impl FnOnce() -> Result<()>) -> Result<String> {
    let mut captures = Vec::new();
    for pod in cloud.pods() {
        captures.push(
            pod.capture(|packet| packet.direction == weft_tests::Direction::In && packet.says("let me in"))?,
        );
    }
    let weft = cloud.daemon(0).weft();
    let before = weft.drops(reason)?;
    attempt()?;
    let drops = weft.wait_for_drop(reason, before)?;
    for capture in captures {
        ensure!(capture.finish()?.count == 0, "it was delivered");
    }
    Ok(format!("dropped by h1: {} {}", reason.name(), drops))
}

fn forged(cloud: &Cloud<'_>) -> Result<()> {
    let (stranger, address) = cloud.underlay.stranger.as_ref().context("a stranger")?;
    let red = cloud.pod("red-1");
    let inner = Between {
        source_mac: MacAddr::new([2, 0xbb, 0, 0, 0, 1]),
        destination_mac: red.mac,
        source: cloud.pod("red-3").v4.into(),
        destination: red.v4.into(),
    };
    let outer = Between {
        source_mac: stranger.mac(underlay::UPLINK)?,
        destination_mac: cloud.underlay.routers[0].mac("port5")?,
        source: (*address).into(),
        destination: cloud.machine(0).vtep.address(),
    };
    let frame = frame::vxlan(outer, Vni::new(101)?, &frame::udp(inner, (1, 2), WORD)?)?;
    stranger.inject(underlay::UPLINK, &frame)
}

fn spoofed(cloud: &Cloud<'_>) -> Result<()> {
    let (liar, victim) = (cloud.pod("red-1"), cloud.pod("red-2"));
    let between = Between {
        source_mac: liar.mac,
        destination_mac: victim.mac,
        source: cloud.pod("red-3").v4.into(),
        destination: victim.v4.into(),
    };
    liar.namespace.inject(POD_DEVICE, &frame::udp(between, (1, 2), WORD)?)
}
