//! BFD on sockets: one thread with a runtime of its own, so that no other task of the process, however long it keeps
//! its thread busy, can delay a packet until the peer gives up.
//!
//! - commands: at most 64 wait, senders wait for room; the loop takes one a turn.
//! - events: at most 64 wait; what has no room stays in its session, where it is merged with what follows. The loop
//!   never waits for its user.
//! - The thread ends when the last [`Handle`] is gone, after a last word to each peer; then the events end.
//! - All that the loop waits for may be cancelled: each turn reads every socket until it is empty.
//!
//! A loop that was late (a suspended process, a machine without a free processor) must not take packets that wait in
//! its sockets for packets that did not come: each turn notes the time, empties the sockets, and only then judges
//! detection times by the time noted.

mod receiver;
mod sender;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tracing::{debug, info};

use self::receiver::Receiver;
use self::sender::Sender;
use super::config::Config;
use super::peer::{Arrival, Peer};
use super::session::Event;
use super::table::{Status, Table};
use crate::dice::Dice;

const COMMANDS: usize = 64;
const EVENTS: usize = 64;
/// How long the loop sleeps when no session waits for anything.
const IDLE: Duration = Duration::from_secs(3600);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Nothing could be received: as a rule, another BFD daemon runs here.
    #[error("BFD with {peer} needs UDP port {port}: {source}; is another BFD daemon running?")]
    Port {
        /// With whom.
        peer: Peer,
        /// The port to receive on.
        port: u16,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The driver ended.
    #[error("BFD with {peer}: its driver ended")]
    Ended {
        /// With whom.
        peer: Peer,
    },
}

/// What the driver has and has done.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The sessions, in no order.
    pub sessions: Vec<Status>,
    /// Packets that were believed.
    pub received: u64,
    /// Datagrams that were not, by [reason](super::Discard::reason).
    pub discarded: BTreeMap<&'static str, u64>,
    /// Packets that the kernel took.
    pub sent: u64,
    /// Packets that it did not take.
    pub unsent: u64,
}

enum Command {
    Add { peer: Peer, config: Config, answer: oneshot::Sender<Result<(), AddError>> },
    Remove(Peer),
    AdminDown { peer: Peer, down: bool },
    Report(oneshot::Sender<Report>),
}

/// Commands the driver. Its sessions end with the last of its handles.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

/// Starts the driver in the network namespace of the calling thread. Sockets are opened as sessions need them.
///
/// # Errors
/// No thread or no file descriptor is left.
pub fn start() -> io::Result<(Handle, mpsc::Receiver<(Peer, Event)>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (commands, queue) = mpsc::channel(COMMANDS);
    let (events, told) = mpsc::channel(EVENTS);
    // The standard library's hash keys are the system's randomness.
    let seed = RandomState::new().hash_one(0);
    let driver = Driver {
        table: Table::new(seed),
        dice: Dice::new(!seed),
        receivers: Vec::new(),
        senders: HashMap::new(),
        events,
        untold: None,
        report: Report::default(),
    };
    std::thread::Builder::new()
        .name("weft-bfd".to_owned())
        .spawn(move || runtime.block_on(driver.run(queue)))?;
    Ok((Handle { commands }, told))
}

impl Handle {
    /// Starts a session with `peer`; if there is one, changes its timers. Its events follow by the channel.
    ///
    /// # Errors
    /// The port to receive on is taken, or the driver has ended. What hinders sending, such as an address that is not
    /// there yet, is no error: it is tried again with each packet.
    pub async fn add(&self, peer: Peer, config: Config) -> Result<(), AddError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command::Add { peer, config, answer }).await;
        sent.map_err(|_| AddError::Ended { peer })?;
        answered.await.unwrap_or(Err(AddError::Ended { peer }))
    }

    /// Ends the session with `peer`, and tells it that this is no failure. Nothing happens if the driver has ended.
    pub async fn remove(&self, peer: Peer) {
        // A driver that has ended has no sessions.
        let _ = self.commands.send(Command::Remove(peer)).await;
    }

    /// Holds the session with `peer` down, or lets go of it. Nothing happens if the driver has ended.
    pub async fn set_admin_down(&self, peer: Peer, down: bool) {
        // A driver that has ended has no sessions.
        let _ = self.commands.send(Command::AdminDown { peer, down }).await;
    }

    /// What the driver has and has done; `None` if it has ended.
    pub async fn report(&self) -> Option<Report> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Report(answer)).await.ok()?;
        answered.await.ok()
    }
}

