//! XDP on both uplinks of two hosts, over which flows are spread.
//!
//! ```text
//!             ┌ up0 ── r1 ── up0 ┐
//! red-1 ─ h1 XDP               XDP h2 ─ red-2
//!             └ up1 ── r2 ── up1 ┘
//! ```
//! Wires are like real ones, as in `xdp.rs`.

use anyhow::{Context as _, Result, ensure};
use weft_api::view::Xdp;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::Cloud;
use weft_tests::frame::{self, Between};
use weft_tests::underlay::{SECOND_UPLINK, UPLINK};
use weft_tests::{Capture, Direction, Lab, Offloads, PATIENCE, Packet, Wire, wait_for, wait_until};
use weft_vxlan::Vni;

use crate::ecmp;

const WIRE: Wire = Wire { mtu: 1500, offloads: Offloads::Off };
const UPLINKS: [&str; 2] = [UPLINK, SECOND_UPLINK];
const FLOWS: usize = 64;
/// A fair coin gives less of so many flows once in 10^10 runs.
const FEWEST: u64 = 8;

fn start(lab: &Lab, over_ipv6: bool, xdp: Xdp) -> Result<Cloud<'_>> {
    let cloud = ecmp::start(lab, WIRE, over_ipv6, xdp)?;
    for daemon in cloud.daemons() {
        wait_for(PATIENCE, "XDP on both uplinks", || {
            let states = daemon.weft().status().map_err(|error| format!("{error:#}"))?.xdp;
            let devices: Vec<_> = states.iter().map(|state| state.device.as_str()).collect();
            let as_asked = states.iter().all(|state| state.effective == xdp && state.native);
            if devices == UPLINKS && as_asked { Ok(()) } else { Err(format!("{states:#?}")) }
        })?;
        let text = daemon.weft().must(&["status"])?;
        for device in UPLINKS {
            let line = format!("XDP        {device}: {xdp}, native ({xdp}: as configured)");
            ensure!(text.lines().any(|told| told == line), "no line {line:?} in:\n{text}");
        }
    }
    Ok(cloud)
}

/// VXLAN in one direction on each uplink of a host, as far as skbs are made of it.
fn vxlan(cloud: &Cloud<'_>, host: usize, direction: Direction) -> Result<[Capture; 2]> {
    let on = |device| {
        let wanted = move |packet: &Packet| packet.direction == direction && packet.vxlan().is_some();
        Capture::start(&cloud.machine(host).namespace, device, wanted)
    };
    Ok([on(UPLINK)?, on(SECOND_UPLINK)?])
}

/// In: 64 flows between two pods, over an underlay of each family, in each mode. Out: all are answered, each uplink
/// carries some, and with `forward` the receiver's kernel makes an skb of none, on neither.
#[test]
fn data_arrives_over_both_uplinks() -> Result<()> {
    for (over_ipv6, xdp) in [(false, Xdp::Guard), (false, Xdp::Forward), (true, Xdp::Forward)] {
        Lab::test(|lab| {
            let cloud = start(lab, over_ipv6, xdp)?;
            let (from, to) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let server = to.serve()?;
            let (sent, skbs) = (vxlan(&cloud, 0, Direction::Out)?, vxlan(&cloud, 1, Direction::In)?);
            for _ in 0..FLOWS {
                from.namespace.udp_echo(to.v4.into(), "hello")?;
            }
            drop(server);
            for ((sent, skbs), device) in sent.into_iter().zip(skbs).zip(UPLINKS) {
                let sent = sent.finish()?.count;
                ensure!(sent >= FEWEST, "XDP {xdp}: {sent} packets through {device}");
                if xdp == Xdp::Forward {
                    skbs.assert_none("an skb was made of what XDP should have delivered")?;
                } else {
                    ensure!(skbs.count() >= FEWEST, "XDP {xdp}: {} packets by {device}", skbs.count());
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// In: with each mode, VXLAN from nobody's address, on each uplink. Out: it is counted, and no skb is made of it.
#[test]
fn strangers_end_before_there_is_an_skb_on_both_uplinks() -> Result<()> {
    for xdp in [Xdp::Guard, Xdp::Forward] {
        Lab::test(|lab| {
            let cloud = start(lab, false, xdp)?;
            let (here, weft) = (cloud.machine(0), cloud.daemon(0).weft());
            let (pod, peer) = (cloud.pod("red-1"), cloud.pod("red-2"));
            let inside = Between {
                source_mac: peer.mac,
                destination_mac: pod.mac,
                source: peer.v4.into(),
                destination: pod.v4.into(),
            };
            let inner = frame::udp(inside, (1000, 2000), b"forged")?;
            for (router, uplink) in cloud.underlay.routers.iter().zip(UPLINKS) {
                let outside = Between {
                    source_mac: router.mac("h1")?,
                    destination_mac: here.namespace.mac(uplink)?,
                    source: "192.0.2.99".parse()?,
                    destination: here.vtep.address(),
                };
                let forged = frame::vxlan(outside, Vni::new(101)?, &inner)?;
                let plain = frame::udp(outside, (1000, 4790), b"no VXLAN")?;
                let says = |word: &'static str| {
                    let wanted =
                        move |packet: &Packet| packet.direction == Direction::In && packet.says(word);
                    Capture::start(&here.namespace, uplink, wanted)
                };
                let (skbs, behind) = (says("forged")?, says("no VXLAN")?);
                let before = weft.drops(DropReason::UnknownVtep)?;
                router.inject("h1", &forged)?;
                weft.wait_for_drop(DropReason::UnknownVtep, before)
                    .with_context(|| format!("{uplink} with XDP {xdp}"))?;
                // When it is seen, all that there was before it is.
                router.inject("h1", &plain)?;
                wait_until(PATIENCE, "the datagram that is no VXLAN", || behind.count() == 1)?;
                skbs.assert_none(&format!("{uplink} with XDP {xdp}: an skb was made of forged VXLAN"))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
