//! Services: a protocol, and the port or the ICMP type and code behind it.
//!
//! The tables see a service as one number of 24 bits, the protocol in front. A rule is about a range of such numbers,
//! and a range is a few prefixes.

use std::fmt;

use crate::Family;

/// Which protocols a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Every one.
    Any,
    /// ICMP, in IPv4 only.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// `ICMPv6`, in IPv6 only.
    Icmpv6,
    /// The one with this number.
    Number(u8),
}

/// Which ICMP or `ICMPv6` messages a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code; none for all codes of the type.
    pub code: Option<u8>,
}

/// The service of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(u32);

/// The services whose number begins with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServicePrefix {
    first: u32,
    len: u8,
}

impl Protocol {
    /// SCTP.
    pub const SCTP: Self = Self::Number(132);

    /// The protocol with this number, by its name if it has one here.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmpv6,
            number => Self::Number(number),
        }
    }

    /// The number (IANA's protocol numbers), unless it is any.
    #[must_use]
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Icmp => Some(1),
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Icmpv6 => Some(58),
            Self::Number(number) => Some(number),
        }
    }

    /// The address family that it is for, if there is one only.
    #[must_use]
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::Icmp => Some(Family::V4),
            Self::Icmpv6 => Some(Family::V6),
            Self::Any | Self::Tcp | Self::Udp | Self::Number(_) => None,
        }
    }

    pub(crate) const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::SCTP)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Icmp => f.write_str("icmp"),
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmpv6 => f.write_str("icmpv6"),
            Self::Number(132) => f.write_str("sctp"),
            Self::Number(number) => fmt::Display::fmt(number, f),
        }
    }
}

impl Icmp {
    pub(crate) const fn matches(self, detail: u16) -> bool {
        let [kind, code] = detail.to_be_bytes();
        self.kind == kind && (self.code.is_none() || matches!(self.code, Some(own) if own == code))
    }
}

impl Service {
    /// The bits of a service.
    pub const BITS: u8 = 24;
    pub(crate) const LAST: Self = Self(0xff_ffff);

    /// The service of a protocol's number and a detail, as [`crate::Packet`] has it.
    #[must_use]
    pub const fn new(protocol: u8, detail: u16) -> Self {
        Self((protocol as u32) << 16 | detail as u32)
    }

    #[cfg(test)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl ServicePrefix {
    /// All services.
    pub const ALL: Self = Self { first: 0, len: 0 };

    /// The prefix of `len` bits that the service is in.
    #[must_use]
    pub const fn containing(service: Service, len: u8) -> Self {
        Self { first: service.0 & !Self::mask(len), len }
    }

    /// The bits that count, 0 to 24.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a prefix length")]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// The service's bytes, as they are in a key: the protocol, then the port, or ICMP's type and code. Bits that do not
    /// count are 0.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, protocol, high, low] = self.first.to_be_bytes();
        [protocol, high, low]
    }

    /// Both halves.
    pub(crate) const fn halves(self) -> (Self, Self) {
        let len = self.len + 1;
        (Self { first: self.first, len }, Self { first: self.first | (Self::mask(self.len) + 1) >> 1, len })
    }

    pub(crate) const fn first(self) -> u32 {
        self.first
    }

    /// The bits that do not count.
    const fn mask(len: u8) -> u32 {
        Service::LAST.0 >> len
    }
}
