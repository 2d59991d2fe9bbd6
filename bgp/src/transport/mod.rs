//! TCP for a [`Speaker`]: what it wants done is done here, and what happens is told to it.
//!
//! - The owner's task: [`Driver::wait`] for something, [`Driver::handle`] it, [`Driver::flush`]. It never waits for a
//!   socket.
//! - For each listening address, a task that accepts.
//! - One for BFD, once a neighbour is to be watched.
//! - For each connection, one that reads and one that writes. A closed one has [`LINGER`] to write what is left; whoever
//!   connects ends the oldest of more than [`LINGERING`].
//!
//! Channels: inputs, bounded at [`INPUTS`]: readers wait for room, and so do the peers, by TCP. To each writer,
//! unbounded, but filled with routes only while less than [`QUEUED`] bytes wait. All tasks end with the driver. Of
//! [`Driver::wait`], nothing is lost if it is cancelled.

mod connection;
mod listener;
mod option;
mod socket;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use connection::Connection;
pub use listener::ListenError;
use listener::Listeners;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::debug;
use watch::Watcher;

use crate::bfd;
use crate::session::{ConnectionId, Stop};
use crate::speaker::{Event, Neighbours, Output, Path, Speaker};

/// Inputs that wait, each of up to [`connection::CHUNK`] bytes.
const INPUTS: usize = 64;
/// Inputs that are handled before what they caused is sent.
const TURN: usize = 32;
/// How long inputs are handled at most before what they caused is sent, and before timers are looked at: peers that wait
/// for a KEEPALIVE must not have to wait until another one's routes are taken in, nor packets for what those lead to.
const SLICE: Duration = Duration::from_millis(5);
/// Bytes that wait for a socket at most, but for messages that do not wait for room.
const QUEUED: usize = 512 * 1024;
/// Bytes of routes that are asked for at once.
const BUDGET: usize = 128 * 1024;
/// How long a closed connection may write what is left, such as the NOTIFICATION that says why.
const LINGER: Duration = Duration::from_secs(2);
/// Closed connections that may do so at once: somebody who connects again and again must not use up the descriptors.
const LINGERING: usize = 64;

/// What happened to a socket, or that time passed.
#[derive(Debug)]
pub struct Input(Kind);

#[derive(Debug)]
enum Kind {
    Accepted { stream: TcpStream, local: SocketAddr, remote: SocketAddr },
    Connected { connection: ConnectionId, stream: TcpStream },
    ConnectFailed { connection: ConnectionId, error: io::Error },
    Received { connection: ConnectionId, bytes: Bytes },
    Written { connection: ConnectionId, bytes: usize },
    Closed { connection: ConnectionId, reason: String },
    Bfd { remote: IpAddr, event: bfd::Event },
    Timeout,
}

/// A speaker with its sockets.
#[derive(Debug)]
pub struct Driver {
    speaker: Speaker,
    listeners: Listeners,
    connecting: HashMap<ConnectionId, JoinHandle<()>>,
    connections: HashMap<ConnectionId, Connection>,
    /// The last connections that were closed, the oldest first.
    closed: VecDeque<JoinHandle<()>>,
    watcher: Watcher,
    inputs: mpsc::Receiver<Kind>,
    sender: mpsc::Sender<Kind>,
    /// Some peer may have to be sent more than it had room for.
    unsent: bool,
}

impl Driver {
    /// Drives `speaker`; must be called within a tokio runtime whose threads are in the network namespace to work in.
    #[must_use]
    pub fn new(speaker: Speaker) -> Self {
        let (sender, inputs) = mpsc::channel(INPUTS);
        Self {
            speaker,
            listeners: Listeners::default(),
            connecting: HashMap::new(),
            connections: HashMap::new(),
            closed: VecDeque::new(),
            watcher: Watcher::default(),
            inputs,
            sender,
            unsent: false,
        }
    }

    /// The speaker, to be asked.
    #[must_use]
    pub const fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// The speaker, to be told something; [`Driver::flush`] is to follow.
    pub const fn speaker_mut(&mut self) -> &mut Speaker {
        &mut self.speaker
    }

    /// What commands BFD, if a neighbour is watched.
    #[must_use]
    pub fn bfd(&self) -> Option<bfd::driver::Handle> {
        self.watcher.handle()
    }

    /// Listens on these addresses, and no others.
    ///
    /// # Errors
    /// [`ListenError`]; the others are listened on.
    pub fn listen(&mut self, addresses: &[SocketAddr]) -> Result<(), ListenError> {
        self.listeners.set(addresses, &self.sender)
    }

    /// The neighbours from now on, and what their connections must be signed with.
    ///
    /// # Errors
    /// [`ListenError`] if a signature cannot be demanded; all else is done.
    pub fn set_neighbours(&mut self, neighbours: Neighbours, now: Instant) -> Result<(), ListenError> {
        let signed = self.listeners.demand_signatures(&neighbours);
        self.speaker.set_neighbours(neighbours, now);
        signed
    }

