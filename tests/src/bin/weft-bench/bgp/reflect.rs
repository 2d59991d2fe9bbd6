//! A subject between two peers: routes come, a late joiner wants them, the session that they came by flaps, they go.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use weft_tests::peers::{RawListener, RawPeer};
use weft_tests::{Lab, PATIENCE, wait_for};

use super::lab::{Ground, LATE, RECEIVER, Running, SENDER, SUBJECT, Subject, Task};
use super::peer::{Peer, open};
use super::routes::Stream;
use crate::usage;

/// Up to so many routes, a late joiner is measured, too.
pub(super) const LATE_UP_TO: usize = 100_000;

/// What one run yields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Seconds from the first byte sent until the receiver holds all routes.
    pub(super) announce: f64,
    /// CPU seconds of the subject meanwhile.
    pub(super) announce_cpu: f64,
    /// Bytes that the subject has in memory then, over what it had before, by route.
    pub(super) resident: f64,
    /// Seconds from the start of a third peer's connection until it holds all.
    pub(super) late: Option<f64>,
    /// Seconds from the reset of the sending session until the receiver holds none.
    pub(super) lost: f64,
    /// Seconds from the sender's next attempt to connect until the receiver holds all again.
    pub(super) back: f64,
    /// Seconds from the first byte of withdrawals until the receiver holds none.
    pub(super) withdraw: f64,
    /// CPU seconds of the subject meanwhile.
    pub(super) withdraw_cpu: f64,
}

/// Runs a subject once, from its start to its end.
pub(super) fn run(subject: Subject, stream: &Stream, patience: Duration) -> Result<Figures> {
    let lab = Lab::new()?;
    let ground = Ground::lay(&lab)?;
    let mut running = Running::start(subject, Task::Reflect, &lab, &ground, stream.count)?;
    let connect = |from| Peer::connect(&ground.peers.namespace, from, subject.hold_time());
    let figures = measure(&running.processes(), connect, stream, patience);
    figures.with_context(|| format!("its log ends:\n{}", running.log_end()))
}

/// Takes the figures of a subject that runs in these processes.
fn measure(
    processes: &[u32],
    connect: impl Fn(Ipv4Addr) -> Result<Peer>,
    stream: &Stream,
    patience: Duration,
) -> Result<Figures> {
    let receiver = connect(RECEIVER)?;
    let sender = connect(SENDER)?;
    let mut figures = Figures::default();
    // A subject may let a new peer wait for its first routes; what it then does at once is measured.
    let one = Stream::new(stream.kind, 1)?;
    change(&sender, &receiver, &one.announce, 1, patience).context("the first route")?;
    change(&sender, &receiver, &one.withdraw, 0, patience).context("the first route")?;

    let (cpu, resident) = (usage::cpu(processes)?, usage::resident(processes)?);
    figures.announce =
        change(&sender, &receiver, &stream.announce, stream.count, patience).context("announce")?;
    figures.announce_cpu = (usage::cpu(processes)?.saturating_sub(cpu)).as_secs_f64();
    figures.resident = by_route(usage::resident(processes)?.saturating_sub(resident), stream.count);

    if stream.count <= LATE_UP_TO {
        let start = Instant::now();
        let late = connect(LATE)?;
        figures.late =
            Some(since(start, late.wait_until_holding(stream.count, patience).context("late joiner")?));
    }

    let reset = sender.reset()?;
    figures.lost = since(reset, receiver.wait_until_holding(0, patience).context("session lost")?);
    let start = Instant::now();
    // GoBGP is not to be spoken to for a second.
    let sender =
        wait_for(patience, "the session back", || connect(SENDER).map_err(|error| format!("{error:#}")))?;
    let (_, sending) = sender.send(&stream.announce)?;
    figures.back = since(start, receiver.wait_until_holding(stream.count, patience).context("session back")?);
    sent(sending)?;

    let cpu = usage::cpu(processes)?;
    figures.withdraw = change(&sender, &receiver, &stream.withdraw, 0, patience).context("withdraw")?;
    figures.withdraw_cpu = (usage::cpu(processes)?.saturating_sub(cpu)).as_secs_f64();
    Ok(figures)
}

/// What the two peers themselves take without anybody between them: seconds to announce and to withdraw.
pub(super) fn alone(stream: &Stream) -> Result<(f64, f64)> {
    let lab = Lab::new()?;
    let ground = Ground::lay(&lab)?;
    let at = (SUBJECT, 179).into();
    let listener = RawListener::bind(&ground.subject.namespace, at)?;
    let mut sender = RawPeer::connect(&ground.peers.namespace, SENDER.into(), at)?;
    let mut receiver = listener.accept(PATIENCE)?;
    let answer = std::thread::spawn(move || -> Result<RawPeer> {
        receiver.handshake(&open(SUBJECT, 0)?)?;
        Ok(receiver)
    });
    sender.handshake(&open(SENDER, 0)?)?;
    let receiver = Peer::start(answer.join().map_err(|_| anyhow!("a peer panicked"))??)?;
    let sender = Peer::start(sender)?;
    let announce = change(&sender, &receiver, &stream.announce, stream.count, PATIENCE)?;
    let withdraw = change(&sender, &receiver, &stream.withdraw, 0, PATIENCE)?;
    Ok((announce, withdraw))
}

/// Seconds from the first byte sent until the receiver holds so many routes.
fn change(
    sender: &Peer,
    receiver: &Peer,
    bytes: &Arc<Vec<u8>>,
    routes: usize,
    patience: Duration,
) -> Result<f64> {
    let (start, sending) = sender.send(bytes)?;
    let end = receiver.wait_until_holding(routes, patience)?;
    sent(sending)?;
    Ok(since(start, end))
}

fn sent(sending: JoinHandle<Result<()>>) -> Result<()> {
    sending.join().map_err(|_| anyhow!("a sender panicked"))?
}

fn since(start: Instant, end: Instant) -> f64 {
    end.saturating_duration_since(start).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn by_route(bytes: u64, routes: usize) -> f64 {
    bytes as f64 / routes as f64
}
