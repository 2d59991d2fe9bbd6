//! Two peers, and the connections between them, in simulated time.
//!
//! Each connection is two queues of bytes. Whoever drives it decides when, and in which pieces, bytes arrive.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use weft_bgp::peer::PeerId;
use weft_bgp::session::{Action, Config, ConnectionId, Down, Established, Expected, Peer, Restart, State};
use weft_bgp::wire::{Asn, Family, RouterId};

/// One of the two.
pub struct End {
    pub peer: Peer,
    pub up: Vec<Established>,
    pub down: Vec<Down>,
    pub updates: usize,
    pub end_of_ribs: Vec<Family>,
}

/// A connection as the link sees it: what each end calls it, once it is accepted, and bytes under way to each.
#[derive(Default)]
struct Pipe {
    names: [Option<ConnectionId>; 2],
    queues: [Vec<u8>; 2],
    /// The end that has still to accept it, though for the other it is there.
    waits: Option<usize>,
    /// The end that has closed it.
    closed: [bool; 2],
}

/// Both, and what is between them.
pub struct Link {
    pub ends: [End; 2],
    pub now: Instant,
    /// Attempts to connect do not come through.
    pub cut: bool,
    pipes: BTreeMap<u32, Pipe>,
    attempts: Vec<(usize, ConnectionId)>,
    next: u32,
}

pub fn address(end: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(end).unwrap() + 1], 179))
}

pub fn config(end: usize) -> Config {
    let id = RouterId::new([192, 0, 2, u8::try_from(end).unwrap() + 1].into()).unwrap();
    Config::new(Asn::new(65000), id, Expected::Internal)
}

/// Graceful restart as weft does it.
pub fn restart() -> Restart {
    Restart {
        time: Duration::from_secs(120),
        restarted: false,
        forwarding: true,
        longest: Duration::from_secs(600),
        long_lived: Duration::ZERO,
    }
}

impl Link {
    pub fn new(configs: [Config; 2], seed: u64) -> Self {
        let now = Instant::now();
        let mut end = 0;
        let ends = configs.map(|config| {
            end += 1;
            let mut peer = Peer::new(PeerId(end), config, seed.wrapping_mul(31) + u64::from(end), now);
            peer.handle_start(now);
            End { peer, up: vec![], down: vec![], updates: 0, end_of_ribs: vec![] }
        });
        let mut link = Self { ends, now, cut: false, pipes: BTreeMap::new(), attempts: vec![], next: 0 };
        link.act();
        link
    }

    /// Does what the ends want.
    pub fn act(&mut self) {
        for end in 0..2 {
            while let Some(action) = self.ends[end].peer.poll_action() {
                match action {
                    Action::Connect(id) => self.attempts.push((end, id)),
                    Action::Send { connection, bytes } => {
                        if let Some(pipe) = self.pipe(end, connection) {
                            pipe.queues[1 - end].extend(bytes);
                            self.ends[end].peer.handle_written(connection);
                        }
                    }
                    Action::Close(connection) => {
                        self.attempts.retain(|attempt| *attempt != (end, connection));
                        if let Some(pipe) = self.pipe(end, connection) {
                            pipe.closed[end] = true;
                        }
                    }
                    Action::Up(established) => self.ends[end].up.push(*established),
                    Action::Down(down) => self.ends[end].down.push(down),
                    Action::Update { .. } => self.ends[end].updates += 1,
                    Action::EndOfRib(family) => self.ends[end].end_of_ribs.push(family),
                    Action::Refresh(_) => {}
                }
            }
        }
    }

    fn pipe(&mut self, end: usize, id: ConnectionId) -> Option<&mut Pipe> {
        self.pipes.values_mut().find(|pipe| pipe.names[end] == Some(id))
    }

    /// Things that could happen next on the link.
    pub fn choices(&self) -> usize {
        self.attempts.len() + self.pipes.len() * 2
    }

    /// Lets one of them happen; `size` bytes at most arrive at once.
    pub fn happen(&mut self, choice: usize, size: usize) {
        if let Some((end, id)) = self.attempts.get(choice).copied() {
            self.attempts.remove(choice);
            self.connect(end, id);
        } else {
            let choice = choice - self.attempts.len();
            let key = *self.pipes.keys().nth(choice / 2).unwrap();
            self.deliver(key, choice % 2, size);
        }
        self.act();
    }

