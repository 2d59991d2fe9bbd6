//! With whom a session is, and what of a received datagram tells which session it belongs to.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// How far away a peer is. The two kinds have ports of their own, and never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hops {
    /// On the same link: nobody farther away can send what is accepted (RFC 5881 section 5).
    Single,
    /// Behind routers (RFC 5883).
    Multiple {
        /// What is left of 255 in packets from the farthest place that they are accepted from. 1 accepts any, and with
        /// it what anybody in reach forges.
        minimum_ttl: u8,
    },
}

impl Hops {
    /// The UDP port that packets are sent to.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Single => 3784,
            Self::Multiple { .. } => 4784,
        }
    }

    /// The least TTL, or hop limit, that a received packet must have.
    pub(super) const fn minimum_ttl(self) -> u8 {
        match self {
            Self::Single => 255,
            Self::Multiple { minimum_ttl } => minimum_ttl,
        }
    }
}

/// The other end of a session, and from where it is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub remote: IpAddr,
    /// Our address. Without one, the route decides what the peer sees, and it may write to any.
    pub local: Option<IpAddr>,
    /// Index of the device that the peer is behind; link-local addresses need one. Without one, any.
    pub interface: Option<NonZeroU32>,
    /// How far away it is.
    pub hops: Hops,
}

impl Peer {
    /// A peer on the same link.
    #[must_use]
    pub const fn on_link(remote: IpAddr) -> Self {
        Self { remote, local: None, interface: None, hops: Hops::Single }
    }

    pub(super) const fn selector(&self) -> Selector {
        let Self { remote, local, interface, hops } = *self;
        Selector { remote, local, interface, port: hops.port() }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.remote)?;
        if let Some(interface) = self.interface {
            write!(out, "%{interface}")?;
        }
        match self.local {
            Some(local) => write!(out, " from {local}"),
            None => Ok(()),
        }
    }
}

/// From where to where a datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Address that it was sent from.
    pub remote: IpAddr,
    /// Address that it was sent to.
    pub local: IpAddr,
    /// Index of the device that it came in by.
    pub interface: Option<NonZeroU32>,
    /// UDP port that it was sent to.
    pub port: u16,
    /// Its TTL or hop limit as received.
    pub ttl: u8,
}

/// What a session is found by while the other side does not know its discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Selector {
    remote: IpAddr,
    local: Option<IpAddr>,
    interface: Option<NonZeroU32>,
    port: u16,
}

impl Selector {
    /// Whom a datagram may be for: those who ask for exactly where it came first.
    pub(super) fn of(arrival: &Arrival) -> impl Iterator<Item = Self> {
        let Arrival { remote, local, interface, port, .. } = *arrival;
        [(Some(local), interface), (Some(local), None), (None, interface), (None, None)]
            .into_iter()
            .map(move |(local, interface)| Self { remote, local, interface, port })
    }

    /// Whether a datagram is one that this asks for.
    pub(super) fn admits(&self, arrival: &Arrival) -> bool {
        self.remote == arrival.remote
            && self.port == arrival.port
            && self.local.is_none_or(|local| local == arrival.local)
            && self.interface.is_none_or(|interface| Some(interface) == arrival.interface)
    }
}