struct Driver {
    table: Table,
    dice: Dice,
    receivers: Vec<Receiver>,
    senders: HashMap<Peer, Sender>,
    events: mpsc::Sender<(Peer, Event)>,
    /// An event that had no room.
    untold: Option<(Peer, Event)>,
    report: Report,
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut waiting = false;
        loop {
            let now = Instant::now();
            let wake = if waiting { now } else { self.table.next_deadline().unwrap_or(now + IDLE) };
            tokio::select! {
                () = readable(&self.receivers) => {}
                () = sleep_until(wake.into()) => {}
                () = room(&self.events), if self.untold.is_some() => {}
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return self.farewell(),
                },
            }
            let now = Instant::now();
            waiting = self.receive(now);
            self.table.handle_timeout(now);
            self.send();
            self.tell();
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Add { peer, config, answer } => {
                let ready = self.listen(&peer);
                if ready.is_ok() {
                    self.table.add(peer, config, now);
                }
                // Whoever asked may have gone.
                let _ = answer.send(ready);
            }
            Command::Remove(peer) => self.table.remove(&peer, now),
            Command::AdminDown { peer, down } => self.table.set_admin_down(&peer, down, now),
            Command::Report(answer) => {
                let report = Report { sessions: self.table.status().collect(), ..self.report.clone() };
                // Whoever asked may have gone.
                let _ = answer.send(report);
            }
        }
    }

    /// Makes sure that packets of `peer` are received.
    fn listen(&mut self, peer: &Peer) -> Result<(), AddError> {
        let (ipv6, port) = (peer.remote.is_ipv6(), peer.hops.port());
        if self.receivers.iter().any(|receiver| receiver.is(ipv6, port)) {
            return Ok(());
        }
        let opened =
            Receiver::open(ipv6, port).map_err(|source| AddError::Port { peer: *peer, port, source })?;
        self.receivers.push(opened);
        Ok(())
    }

    /// Takes in all that came before `now`; returns whether still more waits.
    fn receive(&mut self, now: Instant) -> bool {
        let Self { table, report, receivers, .. } = self;
        let mut take = |arrival: &Arrival, bytes: &[u8]| match table.handle_datagram(arrival, bytes, now) {
            Ok(()) => report.received += 1,
            Err(discard) => {
                *report.discarded.entry(discard.reason()).or_default() += 1;
                debug!(remote = %arrival.remote, %discard, "discarded a BFD packet");
            }
        };
        let mut waiting = false;
        for receiver in receivers {
            waiting |= receiver.drain(&mut take);
        }
        waiting
    }

    fn send(&mut self) {
        while let Some((peer, bytes)) = self.table.poll_transmit() {
            let sender = self.senders.entry(peer).or_insert_with(|| Sender::new(&peer));
            if sender.send(&peer, &bytes, &mut self.dice) {
                self.report.sent += 1;
            } else {
                self.report.unsent += 1;
            }
        }
        let peers: HashSet<Peer> = match self.table.len() < self.senders.len() {
            true => self.table.peers().collect(),
            false => return,
        };
        self.senders.retain(|peer, _| peers.contains(peer));
    }

    fn tell(&mut self) {
        while let Some((peer, event)) = self.untold.take().or_else(|| self.table.poll_event()) {
            // Without a user, there is nobody to tell.
            if let Err(TrySendError::Full(event)) = self.events.try_send((peer, event)) {
                self.untold = Some(event);
                return;
            }
            info!(%peer, ?event, "BFD");
        }
    }

    /// One packet to each peer, so that it does not take the end of this process for a failure of the path.
    fn farewell(&mut self) {
        let now = Instant::now();
        let peers: Vec<_> = self.table.peers().collect();
        for peer in peers {
            self.table.remove(&peer, now);
        }
        self.send();
    }
}

/// Waits until a socket may have something to read.
async fn readable(receivers: &[Receiver]) {
    poll_fn(|context| {
        let mut ready = Poll::Pending;
        for receiver in receivers {
            if receiver.poll_readable(context).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    })
    .await;
}

/// Waits until an event has room, or nobody reads events any more.
async fn room(events: &mpsc::Sender<(Peer, Event)>) {
    // The room stays when the permit goes: no one else sends.
    drop(events.reserve().await);
}