    /// Waits for something to happen.
    pub async fn wait(&mut self) -> Input {
        if self.unsent {
            // Nobody but time says that a slice of work is left; others come first.
            return Input(self.inputs.try_recv().unwrap_or(Kind::Timeout));
        }
        let deadline = self.speaker.next_deadline();
        let timeout = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // The driver holds a sender itself: there is always an input to come.
            Some(input) = self.inputs.recv() => Input(input),
            () = timeout => Input(Kind::Timeout),
        }
    }

    /// Tells the speaker what happened, and what else has happened meanwhile.
    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_one(input.0, now);
        for _ in 1..TURN {
            if now.elapsed() >= SLICE {
                break;
            }
            let Ok(input) = self.inputs.try_recv() else { break };
            self.handle_one(input, now);
        }
        if self.speaker.next_deadline().is_some_and(|at| at <= now) {
            // Nobody is silent whose words wait here.
            for (id, _) in self.connections.iter().filter(|(_, connection)| connection.has_waiting()) {
                self.speaker.handle_waiting(*id, now);
            }
            self.speaker.handle_timeout(now);
        }
    }

    fn handle_one(&mut self, input: Kind, now: Instant) {
        match input {
            Kind::Accepted { stream, local, remote } => self.accepted(stream, local, remote, now),
            Kind::Connected { connection, stream } => self.connected(connection, stream, now),
            Kind::ConnectFailed { connection, error } => {
                self.connecting.remove(&connection);
                self.speaker.handle_connect_failed(connection, error.to_string(), now);
            }
            Kind::Received { connection, bytes } => {
                if let Some(of) = self.connections.get(&connection) {
                    of.handle_taken();
                }
                self.speaker.handle_received(connection, &bytes, now);
            }
            Kind::Written { connection, bytes } => {
                if let Some(of) = self.connections.get_mut(&connection) {
                    of.handle_written(bytes);
                    self.speaker.handle_written(connection);
                }
            }
            Kind::Closed { connection, reason } => {
                self.connections.remove(&connection);
                self.speaker.handle_closed(connection, reason, now);
            }
            Kind::Bfd { remote, event } => self.speaker.handle_bfd(remote, event, now),
            Kind::Timeout => {}
        }
    }

    fn accepted(&mut self, stream: TcpStream, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let Some((connection, path)) = self.speaker.handle_accepted(local, remote, now) else {
            debug!(%remote, "a connection was refused");
            return;
        };
        self.closed.retain(|closed| !closed.is_finished());
        while self.closed.len() > LINGERING
            && let Some(oldest) = self.closed.pop_front()
        {
            oldest.abort();
        }
        if let Err(error) = socket::adopt(&stream, &path) {
            self.speaker.handle_closed(connection, error.to_string(), now);
            return;
        }
        self.connections.insert(connection, Connection::start(connection, stream, &self.sender));
    }

    fn connected(&mut self, connection: ConnectionId, stream: TcpStream, now: Instant) {
        if self.connecting.remove(&connection).is_none() {
            return;
        }
        match (stream.local_addr(), stream.peer_addr()) {
            (Ok(local), Ok(remote)) => {
                self.connections.insert(connection, Connection::start(connection, stream, &self.sender));
                self.speaker.handle_connected(connection, local, remote, now);
            }
            (Err(error), _) | (_, Err(error)) => {
                self.speaker.handle_connect_failed(connection, error.to_string(), now);
            }
        }
    }

    /// Does what the speaker wants done, and sends routes to peers that have room. Returns what happened.
    pub fn flush(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(output) = self.speaker.poll_output() {
            match output {
                Output::Connect { connection, path } => self.connect(connection, path),
                Output::Send { connection, bytes } => {
                    if let Some(connection) = self.connections.get_mut(&connection) {
                        connection.send(bytes);
                    }
                }
                Output::Close(connection) => {
                    if let Some(attempt) = self.connecting.remove(&connection) {
                        attempt.abort();
                    }
                    if let Some(connection) = self.connections.remove(&connection) {
                        self.closed.push_back(connection.close());
                    }
                }
                Output::Watch { path, config } => self.watcher.set(&path, config, &self.sender),
                Output::Event(event) => events.push(event),
            }
        }
        self.unsent = false;
        for (id, connection) in &mut self.connections {
            if connection.queued() >= QUEUED {
                continue;
            }
            let mut bytes = Vec::new();
            let more = self.speaker.poll_transmit(*id, BUDGET, &mut bytes, now);
            connection.send(bytes);
            self.unsent |= more && connection.queued() < QUEUED;
        }
        events
    }

    /// Ends all sessions and does not begin them again: peers are told so, with this text (RFC 9003), and are to keep no
    /// routes (RFC 8538). Returns when they have closed their connections too, or after [`LINGER`].
    pub async fn leave(mut self, text: &str) {
        let names: Vec<_> = self.speaker.peers().values().map(|peer| peer.name.clone()).collect();
        let now = Instant::now();
        for name in names {
            self.speaker.stop(&name, &Stop::Shutdown(text.to_owned()), now);
        }
        self.flush(now);
        let closed = std::mem::take(&mut self.closed);
        let all = async {
            for connection in closed {
                // As long as it may linger.
                let _ = connection.await;
            }
        };
        tokio::select! {
            () = all => {}
            // Readers must not wait for room: they see the end of what the peers say.
            () = async { while self.inputs.recv().await.is_some() {} } => {}
        }
    }

    fn connect(&mut self, connection: ConnectionId, path: Path) {
        let sender = self.sender.clone();
        let attempt = tokio::spawn(async move {
            let input = match socket::connect(&path).await {
                Ok(stream) => Kind::Connected { connection, stream },
                Err(error) => Kind::ConnectFailed { connection, error },
            };
            // A driver that has gone needs no connection.
            let _ = sender.send(input).await;
        });
        self.connecting.insert(connection, attempt);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for attempt in self.connecting.values() {
            attempt.abort();
        }
    }
}
