//! The speaker: sessions, RIB and EVPN instances put together. What a session receives goes to the RIB, what the RIB
//! chose goes to the instances, and what these announce goes back to the RIB and from there to the peers.
//!
//! One value, one owner, no I/O and no clock. In: [`Speaker::set_neighbours`], [`Speaker::set_instances`],
//! [`Speaker::set_port`], [`Speaker::remove_port`], and what happened to connections
//! ([`Speaker::handle_accepted`], [`Speaker::handle_received`] and their like). Out: [`Speaker::poll_output`],
//! [`Speaker::poll_transmit`], [`Speaker::poll_forwarding`]. Time: [`Speaker::handle_timeout`],
//! [`Speaker::next_deadline`].

mod config;
mod neighbours;
mod path;
mod restart;
mod routes;
mod sessions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

pub use config::{GroupConfig, MostRoutes, Neighbours, PeerConfig, Routing, SpeakerConfig};
pub use neighbours::Neighbour;
pub use path::{Distance, Password, PasswordError, Path};
use restart::Restart;

use crate::bfd;
use crate::diff::Diff;
use crate::evpn::{self, Instances};
use crate::peer::PeerId;
use crate::rib::Rib;
use crate::session::ConnectionId;
use crate::wire::Family;

/// A BGP speaker with EVPN instances.
#[derive(Debug)]
pub struct Speaker {
    rib: Rib,
    instances: Instances,
    /// There are instances, or were.
    learns: bool,
    /// Where prefixes of the underlay are; `None` if nobody is to know.
    unicast: Option<Diff<IpNet, Vec<IpAddr>>>,
    /// What peers of unicast families are told.
    addresses: BTreeSet<IpAddr>,
    /// What is configured.
    neighbours: Neighbours,
    /// Whom it speaks with, or wants to.
    peers: BTreeMap<PeerId, Neighbour>,
    restart: Option<Restart>,
    outputs: VecDeque<Output>,
    /// For jitter.
    seed: u64,
    next_peer: u32,
}

/// What the speaker wants done.
#[derive(Debug)]
pub enum Output {
    /// Connect to a peer. The answer is [`Speaker::handle_connected`] or [`Speaker::handle_connect_failed`].
    Connect {
        /// What the connection is called.
        connection: ConnectionId,
        /// Where to and how.
        path: Path,
    },
    /// Write to a connection.
    Send {
        /// Which one.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a connection once all is written; stop an attempt to connect. Nothing more is heard of it.
    Close(ConnectionId),
    /// Watch a neighbour with BFD, or watch it no more. What that says is for [`Speaker::handle_bfd`].
    Watch {
        /// How it is reached.
        path: Path,
        /// How fast; `None`: no more.
        config: Option<bfd::Config>,
    },
    /// Something that an operator or the data plane wants to know.
    Event(Event),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A session is established.
    Up {
        /// With whom.
        peer: String,
    },
    /// A session ended.
    Down {
        /// With whom.
        peer: String,
        /// Why, in words.
        reason: String,
        /// Families whose routes are kept for a while.
        kept: Vec<Family>,
    },
    /// A message had faults that did not end the session.
    Faults {
        /// From whom.
        peer: String,
        /// What they are, in words.
        faults: Vec<String>,
    },
    /// A peer has nearly as many routes as it may have.
    ManyRoutes {
        /// Who.
        peer: String,
        /// Of which family.
        family: Family,
        /// How many.
        held: usize,
        /// How many it may have.
        limit: usize,
    },
    /// After a restart: all peers have told what they have, or had the time to. What nobody told is not so any more.
    Converged,
    /// From an EVPN instance.
    Evpn(evpn::Event),
}

impl Speaker {
    /// Without neighbours and instances. `seed` varies its timers from those of other hosts.
    #[must_use]
    pub fn new(config: &SpeakerConfig, host: evpn::Host, seed: u64, now: Instant) -> Self {
        let mut rib = Rib::new(config.local);
        rib.set_quiet(config.deferral.is_some());
        let restart = config.deferral.map(|longest| Restart::new(now, longest));
        Self {
            rib,
            instances: Instances::new(host),
            learns: config.learns_unicast,
            unicast: config.learns_unicast.then(Diff::default),
            addresses: BTreeSet::new(),
            neighbours: Neighbours::default(),
            peers: BTreeMap::new(),
            restart,
            outputs: VecDeque::new(),
            seed,
            next_peer: 0,
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next change of where packets go.
    pub fn poll_forwarding(&mut self) -> Option<evpn::Forwarding> {
        self.instances.poll_forwarding()
    }

    /// The next change of where prefixes of IPv4 and IPv6 are: behind any of these next hops (ECMP), or behind none any more.
    pub fn poll_unicast(&mut self) -> Option<(IpNet, Vec<IpAddr>)> {
        let (prefix, next_hops) = self.unicast.as_mut()?.poll()?;
        Some((prefix, next_hops.unwrap_or_default()))
    }

    /// Where packets to `subject` go now: what [`Speaker::poll_forwarding`] told of it last, or tells next.
    #[must_use]
    pub fn forwarding(&self, subject: evpn::Subject) -> evpn::Forwarding {
        self.instances.forwarding(subject)
    }

    /// Its routes, to be looked at.
    #[must_use]
    pub const fn rib(&self) -> &Rib {
        &self.rib
    }

    /// Its instances, to be looked at.
    #[must_use]
    pub const fn instances(&self) -> &Instances {
        &self.instances
    }

    /// Its neighbours, by what the RIB calls them.
    #[must_use]
    pub const fn peers(&self) -> &BTreeMap<PeerId, Neighbour> {
        &self.peers
    }

    /// When [`Speaker::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.peers.values().filter_map(|peer| peer.session.next_deadline());
        let others = [
            self.rib.next_deadline(),
            self.instances.next_deadline(),
            self.restart.as_ref().map(Restart::next_deadline),
        ];
        sessions.chain(others.into_iter().flatten()).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.session.next_deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for peer in due {
            self.with_session(peer, now, |session| session.handle_timeout(now));
        }
        if self.rib.next_deadline().is_some_and(|at| at <= now) {
            self.rib.handle_timeout(now);
        }
        if self.instances.next_deadline().is_some_and(|at| at <= now) {
            self.instances.handle_timeout(now);
        }
        if self.restart.as_ref().is_some_and(|restart| restart.next_deadline() <= now) {
            self.check_restart(now);
        }
        self.forget_members();
        self.pump(now);
    }
}
