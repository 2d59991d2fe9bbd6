//! What the RIB has to know of the speaker and of each peer whose session is up.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::policy::Policy;
use crate::peer::PeerKind;
use crate::wire::{Asn, Dialect, Family, Role, RouterId};

/// The speaker itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its AS.
    pub asn: Asn,
    /// Its identifier.
    pub router_id: RouterId,
    /// What it calls itself as a reflector; by default the identifier (RFC 4456 section 7).
    pub cluster_id: Ipv4Addr,
}

/// Where announced routes lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NextHopPolicy {
    /// Unchanged to internal peers and for EVPN (RFC 8365 section 5.1), the own address for others.
    #[default]
    Standard,
    /// The own address.
    Own,
    /// As received.
    Unchanged,
}

/// A peer whose session is established.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What it is to the own AS.
    pub kind: PeerKind,
    /// Its AS.
    pub asn: Asn,
    /// Its identifier.
    pub router_id: RouterId,
    /// Its address.
    pub address: IpAddr,
    /// The own address of the session.
    pub own_address: IpAddr,
    /// How its messages are read and written.
    pub dialect: Dialect,
    /// The families that both sides announced.
    pub families: Vec<Family>,
    /// Where announced routes lead to.
    pub next_hop: NextHopPolicy,
    /// The role of the peer (RFC 9234), if the own one is set.
    pub role: Option<Role>,
    /// It knows long-lived graceful restart (RFC 9494).
    pub long_lived: bool,
    /// Answers to a refresh stand between marks (RFC 7313).
    pub enhanced_refresh: bool,
    /// For routes that it sends.
    pub import: Policy,
    /// For routes that it gets.
    pub export: Policy,
    /// How long to wait for its route target memberships (RFC 4684 section 6), if that family is agreed.
    pub membership_wait: Duration,
}

/// What stays when a session ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retain {
    /// Families whose routes stay for a while; the routes of others go at once.
    pub families: Vec<RetainFamily>,
}

/// How long the routes of a family stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainFamily {
    /// The family.
    pub family: Family,
    /// As stale ones (RFC 4724).
    pub restart: Duration,
    /// After that, as long-lived stale ones, if at all (RFC 9494).
    pub long_lived: Duration,
}
