//! EVPN instances: a MAC-VRF for each subnet, an IP-VRF for each network (RFC 7432, RFC 8365, RFC 9135, RFC 9136).
//!
//! Local ports and prefixes become routes; the best routes of others become forwarding. One value, one owner, no I/O
//! and no clock. Where an address is follows from the ports, the routes and the sequence that each port got when it
//! appeared: in whatever order the same routes come, the end is the same.
//!
//! In: [`Instances::set_config`], [`Instances::set_port`], [`Instances::remove_port`], [`Instances::set_prefixes`],
//! [`Instances::handle_route`], [`Instances::handle_timeout`]. Out: [`Instances::poll_originate`],
//! [`Instances::poll_forwarding`], [`Instances::poll_event`], [`Instances::next_deadline`].

mod choose;
mod config;
mod explain;
mod forwarding;
mod learned;
mod local;
mod moves;
mod own;
mod preference;
mod reconfigure;
mod resolved;
mod routes;
mod segments;
mod settle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use hashbrown::HashMap;
use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni, Vtep};

pub use choose::Lost;
pub use config::{
    Config, ConfigError, DuplicateDetection, Host, Network, Overlapping, Peering, Subnet, Targets,
    any_as_number,
};
pub use explain::{Explained, Source, Verdict};
use forwarding::Target;
pub use forwarding::{Forwarding, Neighbour, Paths, RemoteHost, Routed, RoutedPath, Subject, SwitchedPath};
pub use learned::{LearnedPath, Refusal};
use local::Attached;
pub use local::{LocalPort, PortError};
use moves::Moves;
pub use own::Origination;
use own::{OwnKey, OwnRoute};
use resolved::Resolved;
use routes::Held;
pub use routes::RouteChange;
use segments::Segments;

use crate::diff::Diff;
use crate::peer::PeerId;
use crate::rib::{Key, Wanted};
use crate::wire::EvpnRoute;

/// The EVPN instances of a host.
#[derive(Debug)]
pub struct Instances {
    host: Host,
    resolved: Resolved,
    duplicates: DuplicateDetection,
    ports: BTreeMap<String, Attached>,
    /// Ports by subnet and MAC address.
    macs: BTreeMap<(Vni, MacAddr), String>,
    /// Ports by network and address.
    addresses: BTreeMap<(Vni, IpAddr), String>,
    /// Own prefixes by name of the network.
    prefixes: BTreeMap<String, BTreeSet<IpNet>>,
    announced_prefixes: BTreeMap<String, BTreeSet<OwnKey>>,
    announced_subnets: BTreeMap<Vni, BTreeSet<OwnKey>>,
    /// The best path of each route.
    routes: HashMap<Key, Held>,
    /// The routes that are about something: mostly one, so without room for more.
    candidates: HashMap<Subject, Vec<Key>>,
    segments: Segments,
    forwarding: Diff<Subject, Target>,
    own: Diff<OwnKey, OwnRoute>,
    moves: Moves,
    events: VecDeque<Event>,
}

/// What somebody may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A MAC or IP address is on another host than before.
    Moved {
        /// The address.
        subject: Subject,
        /// Where it was.
        from: Vtep,
        /// Where it is.
        to: Vtep,
        /// The mobility sequence there.
        sequence: u32,
    },
    /// An address moved too often, and stays where it is.
    Duplicate {
        /// The address.
        subject: Subject,
        /// Until then; `None`: until [`Instances::clear_duplicate`].
        until: Option<Instant>,
    },
    /// The address may move again.
    Recovered {
        /// The address.
        subject: Subject,
    },
    /// A port appeared here with an address that is sticky on another host.
    Sticky {
        /// The address.
        subject: Subject,
        /// The other host.
        vtep: Vtep,
    },
    /// A route is of no use.
    Refused {
        /// The route.
        route: EvpnRoute,
        /// Whom it is from.
        from: PeerId,
        /// Why.
        reason: Refusal,
    },
}

impl Instances {
    /// Without instances.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self {
            host,
            resolved: Resolved::default(),
            duplicates: DuplicateDetection::default(),
            ports: BTreeMap::new(),
            macs: BTreeMap::new(),
            addresses: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            announced_prefixes: BTreeMap::new(),
            announced_subnets: BTreeMap::new(),
            routes: HashMap::new(),
            candidates: HashMap::new(),
            segments: Segments::default(),
            forwarding: Diff::default(),
            own: Diff::default(),
            moves: Moves::default(),
            events: VecDeque::new(),
        }
    }

    /// The next change of what this host announces: what is new comes before what goes.
    pub fn poll_originate(&mut self) -> Option<Origination> {
        let (key, route) = self.own.poll()?;
        Some(Origination::new(&self.host, &key, route))
    }

    /// The next change of where packets go. What is set comes before what goes, so that an address that is behind a
    /// prefix from now on, or was until now, is reached all the time.
    pub fn poll_forwarding(&mut self) -> Option<Forwarding> {
        let (subject, target) = self.forwarding.poll()?;
        Some(Forwarding::new(subject, target))
    }

    /// Where packets to `subject` go now.
    #[must_use]
    pub fn forwarding(&self, subject: Subject) -> Forwarding {
        Forwarding::new(subject, self.forwarding.get(&subject).cloned())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Instances::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.moves.next_deadline()
    }

    /// Lets addresses move again whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        for subject in self.moves.handle_timeout(now) {
            self.recover(subject, now);
        }
    }

    /// Lets an address move again before its time. Whether it could not.
    pub fn clear_duplicate(&mut self, subject: &Subject, now: Instant) -> bool {
        let was_frozen = self.moves.clear(subject);
        if was_frozen {
            self.recover(*subject, now);
        }
        was_frozen
    }

    fn recover(&mut self, subject: Subject, now: Instant) {
        self.events.push_back(Event::Recovered { subject });
        self.settle(vec![subject], now);
    }

    /// Which routes are of use here (RFC 4684). All, if an instance imports targets of any AS.
    #[must_use]
    pub fn route_targets(&self) -> Wanted {
        self.resolved.wanted().map_or(Wanted::All, Wanted::Targets)
    }
}
