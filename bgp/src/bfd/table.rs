//! Many sessions: finds the one that a datagram is for (RFC 5880 section 6.3, RFC 5881 sections 3 to 5), and which of
//! them has something to send, to tell, or to wait for. Sans-I/O.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::config::Config;
use super::packet::{PACKET_LEN, Packet, PacketError};
use super::peer::{Arrival, Peer, Selector};
use super::session::{Event, Session};
use super::state::{Diagnostic, State};
use crate::dice::Dice;

/// Why a datagram changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Discard {
    /// It is no packet to be believed.
    #[error("{0}")]
    Packet(#[from] PacketError),
    /// It names a session that is not here.
    #[error("it is for session {0}, which does not exist")]
    UnknownSession(NonZeroU32),
    /// It names no session, and its sender is nobody's peer.
    #[error("no session is with its sender")]
    UnknownPeer,
    /// It names a session with somebody else.
    #[error("it is for session {0}, which is with another peer")]
    OtherPeer(NonZeroU32),
    /// It passed more routers than its session has between.
    #[error("its TTL is {ttl}, and {minimum} is the least")]
    Ttl {
        /// As received.
        ttl: u8,
        /// What the session asks for.
        minimum: u8,
    },
}

impl Discard {
    /// A name to count by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Packet(error) => error.reason(),
            Self::UnknownSession(_) => "unknown_session",
            Self::UnknownPeer => "unknown_peer",
            Self::OtherPeer(_) => "other_peer",
            Self::Ttl { .. } => "ttl",
        }
    }
}

/// A session as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// With whom.
    pub peer: Peer,
    /// State of this side.
    pub state: State,
    /// Why it last changed.
    pub diagnostic: Diagnostic,
    /// State of the other side, if it is heard.
    pub peer_state: Option<State>,
    /// Silence that means failure; zero before the other side is known.
    pub detection_time: Duration,
    /// Time between packets sent, before jitter.
    pub transmit_interval: Duration,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    session: Session,
    /// As it stands in the table's list.
    deadline: Option<Instant>,
    /// Removed: until then it says farewell.
    leaves: Option<Instant>,
    /// Whether it stands in `Table::sending`.
    sending: bool,
    /// Whether it stands in `Table::telling`.
    telling: bool,
}

/// Sessions, and what they wait for.
#[derive(Debug)]
pub struct Table {
    entries: HashMap<NonZeroU32, Entry>,
    by_peer: HashMap<Selector, NonZeroU32>,
    deadlines: BTreeSet<(Instant, NonZeroU32)>,
    /// Sessions that may have packets to send.
    sending: VecDeque<NonZeroU32>,
    /// Sessions that may have events to tell.
    telling: VecDeque<NonZeroU32>,
    dice: Dice,
}

