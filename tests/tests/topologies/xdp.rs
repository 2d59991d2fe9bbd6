//! XDP on the underlay devices of two hosts on one cable.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                    ┌ red-2 10.0.0.12
//!                 ├ h1 up0 192.0.2.1 ── 192.0.2.2 up0 h2 ┤
//! red-3 10.0.1.13 ┘      XDP                     XDP   └ red-4 10.0.1.14
//! ```
//! The cable does what a real one does: what travels on it is cut to the MTU and has its checksums, where XDP is to
//! deliver. XDP has no place for a checksum that is still to be computed.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_api::view::{ChecksumStatus, Workaround, Xdp};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::frame::{self, Between};
use weft_tests::probe::Steady;
use weft_tests::{Capture, Direction, Lab, Offloads, PATIENCE, Packet, Wire, underlay, wait_for};
use weft_vxlan::Vni;

const BYTES: u64 = 30_000_000;
const WORD: &str = "forged";
const PLAIN: &str = "no VXLAN";
const WIRE: Wire = Wire { mtu: 1500, offloads: Offloads::Off };

fn start(lab: &Lab, wire: Wire, xdp: Xdp) -> Result<Cloud<'_>> {
    let underlay = underlay::two_hosts(lab, wire)?;
    let mut cloud = Cloud::start_with(lab, underlay, |settings| settings.xdp = xdp)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-b", 0, 13)?
        .pod("red-4", "red-b", 1, 14)?;
    cloud.deploy(&intent)?;
    for daemon in cloud.daemons() {
        let states = daemon.weft().status()?.xdp;
        let native = xdp != Xdp::Off;
        let as_asked = |state: &weft_api::view::XdpStatus| state.effective == xdp && state.native == native;
        ensure!(states.len() == 1 && states.iter().all(as_asked), "{states:#?}");
    }
    Ok(cloud)
}

/// VXLAN that arrives on a host's underlay device and gets an skb.
fn arriving(cloud: &Cloud<'_>, host: usize) -> Result<Capture> {
    let is_vxlan = |packet: &Packet| packet.direction == Direction::In && packet.vxlan().is_some();
    Capture::start(&cloud.machine(host).namespace, underlay::UPLINK, is_vxlan)
}

/// In: ping, UDP, TCP and 30 MB by hash between all pods of different hosts, over both families, switched and routed;
/// the hosts ping each other beside the tunnels. Out: all answers, the same bytes.
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn everybody_talks(cloud: &Cloud<'_>, wire: Wire, xdp: Xdp) -> Result<()> {
    let servers = cloud.pods().map(|pod| pod.serve()).collect::<Result<Vec<_>>>()?;
    for from in cloud.pods() {
        for to in cloud.pods().filter(|to| to.host != from.host) {
            from.talks_to(to)?;
        }
    }
    drop(servers);
    for (from, to) in [(0, 1), (1, 0)] {
        let address = cloud.machine(to).vtep.address();
        let answer = cloud.machine(from).namespace.ping(address)?;
        ensure!(answer.is_ok(), "ping to {address} beside the tunnels: {answer:?}");
    }
    let (a, b, c) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-4"));
    for (from, to, address) in [(a, b, IpAddr::V4(b.v4)), (b, a, a.v6.into()), (a, c, c.v4.into())] {
        let transfer = from.namespace.transfer(&to.namespace, address, BYTES)?;
        let speed = transfer.bits_per_second() / 1e9;
        println!("XDP {xdp}, {wire:?}, {address}: {speed:.2} Gbit/s");
    }
    Ok(())
}

/// Out, besides: without `forward`, tunnels' packets get an skb; with it none does.
fn in_mode(wire: Wire, xdp: Xdp) -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, wire, xdp)?;
        let arrivals = [arriving(&cloud, 0)?, arriving(&cloud, 1)?];
        everybody_talks(&cloud, wire, xdp)?;
        for arrivals in arrivals {
            if xdp == Xdp::Forward && wire.mtu == WIRE.mtu {
                arrivals.assert_none("an skb was made of what XDP should have delivered")?;
            } else {
                ensure!(arrivals.count() > 0, "nothing came through the tunnel");
            }
        }
        Ok(())
    })
}

#[test]
fn off_delivers() -> Result<()> {
    in_mode(WIRE, Xdp::Off)
}

#[test]
fn guard_passes_what_may_come_in() -> Result<()> {
    in_mode(WIRE, Xdp::Guard)
}

/// Checksums that a sender in the same machine left to be computed stay so.
#[test]
fn guard_keeps_offloads() -> Result<()> {
    in_mode(Wire::default(), Xdp::Guard)
}

#[test]
fn forward_delivers_before_there_is_an_skb() -> Result<()> {
    in_mode(WIRE, Xdp::Forward)
}

/// Frames larger than a page come in pieces, which TC delivers.
#[test]
fn forward_leaves_large_frames_to_tc() -> Result<()> {
    in_mode(Wire { mtu: 9000, ..WIRE }, Xdp::Forward)
}