    fn connect(&mut self, end: usize, id: ConnectionId) {
        let (now, other) = (self.now, 1 - end);
        if self.cut {
            return self.ends[end].peer.handle_connect_failed(id, "no way".to_owned(), now);
        }
        let mut pipe = Pipe { waits: Some(other), ..Pipe::default() };
        pipe.names[end] = Some(id);
        self.next += 1;
        self.pipes.insert(self.next, pipe);
        self.ends[end].peer.handle_connected(id, address(end), address(other), now);
    }

    fn deliver(&mut self, key: u32, to: usize, size: usize) {
        let pipe = self.pipes.get_mut(&key).unwrap();
        if pipe.waits == Some(to) {
            pipe.waits = None;
            pipe.names[to] = self.ends[to].peer.handle_accepted(address(to), address(1 - to), self.now);
            pipe.closed[to] = pipe.names[to].is_none();
            return;
        }
        let (name, now) = (pipe.names[to], self.now);
        let bytes: Vec<u8> = pipe.queues[to].drain(..size.min(pipe.queues[to].len())).collect();
        let ended = pipe.closed[1 - to] && pipe.queues[to].is_empty();
        if pipe.closed[to] {
            // Bytes to whom closed it: the connection is reset.
            pipe.closed[1 - to] |= !bytes.is_empty();
        } else if let Some(name) = name {
            self.ends[to].peer.handle_received(name, &bytes, now);
            if ended {
                self.ends[to].peer.handle_closed(name, "closed".to_owned(), now);
                self.pipes.get_mut(&key).unwrap().closed[to] = true;
            }
        }
        if self.pipes[&key].closed == [true, true] {
            self.pipes.remove(&key);
        }
    }

    /// Breaks every connection, as if both ends saw it.
    pub fn break_all(&mut self) {
        for pipe in std::mem::take(&mut self.pipes).into_values() {
            for (end, name) in pipe.names.into_iter().enumerate() {
                if let (Some(name), false) = (name, pipe.closed[end]) {
                    self.ends[end].peer.handle_closed(name, "reset".to_owned(), self.now);
                }
            }
        }
        self.act();
    }

    /// One end forgets all that it had, and nobody tells the other.
    pub fn crash(&mut self, end: usize, config: Config) {
        for pipe in self.pipes.values_mut() {
            pipe.names[end] = None;
            pipe.closed[end] = true;
            pipe.queues = Default::default();
            // Nothing is said any more, but neither is the connection closed.
            pipe.closed[1 - end] = false;
        }
        self.pipes.clear();
        self.attempts.retain(|(of, _)| *of != end);
        let mut peer = Peer::new(PeerId(u32::try_from(end).unwrap() + 1), config, 99, self.now);
        peer.handle_start(self.now);
        self.ends[end].peer = peer;
        self.act();
    }

    /// Delivers all that is under way, in order, until nothing is.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let busy = |pipe: &Pipe| {
                pipe.waits.is_some()
                    || (0..2)
                        .any(|to| !pipe.queues[to].is_empty() || (pipe.closed[1 - to] && !pipe.closed[to]))
            };
            if let Some((end, id)) = self.attempts.pop() {
                self.connect(end, id);
            } else if let Some(key) = self.pipes.iter().find(|(_, pipe)| busy(pipe)).map(|(key, _)| *key) {
                for to in 0..2 {
                    if self.pipes.contains_key(&key) {
                        self.deliver(key, to, usize::MAX);
                    }
                }
            } else {
                return;
            }
            self.act();
        }
        panic!("the two never come to rest");
    }

    /// Lets time pass in which nothing arrives.
    pub fn wait(&mut self, span: Duration) {
        self.now += span;
        for end in &mut self.ends {
            end.peer.handle_timeout(self.now);
        }
        self.act();
    }

    /// Lets time pass, up to `span`, with everything that is due in it.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) =
            self.ends.iter().filter_map(|end| end.peer.next_deadline()).min().filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            for side in &mut self.ends {
                side.peer.handle_timeout(self.now);
            }
            self.act();
            self.settle();
        }
        self.now = end;
    }

    pub fn is_up(&self) -> bool {
        self.ends.iter().all(|end| end.peer.state() == State::Established)
    }
}
