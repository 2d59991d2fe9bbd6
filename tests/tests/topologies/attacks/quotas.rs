//! Quotas, and rooms that are full.
//!
//! ```text
//! red-5 on h2, red-4 ── connections that stay ──► red-1, red-2 (a port may have 8 open, a tenant 14)
//! blue-5 on h2 ── datagrams that nobody answers ──► blue-1, then blue-2 (there is room for 32, and a port may have it all)
//! ```

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame;
use weft_tests::probe::{ANSWER, ECHO_PORT, Steady};
use weft_tests::{Lab, PATIENCE, wait_until};

use super::{RULES, between, intent, start};

/// Connections that h1 has room for while they are asked for.
const ROOM: u16 = 32;
const SIZES: &str = "flows = 64\nhalf_open = 32\n";
const FLOWS: &str = "per_port = 8\nper_tenant = 14\nhalf_open_per_port = 32\n";

/// A connection that was answered once, and stays.
fn connection(from: &Pod, to: IpAddr) -> Result<UdpSocket> {
    let socket = from.namespace.run(|| UdpSocket::bind("0.0.0.0:0"))??;
    socket.connect(SocketAddr::new(to, ECHO_PORT))?;
    socket.set_read_timeout(Some(ANSWER))?;
    answers(&socket).with_context(|| format!("{} and {to}", from.name))?;
    Ok(socket)
}

fn answers(socket: &UdpSocket) -> Result<()> {
    socket.send(b"still here?")?;
    socket.recv(&mut [0; 64])?;
    Ok(())
}

/// That one more is refused, by h1 and for this reason.
fn is_refused(cloud: &Cloud<'_>, from: &Pod, to: &Pod, reason: DropReason) -> Result<()> {
    let weft = cloud.daemon(0).weft();
    let before = weft.drops(reason)?;
    let answer = from.namespace.udp_echo_within(to.v4.into(), "one more", Duration::from_millis(200));
    ensure!(answer.is_err(), "{} took one more", to.name);
    let more = weft.wait_for_drop(reason, before)?;
    println!("one more for {}: {more} dropped as {}", to.name, reason.name());
    Ok(())
}

/// In: with a TCP connection that is open, connections to a port up to its quota, then to another up to the tenant's; then
/// datagrams that nobody answers, until there is no room for more. Out: one more is refused each time, by the name of what is
/// exhausted; whatever is open goes on.
#[test]
fn are_told_apart_and_cut_nothing() -> Result<()> {
    Lab::test(|lab| {
        let (mut cloud, silent) = start(lab, |settings| {
            if settings.name != "h1" {
                return;
            }
            settings.sizes = SIZES.to_owned();
            settings.flows = FLOWS.to_owned();
        })?;
        drop(silent);
        let more = intent()?
            .security_group("more", "red", 2, RULES)?
            .member("red-2", &["more"])
            .tenant("blue", 200)?
            .closed("blue")
            .security_group("blue", "blue", 3, RULES)?
            .pod("blue-1", "blue-a", 0, 11)?
            .pod("blue-2", "blue-a", 0, 12)?
            .pod("blue-5", "blue-a", 1, 15)?
            .member("blue-1", &["blue"])
            .member("blue-2", &["blue"]);
        cloud.deploy(&more)?;
        let [victim, other, near, far] = ["red-1", "red-2", "red-4", "red-5"].map(|name| cloud.pod(name));
        let servers = [victim.serve()?, other.serve()?];
        // The pings of the beginning are connections too: two of red-1, and one of red-4.
        let open = Steady::tcp(&far.namespace, &victim.namespace, victim.v4.into(), 50)?;
        open.wait_for_more(5)?;
        let mut kept = Vec::new();
        while kept.len() < 8
            && let Ok(socket) = connection(far, victim.v4.into())
        {
            kept.push(socket);
        }
        println!("{} connections besides the others of the port", kept.len());
        ensure!((5..8).contains(&kept.len()), "{} connections were let in", kept.len());
        is_refused(&cloud, far, victim, DropReason::PortFlowQuota)?;
        let mut more = Vec::new();
        while more.len() < 8
            && let Ok(socket) = connection(near, other.v4.into())
        {
            more.push(socket);
        }
        is_refused(&cloud, far, other, DropReason::TenantFlowQuota)?;
        for socket in kept.iter().chain(&more) {
            answers(socket).context("a connection within the quota")?;
        }
        open.wait_for_more(20)?;
        full(&cloud)?;
        for socket in kept.iter().chain(&more) {
            answers(socket).context("a connection that was open")?;
        }
        open.wait_for_more(20)?;
        let tally = open.stop()?;
        println!("open: {} of {} answered, longest gap {:?}", tally.answered, tally.sent, tally.longest_gap);
        ensure!(tally.lost() == 0, "{tally:?}");
        drop(servers);
        Ok(())
    })
}

/// In: datagrams to a port of another tenant, from other ports each, until they fill the room for what is asked for; then one to its
/// neighbour. Out: it does not arrive, for there is no room.
fn full(cloud: &Cloud<'_>) -> Result<()> {
    let [filled, other, from] = ["blue-1", "blue-2", "blue-5"].map(|name| cloud.pod(name));
    let weft = cloud.daemon(0).weft();
    let before = weft.drops(DropReason::FlowsFull)?;
    for number in 0..ROOM {
        from.namespace
            .inject(POD_DEVICE, &frame::udp(between(from, filled), (1000 + number, 9), b"fill")?)?;
    }
    wait_until(PATIENCE, "the room to be full", || {
        cloud.connections(0).is_ok_and(|connections| connections.half_open >= usize::from(ROOM))
    })?;
    let arrived = other.capture(|packet| packet.says("one more"))?;
    from.namespace.inject(POD_DEVICE, &frame::udp(between(from, other), (999, 9), b"one more")?)?;
    let more = weft.wait_for_drop(DropReason::FlowsFull, before)?;
    arrived.assert_none("there was room")?;
    let connections = cloud.connections(0)?;
    println!("{connections:?}; {more} dropped as {}", DropReason::FlowsFull.name());
    Ok(())
}
