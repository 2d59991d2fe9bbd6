//! Connections of a port: what a packet has to belong to, unless a rule lets it in or out by itself.
//!
//! A connection is of one port, and its two sides are the port and its peer. So a connection between two ports of a host
//! is two of these, each judged by the rules of its own port, and what one port has open takes nothing of another's share.
//!
//! The state machine is plain code without a clock: the programs run it on what a map holds, and tests on their own.
//!
//! Connections that both sides have agreed to are in one map, [`FLOWS`](crate::maps::FLOWS), where the programs change them
//! in place; all others are in [`HALF_OPEN`](crate::maps::HALF_OPEN), where each change is a new entry. What is over time is
//! none, and is removed by the daemon some time later; the programs do not write to it.

mod limits;
mod phase;
mod tcp;
mod timeouts;

use core::net::IpAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

pub use limits::{FlowCounts, FlowLimits, Fragment, FragmentKey, HalfOpenKey};
pub use phase::Phase;
pub use tcp::flags;
pub use timeouts::FlowTimeouts;

/// IP protocol numbers with states of their own.
mod protocol {
    pub(super) const ICMP: u8 = 1;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const ICMPV6: u8 = 58;
}

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The port.
    Own = 0,
    /// The other side.
    Peer = 1,
}

/// An address in wire order, as words: the programs copy four of them sooner than sixteen bytes. IPv4 is in the first, and the
/// others are zero.
pub type FlowAddress = [u32; 4];

/// An address as the keys of connections have it.
#[must_use]
pub const fn flow_address(address: IpAddr) -> FlowAddress {
    match address {
        IpAddr::V4(v4) => [u32::from_ne_bytes(v4.octets()), 0, 0, 0],
        IpAddr::V6(v6) => flow_words(v6.octets()),
    }
}

/// An IPv6 address as words.
#[must_use]
#[inline(always)]
pub const fn flow_words(address: [u8; 16]) -> FlowAddress {
    zerocopy::transmute!(address)
}

/// The same back.
#[must_use]
#[inline(always)]
pub const fn flow_bytes(address: FlowAddress) -> [u8; 16] {
    zerocopy::transmute!(address)
}

/// The address that the key of a connection of this family (4 or 6) has.
#[must_use]
pub fn address_of(family: u8, address: FlowAddress) -> IpAddr {
    let [first, ..] = address;
    if family == 4 { IpAddr::from(first.to_ne_bytes()) } else { IpAddr::from(flow_bytes(address)) }
}

/// A connection of a port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FlowKey {
    /// Host end of the port's veth.
    pub ifindex: u32,
    /// 4 or 6.
    pub family: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// The port's transport port, or the identifier of a ping that it asks; 0 if there is neither.
    pub own_port: [u8; 2],
    /// The same of the peer.
    pub peer_port: [u8; 2],
    padding: [u8; 2],
    /// The port's address.
    pub own: FlowAddress,
    /// The peer's.
    pub peer: FlowAddress,
}
assert_size!(FlowKey, 44);

impl FlowKey {
    /// A connection between these addresses and transport ports, in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn new(
        ifindex: u32,
        (family, protocol): (u8, u8),
        (own, own_port): (FlowAddress, [u8; 2]),
        (peer, peer_port): (FlowAddress, [u8; 2]),
    ) -> Self {
        Self { ifindex, family, protocol, own_port, peer_port, padding: [0; 2], own, peer }
    }
}

/// What a packet's transport header says of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// TCP, with these [`flags`].
    Tcp(u8),
    /// Asks for an answer, as a ping does; or of a protocol that does not say.
    Request,
    /// Answers: starts nothing.
    Answer,
}

impl Signal {
    /// Whether it can only be the first of a connection.
    #[must_use]
    #[inline(always)]
    pub const fn asks(self) -> bool {
        match self {
            Self::Tcp(flags) => tcp::asks(flags),
            Self::Request | Self::Answer => false,
        }
    }
}

/// What a packet does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It belongs to it.
    Belongs,
    /// It starts another one between the same ports, to be judged for itself.
    Starts,
    /// Neither.
    Invalid,
}

/// By what a connection was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The generation of the rules.
    pub generation: u32,
    /// Number of the rule, or [`Ruling::DEFAULT`](crate::Ruling::DEFAULT).
    pub rule: u32,
}