impl Table {
    /// A table without sessions. Discriminators and jitter are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            entries: HashMap::new(),
            by_peer: HashMap::new(),
            deadlines: BTreeSet::new(),
            sending: VecDeque::new(),
            telling: VecDeque::new(),
            dice: Dice::new(seed),
        }
    }

    /// Starts a session with `peer`; if there is one, changes its timers.
    pub fn add(&mut self, peer: Peer, config: Config, now: Instant) {
        if let Some(&discriminator) = self.by_peer.get(&peer.selector()) {
            let leaves = self.entries.get(&discriminator).is_some_and(|entry| entry.leaves.is_some());
            if !leaves {
                self.touch(discriminator, |entry| {
                    entry.peer = peer;
                    entry.session.reconfigure(config, now);
                });
                return;
            }
            self.forget(discriminator);
        }
        let discriminator = self.unused_discriminator();
        let session = Session::new(config, discriminator, now, self.dice.roll());
        let entry = Entry { peer, session, deadline: None, leaves: None, sending: false, telling: false };
        self.entries.insert(discriminator, entry);
        self.by_peer.insert(peer.selector(), discriminator);
        self.touch(discriminator, |_| ());
    }

    /// Ends the session with `peer`, if there is one; nothing more is told of it. It goes on for a detection time to
    /// say that it was taken down (RFC 5880 section 6.8.16), so that the peer does not take it for a failure.
    pub fn remove(&mut self, peer: &Peer, now: Instant) {
        self.touch_peer(peer, |entry| {
            entry.session.set_admin_down(true, now);
            entry.leaves.get_or_insert(now + entry.session.farewell_time());
        });
    }

    /// Holds the session with `peer` down, or lets go of it.
    pub fn set_admin_down(&mut self, peer: &Peer, down: bool, now: Instant) {
        self.touch_peer(peer, |entry| {
            if entry.leaves.is_none() {
                entry.session.set_admin_down(down, now);
            }
        });
    }

    /// Takes in the payload of a datagram.
    ///
    /// # Errors
    /// Why it was discarded; nothing has changed then.
    pub fn handle_datagram(&mut self, arrival: &Arrival, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        let packet = Packet::decode(bytes)?;
        let discriminator = match packet.your_discriminator {
            Some(discriminator) => discriminator,
            None => Selector::of(arrival)
                .find_map(|selector| self.by_peer.get(&selector).copied())
                .ok_or(Discard::UnknownPeer)?,
        };
        let peer = self.entries.get(&discriminator).ok_or(Discard::UnknownSession(discriminator))?.peer;
        // A guessed discriminator alone must not be enough to end a session.
        if !peer.selector().admits(arrival) {
            return Err(Discard::OtherPeer(discriminator));
        }
        let (ttl, minimum) = (arrival.ttl, peer.hops.minimum_ttl());
        if ttl < minimum {
            return Err(Discard::Ttl { ttl, minimum });
        }
        self.touch(discriminator, |entry| entry.session.handle_packet(&packet, now));
        Ok(())
    }

    /// Does what is due at `now`. Datagrams that came before `now` must have been handed over before.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, discriminator)) = self.deadlines.first()
            && deadline <= now
        {
            let leaves = self.entries.get(&discriminator).and_then(|entry| entry.leaves);
            if leaves.is_some_and(|leaves| leaves <= now) {
                self.forget(discriminator);
            } else {
                self.touch(discriminator, |entry| entry.session.handle_timeout(now));
            }
        }
    }

    /// When to call [`Table::handle_timeout`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// The next datagram to send now, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(Peer, [u8; PACKET_LEN])> {
        while let Some(discriminator) = self.sending.front() {
            if let Some(entry) = self.entries.get_mut(discriminator) {
                if let Some(packet) = entry.session.poll_transmit() {
                    return Some((entry.peer, packet.encode()));
                }
                entry.sending = false;
            }
            self.sending.pop_front();
        }
        None
    }

    /// The next thing to tell, and of whom.
    pub fn poll_event(&mut self) -> Option<(Peer, Event)> {
        while let Some(discriminator) = self.telling.front() {
            if let Some(entry) = self.entries.get_mut(discriminator) {
                if entry.leaves.is_none()
                    && let Some(event) = entry.session.poll_event()
                {
                    return Some((entry.peer, event));
                }
                entry.telling = false;
            }
            self.telling.pop_front();
        }
        None
    }

    /// Sessions that were not removed, in no order.
    pub fn status(&self) -> impl Iterator<Item = Status> {
        let staying = self.entries.values().filter(|entry| entry.leaves.is_none());
        staying.map(|Entry { peer, session, .. }| Status {
            peer: *peer,
            state: session.state(),
            diagnostic: session.diagnostic(),
            peer_state: session.peer_state(),
            detection_time: session.detection_time(),
            transmit_interval: session.transmit_interval(),
        })
    }

    /// Whom sessions are with, those included that were removed and still say farewell; in no order.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.entries.values().map(|entry| entry.peer)
    }

    /// How many [`Table::peers`] there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn touch_peer(&mut self, peer: &Peer, change: impl FnOnce(&mut Entry)) {
        if let Some(&discriminator) = self.by_peer.get(&peer.selector()) {
            self.touch(discriminator, change);
        }
    }

    /// Changes an entry, and brings the lists up to date.
    fn touch(&mut self, discriminator: NonZeroU32, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&discriminator) else { return };
        change(entry);
        let deadlines = [entry.session.next_deadline(), entry.leaves];
        let deadline = deadlines.into_iter().flatten().min();
        let before = std::mem::replace(&mut entry.deadline, deadline);
        if before != deadline {
            before.map(|before| self.deadlines.remove(&(before, discriminator)));
            deadline.map(|deadline| self.deadlines.insert((deadline, discriminator)));
        }
        if entry.session.wants_to_send() && !std::mem::replace(&mut entry.sending, true) {
            self.sending.push_back(discriminator);
        }
        if entry.session.wants_to_tell() && !std::mem::replace(&mut entry.telling, true) {
            self.telling.push_back(discriminator);
        }
    }

    fn forget(&mut self, discriminator: NonZeroU32) {
        let Some(entry) = self.entries.remove(&discriminator) else { return };
        self.by_peer.remove(&entry.peer.selector());
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, discriminator));
        }
    }

    /// Drawn, not counted: whoever does not see the packets must not know the name.
    fn unused_discriminator(&mut self) -> NonZeroU32 {
        loop {
            let drawn = NonZeroU32::new(self.dice.roll_u32());
            if let Some(unused) = drawn.filter(|drawn| !self.entries.contains_key(drawn)) {
                return unused;
            }
        }
    }
}

#[cfg(test)]
mod tests;
