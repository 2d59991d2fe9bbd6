//! Floods: of connections that are asked for, and of connections that are answered.

use anyhow::{Result, ensure};
use weft_api::client::WantedFlows;
use weft_api::resource::security::Protocol;
use weft_api::view::security::{FlowState, FlowTop};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame::{self, TcpFlags};
use weft_tests::{Lab, PATIENCE, wait_closely};

use super::{Legitimate, between, cloud, intent};

/// Connections that a port may be asking for (`flows.half_open_per_port`).
const HALF_OPEN: u64 = 1024;
/// Frames that are made before they are sent.
const AT_ONCE: u32 = 10_000;

/// Sends `count` frames from a pod as fast as it goes.
fn flood(from: &Pod, count: u32, frame: impl Fn(u32) -> Result<Vec<u8>>) -> Result<()> {
    for first in (0..count).step_by(AT_ONCE as usize) {
        let frames: Vec<_> = (first..count.min(first + AT_ONCE)).map(&frame).collect::<Result<_>>()?;
        from.namespace.inject_all(POD_DEVICE, &frames)?;
    }
    Ok(())
}

fn top(cloud: &Cloud<'_>, host: usize) -> Result<FlowTop> {
    Ok(cloud.daemon(host).weft().client().top_flows(None, None)?)
}

/// Connections of a port that are asked for.
fn half_open(top: &FlowTop, port: &str) -> u64 {
    top.ports.iter().find(|count| count.name == port).map_or(0, |count| count.half_open)
}

/// In: 200,000 requests for TCP connections from random ports, half from another host and half from the server's own, whose
/// answers the attackers ignore or abort. Out: the server's port holds no more than its share, and nobody else notices.
#[test]
fn requests_for_connections_take_nobody_s_place() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, "", &intent()?)?;
        let legitimate = Legitimate::start(&cloud)?;
        let server = cloud.pod("red-2");
        for attacker in ["red-3", "red-4"] {
            let from = cloud.pod(attacker);
            let syn = TcpFlags { syn: true, ..TcpFlags::default() };
            flood(from, 100_000, |number| {
                let port = u16::try_from(1024 + number % 64_000)?;
                frame::tcp(between(from, server), (port, 7), syn, number.wrapping_mul(0x9e37_79b9))
            })?;
        }
        let top = top(&cloud, 1)?;
        let held = half_open(&top, "red-2");
        ensure!(held <= HALF_OPEN, "{held} connections of red-2 are asked for: {top:?}");
        println!("{}", legitimate.finish(&format!("200,000 SYNs, of which the server's port holds {held}"))?);
        Ok(())
    })
}

/// In: datagrams of 1,000,000 connections, which nobody answers. Out: they take each other's place and no other; connections that
/// were open before are open after.
#[test]
fn a_million_datagrams_that_nobody_answers_evict_nothing() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, "", &intent()?)?;
        let legitimate = Legitimate::start(&cloud)?;
        let (from, server) = (cloud.pod("red-3"), cloud.pod("red-2"));
        let client = cloud.daemon(1).weft().client();
        let tcp = Some(Protocol::Number(6));
        let limit = Some(100_000);
        let wanted = WantedFlows { port: Some("red-2"), protocol: tcp, limit, ..WantedFlows::default() };
        let oldest = || -> Result<_> {
            let flows = client.flows(&wanted)?.flows.into_iter();
            let open = flows.filter(|flow| flow.state == FlowState::Open && flow.destination_port != Some(7));
            Ok(open.max_by_key(|flow| flow.age_seconds).map(|flow| (flow.source_port, flow.packets)))
        };
        let before = oldest()?;
        // 1000 ports of the server's, 1000 of the attacker's.
        flood(from, 1_000_000, |number| {
            let (to, port) = (u16::try_from(1000 + number % 1000)?, u16::try_from(2000 + number / 1000)?);
            frame::udp(between(from, server), (port, to), b"flood")
        })?;
        let after = oldest()?;
        let (Some(before), Some(after)) = (before, after) else { anyhow::bail!("{before:?} {after:?}") };
        ensure!(before.0 == after.0 && after.1 > before.1, "the connection {before:?} is {after:?}");
        let mut held = Vec::new();
        for (host, port) in [(0, "red-3"), (1, "red-2")] {
            let top = top(&cloud, host)?;
            let count = half_open(&top, port);
            ensure!(count > 0 && count <= HALF_OPEN, "{port} asks for {count}: {top:?}");
            held.push(count);
        }
        println!(
            "{}",
            legitimate.finish(&format!("1,000,000 UDP connections, of which each host holds {held:?}"))?
        );
        Ok(())
    })
}

/// In: two of blue's workloads that have theirs answer 3,000 connections each, where a port may have 1,000 and a tenant 1,500.
/// Out: each is refused by its name, at the port's and at the tenant's limit; red has all that it wants.
#[test]
fn who_has_too_many_connections_is_refused_alone() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab, "per_port = 1000\nper_tenant = 1500\n", &intent()?)?;
        let legitimate = Legitimate::start(&cloud)?;
        let weft = cloud.daemon(0).weft();
        let servers = [cloud.pod("blue-2").serve()?, cloud.pod("blue-4").serve()?];
        let mut told = Vec::new();
        for (from, to, reason) in [
            ("blue-1", "blue-2", DropReason::PortFlowQuota),
            ("blue-3", "blue-4", DropReason::TenantFlowQuota),
        ] {
            let (from, to) = (cloud.pod(from), cloud.pod(to));
            from.talks_to(to)?;
            let before = weft.drops(reason)?;
            // Slowly enough for the answers: what is not answered displaces itself.
            let mut sent = 0;
            wait_closely(PATIENCE, &format!("{} to be refused", from.name), || {
                let first = u32::from(3000_u16) + sent % 3000;
                sent += 100;
                flood(from, 100, |number| {
                    frame::udp(between(from, to), (u16::try_from(first + number)?, 7), b"hello")
                })?;
                Ok(weft.drops(reason)? > before)
            })?;
            told.push(format!(
                "{} of {sent} packets of {} {}",
                weft.drops(reason)? - before,
                from.name,
                reason.name()
            ));
        }
        let top = top(&cloud, 0)?;
        let blue = top.tenants.iter().find(|count| count.name == "blue").map_or(0, |count| count.open);
        ensure!((1000..=1600).contains(&blue), "blue has {blue}: {top:?}");
        ensure!(top.ports.iter().any(|port| port.name == "blue-1" && port.refused > Some(0)), "{top:?}");
        drop(servers);
        println!("{}", legitimate.finish(&format!("blue has {blue} open connections; {}", told.join(", ")))?);
        Ok(())
    })
}
