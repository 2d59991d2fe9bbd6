//! Neighbours that are silent, that never read, that only connect; and those that are no neighbours.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ipnet::Ipv4Net;
use weft_api::view::bgp::PeerState;
use weft_bgp::wire::{AsPath, Asn, Attributes, Message, NotificationCode, Origin, Update};
use weft_tests::peers::{Heard, RawPeer};
use weft_tests::{Lab, PATIENCE, wait_for, wait_until};

use super::{Stage, assert_lossless, dialect};

const SILENT: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);
const STALLED: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 2);
const TALKER: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 3);
const READER: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 4);

/// In: a peer that says nothing from the moment that its session is established. Out: after the hold time of 3 s that
/// it asked for, "hold timer expired" (RFC 4271 section 6.5).
#[test]
fn a_silent_peer_is_let_go() -> Result<()> {
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":65002"#)?;
        let ping = stage.ping()?;
        let mut peer = stage.connect(SILENT)?;
        peer.handshake(&super::open(SILENT, 65002, 3)?)?;
        let since = Instant::now();
        peer.expect_end(NotificationCode::HOLD_TIMER_EXPIRED, 0)?;
        let after = since.elapsed();
        println!("a silent peer was let go after {after:?}");
        ensure!(after >= Duration::from_millis(2900) && after < Duration::from_millis(4500), "{after:?}");
        stage.wait_for_neighbor(SILENT, "to be forgotten", |found| found.is_none())?;
        stage.assert_good()?;
        assert_lossless(ping)
    })
}

/// Routes that change again and again.
const ROUTES: u32 = 20_000;
const ROUNDS: u32 = 24;
/// Of sockets that hold less than a round.
const SMALL_BUFFERS: &str = "4096 16384 32768";
/// What weftd may grow by from the second round on.
const GROWTH_KIB: u64 = 24 * 1024;

/// In: 20,000 routes of one peer that change again and again, while another one reads nothing, and a third one everything.
/// Out: the third one has all of them as they were told last; weftd does not keep what the second one does not take: it
/// reads in the end, and gets what is true by then, but not all that was true in between.
#[test]
fn who_never_reads_holds_up_nobody() -> Result<()> {
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":"external""#)?;
        let ping = stage.ping()?;
        stage.cloud.machine(0).namespace.sysctl("ipv4/tcp_wmem", SMALL_BUFFERS)?;
        stage.bad.sysctl("ipv4/tcp_rmem", SMALL_BUFFERS)?;
        let mut stalled = stage.established(STALLED, 65002, 0)?;
        let mut talker = stage.established(TALKER, 65003, 0)?;
        let mut reader = stage.established(READER, 65004, 0)?;
        let (mut sizes, mut read) = (Vec::new(), 0);
        for round in 1..=ROUNDS {
            tell(&mut talker, round)?;
            let since = Instant::now();
            read += read_until_all_have(&mut reader, round)?;
            println!("round {round}: {ROUTES} routes read after {:?}", since.elapsed());
            sizes.push(resident_kib(&stage)?);
        }
        println!("weftd's memory, round by round: {sizes:?} KiB");
        let [_, second, .., last] = sizes[..] else { bail!("{sizes:?}") };
        ensure!(last < second + GROWTH_KIB, "{sizes:?} KiB");
        let neighbor = stage.neighbor(STALLED)?.context("it is still a peer")?;
        ensure!(neighbor.summary.state == PeerState::Established, "{neighbor:?}");
        let late = read_until_all_have(&mut stalled, ROUNDS)?;
        println!("routes told to the one that reads: {read}, to the other one, in the end: {late}");
        ensure!(late < read, "nothing was left out: the sockets took all");
        stage.assert_good()?;
        assert_lossless(ping)
    })
}

/// The `n`th route.
fn route(number: u32) -> Result<Ipv4Net> {
    Ok(Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + number * 256), 24)?)
}

/// Tells all routes with this number in a community.
fn tell(peer: &mut RawPeer, number: u32) -> Result<()> {
    let attributes = Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::sequence([Asn::new(65003)])),
        next_hop: Some(TALKER),
        communities: vec![format!("65003:{number}").parse()?],
        ..Attributes::default()
    };
    let all = (0..ROUTES).map(route).collect::<Result<Vec<_>>>()?;
    for some in all.chunks(500) {
        let announced = some.iter().map(|route| (*route).into()).collect();
        let update = Update { attributes: attributes.clone(), announced, ..Update::default() };
        peer.send_message(&Message::Update(update))?;
    }
    Ok(())
}