/// In: the same on a cable that leaves checksums to be computed, where the hosts deliver by XDP, which has no place for
/// them. Out: the self-test of each host finds that out, the host computes them, and everybody talks.
#[test]
fn forward_where_senders_leave_checksums() -> Result<()> {
    Lab::test(|lab| {
        let wire = Wire::default();
        let cloud = start(lab, wire, Xdp::Forward)?;
        for daemon in cloud.daemons() {
            wait_for(PATIENCE, "damage to be found and worked around", || {
                let vteps = daemon.weft().status().map_err(|error| format!("{error:#}"))?.vteps;
                let found = vteps.iter().filter_map(|vtep| vtep.checksums.as_ref());
                let verified = |found: &ChecksumStatus| found.workaround == Some(Workaround::Verified);
                if found.clone().count() > 0 && found.clone().all(verified) {
                    Ok(())
                } else {
                    Err(format!("{vteps:?}"))
                }
            })?;
        }
        everybody_talks(&cloud, wire, Xdp::Forward)
    })
}

/// In: with each mode, VXLAN to h1 from nobody's address, and into a VNI that h1 has not; and a datagram that is no
/// VXLAN. Out: the first two are counted under their reasons and reach no pod; with XDP no skb is made of them, without
/// it one is. The datagram gets its skb always.
#[test]
fn strangers_end_before_there_is_an_skb() -> Result<()> {
    for xdp in [Xdp::Off, Xdp::Guard, Xdp::Forward] {
        Lab::test(|lab| {
            let cloud = start(lab, WIRE, xdp)?;
            let (here, there) = (cloud.machine(0), cloud.machine(1));
            let (weft, pod) = (cloud.daemon(0).weft(), cloud.pod("red-1"));
            let between = |source: IpAddr| -> Result<Between> {
                Ok(Between {
                    source_mac: there.namespace.mac(underlay::UPLINK)?,
                    destination_mac: here.namespace.mac(underlay::UPLINK)?,
                    source,
                    destination: here.vtep.address(),
                })
            };
            let peer = cloud.pod("red-2");
            let inside = Between {
                source_mac: peer.mac,
                destination_mac: pod.mac,
                source: peer.v4.into(),
                destination: pod.v4.into(),
            };
            let inner = frame::udp(inside, (1000, 2000), WORD.as_bytes())?;
            let says = |packet: &Packet| packet.direction == Direction::In && packet.says(WORD);
            let at_pod = pod.capture(says)?;
            let on_device = Capture::start(&here.namespace, underlay::UPLINK, says)?;
            for (source, vni, reason) in [
                ("192.0.2.99".parse()?, 101, DropReason::UnknownVtep),
                (there.vtep.address(), 999, DropReason::UnknownVni),
            ] {
                let before = weft.drops(reason)?;
                let forged = frame::vxlan(between(source)?, Vni::new(vni)?, &inner)?;
                there.namespace.inject(underlay::UPLINK, &forged)?;
                weft.wait_for_drop(reason, before).with_context(|| format!("{source} with XDP {xdp}"))?;
            }
            // Behind the forged ones: when it is seen, all that there was of them is.
            let is_plain = |packet: &Packet| packet.direction == Direction::In && packet.says(PLAIN);
            let plain_on_device = Capture::start(&here.namespace, underlay::UPLINK, is_plain)?;
            let plain = frame::udp(between(there.vtep.address())?, (1000, 4790), PLAIN.as_bytes())?;
            there.namespace.inject(underlay::UPLINK, &plain)?;
            weft_tests::wait_until(weft_tests::PATIENCE, "the datagram that is no VXLAN", || {
                plain_on_device.count() == 1
            })?;
            let expected = if xdp == Xdp::Off { 2 } else { 0 };
            let skbs = on_device.finish()?.count;
            ensure!(skbs == expected, "XDP {xdp}: {skbs} skbs of forged VXLAN");
            at_pod.assert_none("forged VXLAN was delivered")
        })?;
    }
    Ok(())
}

/// In: pings between pods of both hosts, while h2's weftd is stopped and started again with another mode, through all of
/// them. Out: no ping is lost, and each mode is there.
#[test]
fn modes_change_under_traffic() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = start(lab, WIRE, Xdp::Off)?;
        let (from, to) = (cloud.pod("red-1").namespace.name().to_owned(), cloud.pod("red-2"));
        let flows = to
            .addresses()
            .map(|address| Steady::ping(&cloud.pod("red-1").namespace, address, 200))
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        for xdp in [Xdp::Guard, Xdp::Forward, Xdp::Guard, Xdp::Off, Xdp::Forward, Xdp::Auto] {
            flows.iter().try_for_each(|flow| flow.wait_for_more(20))?;
            let daemon = cloud.daemon_mut(1);
            daemon.terminate()?;
            daemon.reconfigure(|settings| settings.xdp = xdp)?;
            daemon.start()?;
            cloud.wait_until_up()?;
            let states = cloud.daemon(1).weft().status()?.xdp;
            let expected = if xdp == Xdp::Auto { Xdp::Off } else { xdp };
            ensure!(states.iter().all(|state| state.effective == expected), "{states:#?}");
            flows.iter().try_for_each(|flow| flow.wait_for_more(20))?;
        }
        for flow in flows {
            let tally = flow.stop()?;
            println!("pings from {from} through six changes: {tally:?}");
            ensure!(tally.lost() == 0, "{tally:?}");
        }
        Ok(())
    })
}
