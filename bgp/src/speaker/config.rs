//! What a speaker is told: who it is, and with whom it speaks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::path::Path;
use crate::bfd;
use crate::rib::{Local, NextHopPolicy, Policy};
use crate::session;
use crate::wire::Family;

/// The speaker itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakerConfig {
    /// Its AS and identifiers.
    pub local: Local,
    /// After a restart that lost no route in the data plane: how long the peers may take to tell their routes until the
    /// speaker announces its own and forgets what nobody told (RFC 4724 section 4.1, Selection_Deferral_Timer).
    pub deferral: Option<Duration>,
    /// Whether [`Speaker::poll_unicast`](super::Speaker::poll_unicast) tells what is learned of IPv4 and IPv6 unicast.
    pub learns_unicast: bool,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerConfig {
    /// How it is reached.
    pub path: Path,
    /// How the session is led.
    pub session: session::Config,
    /// What is taken from it and told to it.
    pub routing: Routing,
    /// Whether, and how fast, BFD watches it.
    pub bfd: Option<bfd::Config>,
}

/// Neighbours that are not known one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// Where they connect from.
    pub ranges: Vec<IpNet>,
    /// How many at once.
    pub most: usize,
    /// What each is like. Its path's remote address is replaced.
    pub template: PeerConfig,
}

impl PeerConfig {
    /// Whether a session as in `other` can go on.
    pub(super) fn is_same_session(&self, other: &Self) -> bool {
        self.path == other.path
            && self.session == other.session
            && self.routing.next_hop == other.routing.next_hop
    }
}

/// What is taken from a neighbour and told to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// Where announced routes lead to.
    pub next_hop: NextHopPolicy,
    /// For routes that it sends.
    pub import: Policy,
    /// For routes that it gets.
    pub export: Policy,
    /// How many routes of a family it may have.
    pub most: BTreeMap<Family, MostRoutes>,
}

/// How many routes are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MostRoutes {
    /// One more ends the session.
    pub limit: usize,
    /// As many are told of.
    pub warning: usize,
    /// After what pause the session begins again; `None`: when it is told to.
    pub again: Option<Duration>,
}

/// All neighbours, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Neighbours {
    /// Known by their addresses.
    pub peers: BTreeMap<String, PeerConfig>,
    /// Known by ranges of addresses.
    pub groups: BTreeMap<String, GroupConfig>,
}

impl Neighbours {
    /// Who must sign, and with what.
    #[cfg(feature = "sockets")]
    pub(crate) fn passwords(&self) -> impl Iterator<Item = (IpNet, &super::path::Password)> {
        let peers = self.peers.values().map(|peer| (IpNet::from(peer.path.remote.ip()), &peer.path));
        let groups = self
            .groups
            .values()
            .flat_map(|group| group.ranges.iter().map(|range| (range.trunc(), &group.template.path)));
        peers.chain(groups).filter_map(|(from, path)| Some((from, path.password.as_ref()?)))
    }

    /// The name and configuration for somebody who connects from `remote`: that of the neighbour with the address, or
    /// else of the group with the longest range.
    pub(super) fn find(&self, remote: IpAddr) -> Option<Found<'_>> {
        let known = self.peers.iter().find(|(_, peer)| peer.path.remote.ip() == remote);
        if let Some((name, _)) = known {
            return Some(Found::Peer(name));
        }
        let ranges = self
            .groups
            .iter()
            .flat_map(|(name, group)| group.ranges.iter().map(move |range| (range, name, group)));
        let within = ranges.filter(|(range, ..)| range.contains(&remote));
        let (_, name, group) = within.max_by_key(|(range, ..)| range.prefix_len())?;
        Some(Found::Member { group: name, config: group })
    }
}

/// Who may connect from an address.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A neighbour of this name.
    Peer(&'a str),
    /// One of a group.
    Member {
        /// Its name.
        group: &'a str,
        /// What its members are like.
        config: &'a GroupConfig,
    },
}