/// Reads until every route came with this number; how many came, with any.
fn read_until_all_have(peer: &mut RawPeer, number: u32) -> Result<usize> {
    let mut missing: std::collections::BTreeSet<_> = (0..ROUTES).map(route).collect::<Result<_>>()?;
    let community = format!("65003:{number}").parse()?;
    let mut count = 0;
    while !missing.is_empty() {
        let message =
            peer.receive().with_context(|| format!("{} routes are missing", missing.len()))?.message;
        let Message::Update(update) = message else { continue };
        count += update.announced.len();
        if update.attributes.communities == [community] {
            for nlri in &update.announced {
                missing.remove(&nlri.route);
            }
        }
    }
    Ok(count)
}

const CONNECTIONS: u16 = 1000;
/// `max_peers` of the group.
const MOST: usize = 100;

/// In: a thousand connections from a thousand addresses of the range, none of which says a word, and then a thousand
/// from one. Out: weftd holds no more than the group may have, and a peer of the range that means it gets its session.
#[test]
fn half_open_connections_are_bounded() -> Result<()> {
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":65002"#)?;
        let ping = stage.ping()?;
        let mut early = stage.established(SILENT, 65002, 0)?;
        let before = descriptors(&stage)?;
        let addresses = (0..CONNECTIONS).map(|number| nth(250, number));
        let held = addresses.map(|from| stage.connect(from)).collect::<Result<Vec<_>>>()?;
        let most = descriptors(&stage)?;
        // Those that are closed may still say why.
        let bound = before + MOST;
        wait_until(PATIENCE, "descriptors within the bound", || {
            descriptors(&stage).is_ok_and(|now| now <= bound)
        })?;
        println!(
            "{CONNECTIONS} half open connections: {before} descriptors before, {most} at most, bound {bound}"
        );
        let meant =
            stage.established(Ipv4Addr::new(10, 250, 200, 1), 65002, 0).context("the one that means it")?;
        drop(held);

        let held = (0..CONNECTIONS).map(|_| stage.connect(STALLED)).collect::<Result<Vec<_>>>()?;
        let most = descriptors(&stage)?;
        println!("{CONNECTIONS} from one address: {most} descriptors at once");
        ensure!(most < usize::from(CONNECTIONS) / 2, "{most} descriptors");
        wait_until(PATIENCE, "descriptors within the bound", || {
            descriptors(&stage).is_ok_and(|now| now <= bound)
        })?;
        drop(held);

        early.send_message(&Message::Keepalive)?;
        for from in [SILENT, Ipv4Addr::new(10, 250, 200, 1)] {
            let neighbor = stage.neighbor(from)?.with_context(|| format!("{from} is still there"))?;
            ensure!(neighbor.summary.state == PeerState::Established, "{neighbor:?}");
        }
        drop(meant);
        stage.assert_good()?;
        assert_lossless(ping)
    })
}

/// In: a thousand connections from addresses that nobody configured, which even send an OPEN. Out: each is closed without
/// a word, none leaves a peer or a descriptor.
#[test]
fn strangers_are_not_answered() -> Result<()> {
    Lab::test(|lab| {
        let stage = Stage::set(lab, r#""asn":65002"#)?;
        let ping = stage.ping()?;
        let before = descriptors(&stage)?;
        let mut open = Vec::new();
        Message::Open(super::open(SILENT, 65002, 90)?).encode(&dialect(), &mut open)?;
        for number in 0..CONNECTIONS {
            let mut peer = stage.connect(nth(66, number))?;
            // It may be gone already.
            drop(peer.send(&open));
            let heard = peer.hear(PATIENCE)?;
            ensure!(heard == Heard::End, "{number}: {heard:?}");
        }
        wait_for(PATIENCE, "as many descriptors as before", || match descriptors(&stage) {
            Ok(now) if now <= before => Ok(()),
            other => Err(format!("{other:?} of {before}")),
        })?;
        let names: Vec<_> =
            stage.weft().neighbors()?.into_iter().map(|neighbor| neighbor.summary.name).collect();
        ensure!(names == [super::GOOD], "{names:?}");
        stage.assert_good()?;
        assert_lossless(ping)
    })
}

/// An address of 10.`second`.0.0/16.
fn nth(second: u8, number: u16) -> Ipv4Addr {
    let [high, low] = (number + 256).to_be_bytes();
    Ipv4Addr::new(10, second, high, low)
}

fn proc(stage: &Stage<'_>) -> Result<PathBuf> {
    let pid = stage.cloud.daemon(0).pid().context("weftd runs")?;
    Ok(PathBuf::from(format!("/proc/{pid}")))
}

/// Open descriptors of weftd.
fn descriptors(stage: &Stage<'_>) -> Result<usize> {
    Ok(std::fs::read_dir(proc(stage)?.join("fd"))?.count())
}

/// Memory of weftd.
fn resident_kib(stage: &Stage<'_>) -> Result<u64> {
    let status = std::fs::read_to_string(proc(stage)?.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