/// How far a connection is, and by what it was let through.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Flow {
    phase: u8,
    starter: u8,
    /// Who closed first, or aborted. While it is asked for: who has asked last.
    closer: u8,
    revoked: u8,
    seen: u32,
    generation: u32,
    rule: u32,
    /// That of the key: what the kernel gives another connection's memory to, is told by it.
    ifindex: u32,
    since: u32,
    packets: u64,
    bytes: u64,
    place: u32,
    padding_2: u32,
}
assert_size!(Flow, 48);

impl Flow {
    /// A connection of the port behind `ifindex` that the packet of `side` starts at `now`, let through by `judged`. `None` if
    /// such a packet starts none.
    #[must_use]
    #[inline(always)]
    pub fn start(ifindex: u32, signal: Signal, side: Side, now: u32, judged: Judged) -> Option<Self> {
        let phase = match signal {
            Signal::Tcp(flags) if tcp::asks(flags) => Phase::Opening,
            Signal::Request => Phase::Single,
            Signal::Tcp(_) | Signal::Answer => return None,
        };
        let (starter, closer) = (side as u8, side as u8);
        let Judged { generation, rule } = judged;
        Some(Self {
            phase: phase as u8,
            starter,
            closer,
            revoked: 0,
            seen: now,
            generation,
            rule,
            ifindex,
            since: now,
            packets: 0,
            bytes: 0,
            place: 0,
            padding_2: 0,
        })
    }

    /// What the packet of `side` does at `now`, and where that leaves the connection. One that is over time, by
    /// [`Flow::is_over`], is none any more: whoever asks has looked.
    #[inline(always)]
    pub fn advance(&mut self, signal: Signal, side: Side, now: u32) -> Step {
        match signal {
            Signal::Tcp(flags) => self.advance_tcp(flags, side, now),
            Signal::Request | Signal::Answer => {
                if side as u8 != self.starter {
                    self.phase = Phase::Open as u8;
                }
                self.seen = now;
                Step::Belongs
            }
        }
    }

    /// Whether its time is over at `now`.
    #[must_use]
    #[inline(always)]
    pub fn is_over(&self, timeouts: &FlowTimeouts, protocol: u8, now: u32) -> bool {
        now.wrapping_sub(self.seen) >= timeouts.of(protocol, self.phase())
    }

    /// How far it is.
    #[must_use]
    #[inline(always)]
    pub const fn phase(&self) -> Phase {
        if self.revoked == 0 { Phase::of(self.phase) } else { Phase::Revoked }
    }

    /// Who started it.
    #[must_use]
    #[inline(always)]
    pub const fn starter(&self) -> Side {
        if self.starter == Side::Own as u8 { Side::Own } else { Side::Peer }
    }

    /// The generation of the rules that it was judged by.
    #[must_use]
    #[inline(always)]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The rule that lets it through.
    #[must_use]
    #[inline(always)]
    pub const fn rule(&self) -> u32 {
        self.rule
    }

    /// It was judged again, and this lets it through: also if it did not for a moment.
    #[inline(always)]
    pub fn judge(&mut self, judged: Judged) {
        self.generation = judged.generation;
        self.rule = judged.rule;
        self.revoked = 0;
    }

    /// It was judged again, and nothing lets it through. It stays [`FlowTimeouts::REVOKED`] seconds from the first time on,
    /// and is judged at each packet.
    #[inline(always)]
    pub fn revoke(&mut self, now: u32) {
        if self.revoked == 0 {
            self.revoked = 1;
            self.seen = now;
        }
    }

    /// Host end of the port's veth.
    #[must_use]
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// It was given this place in the order in which its port asks.
    #[inline(always)]
    pub fn queue(&mut self, place: u32) {
        self.place = place;
    }

    /// Its place in the order in which its port asked.
    #[must_use]
    #[inline(always)]
    pub const fn place(&self) -> u32 {
        self.place
    }

    /// Counts a packet of so many bytes.
    #[inline(always)]
    pub fn count(&mut self, bytes: u32) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Packets of both sides, and the bytes of their frames; of a super-packet as one.
    #[must_use]
    pub const fn traffic(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }

    /// When it started, in seconds of the kernel's monotonic clock.
    #[must_use]
    pub const fn since(&self) -> u32 {
        self.since
    }

    /// When a packet of it was last seen.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.seen
    }
}

#[cfg(test)]
mod tests;
