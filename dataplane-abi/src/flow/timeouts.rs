//! How long a connection is one without a packet.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Phase, protocol};
use crate::assert_size;

/// Seconds without a packet after which a connection is none any more.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FlowTimeouts {
    /// TCP that is asked for, or agreed to.
    pub tcp_opening: u32,
    /// TCP that is open.
    pub tcp_open: u32,
    /// TCP of which one side has closed.
    pub tcp_half_closed: u32,
    /// TCP that both have closed: how long late packets may come (TIME-WAIT).
    pub tcp_closed: u32,
    /// TCP that was aborted.
    pub tcp_reset: u32,
    /// UDP to which nobody has answered.
    pub udp_single: u32,
    /// UDP in both directions.
    pub udp_open: u32,
    /// Pings.
    pub icmp: u32,
    /// Any other protocol.
    pub other: u32,
}
assert_size!(FlowTimeouts, 36);

impl Default for FlowTimeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FlowTimeouts {
    /// How long a connection is remembered that the rules do not allow any more, so that what is still under way of it does
    /// not start it anew: a datagram that answers looks like one that asks.
    pub const REVOKED: u32 = 30;

    /// TCP: RFC 5382 section 5 (at least two hours and four minutes open, four minutes else), but for what costs an
    /// attacker nothing. UDP: RFC 4787 section 4.3 (at least two minutes). ICMP: RFC 5508 section 3.2 (a minute).
    pub const DEFAULT: Self = Self {
        tcp_opening: 30,
        tcp_open: 7440,
        tcp_half_closed: 240,
        tcp_closed: 10,
        tcp_reset: 10,
        udp_single: 30,
        udp_open: 180,
        icmp: 60,
        other: 300,
    };

    /// Whatever there is, is over.
    pub const NONE: Self = Self {
        tcp_opening: 0,
        tcp_open: 0,
        tcp_half_closed: 0,
        tcp_closed: 0,
        tcp_reset: 0,
        udp_single: 0,
        udp_open: 0,
        icmp: 0,
        other: 0,
    };

    /// That of a protocol's connection in this phase.
    #[must_use]
    #[inline(always)]
    pub const fn of(&self, number: u8, phase: Phase) -> u32 {
        match (number, phase) {
            (_, Phase::Revoked) => Self::REVOKED,
            (protocol::TCP, Phase::Single | Phase::Opening | Phase::Agreed) => self.tcp_opening,
            (protocol::TCP, Phase::Open) => self.tcp_open,
            (protocol::TCP, Phase::HalfClosed) => self.tcp_half_closed,
            (protocol::TCP, Phase::Closed) => self.tcp_closed,
            (protocol::TCP, Phase::Reset) => self.tcp_reset,
            (protocol::UDP, Phase::Single) => self.udp_single,
            (protocol::UDP, _) => self.udp_open,
            (protocol::ICMP | protocol::ICMPV6, _) => self.icmp,
            _ => self.other,
        }
    }
}
