//! A rule of a security group: what may be written, and what of it can never match.

use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::{Family, Icmp, Packet, Peer, Protocol, Service};

mod text;

/// Which way a packet goes, as the port sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the port.
    Ingress,
    /// From the port.
    Egress,
}

/// What becomes of a packet. Of rules with the same priority, deny counts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is dropped.
    Deny,
    /// It goes on.
    Allow,
}

/// A rule as it is written, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    /// Which packets of the port it is about.
    pub direction: Direction,
    /// What becomes of them.
    pub action: Action,
    /// The lower, the earlier the rule counts.
    pub priority: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Destination ports, of TCP, UDP and SCTP only; none for all.
    pub ports: Option<RangeInclusive<u16>>,
    /// The message, of ICMP and `ICMPv6` only; none for all.
    pub icmp: Option<Icmp>,
    /// The other end.
    pub peer: Peer,
    /// Whether the packets are judged one by one, rather than by the flow that they belong to.
    pub stateless: bool,
}

/// A rule that can match. Equal rules mean the same: a protocol with a name is not a number, and all ports are none.
///
/// The order is that in which rules count: by priority, deny before allow, stateful before stateless. What comes behind
/// makes no difference to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    priority: u16,
    action: Action,
    stateless: bool,
    protocol: Protocol,
    ports: Option<Ports>,
    icmp: Option<Icmp>,
    peer: Peer,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Ports {
    first: u16,
    last: u16,
}

/// Why something is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Ports of a protocol that has none.
    #[error(
        "ports {first}-{last} with protocol {protocol}: only tcp, udp and sctp (132) have ports; name one of them, or no ports"
    )]
    NoPorts {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
        /// The protocol.
        protocol: Protocol,
    },
    /// A range that begins behind its end.
    #[error("ports {first}-{last} are none: the first is above the last")]
    EmptyPorts {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// An ICMP type of a protocol that has none.
    #[error("icmp type {kind} with protocol {protocol}: only icmp and icmpv6 have types")]
    NoIcmp {
        /// The type.
        kind: u8,
        /// The protocol.
        protocol: Protocol,
    },
    /// An address where a prefix belongs.
    #[error("prefix {prefix} has bits set behind its length; it may be meant as {}", prefix.trunc())]
    HostBits {
        /// The prefix.
        prefix: IpNet,
    },
    /// ICMP with an IPv6 prefix, or `ICMPv6` with an IPv4 one.
    #[error("protocol {protocol} with prefix {prefix} never matches: icmp is of IPv4, icmpv6 of IPv6")]
    OtherFamily {
        /// The protocol.
        protocol: Protocol,
        /// The prefix.
        prefix: IpNet,
    },
}

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// [`RuleError`] if it can never match, or says something that makes no sense.
    pub fn new(spec: RuleSpec) -> Result<Self, RuleError> {
        let protocol = spec.protocol.number().map_or(Protocol::Any, Protocol::from_number);
        if let Peer::Prefix(prefix) = spec.peer {
            check_prefix(prefix, protocol)?;
        }
        if let Some(Icmp { kind, .. }) = spec.icmp
            && protocol.family().is_none()
        {
            return Err(RuleError::NoIcmp { kind, protocol });
        }
        Ok(Self {
            priority: spec.priority,
            action: spec.action,
            stateless: spec.stateless,
            protocol,
            ports: spec.ports.map(|ports| Ports::new(&ports, protocol)).transpose()?.flatten(),
            icmp: spec.icmp,
            peer: spec.peer,
            direction: spec.direction,
        })
    }

    /// Which packets of the port it is about.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// What becomes of them.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// The lower, the earlier the rule counts.
    #[must_use]
    pub const fn priority(&self) -> u16 {
        self.priority
    }

    /// The protocol.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Destination ports, unless it is about all.
    #[must_use]
    pub fn ports(&self) -> Option<RangeInclusive<u16>> {
        self.ports.map(|Ports { first, last }| first..=last)
    }

    /// The ICMP or `ICMPv6` message, unless it is about all.
    #[must_use]
    pub const fn icmp(&self) -> Option<Icmp> {
        self.icmp
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether packets are judged one by one.
    #[must_use]
    pub const fn stateless(&self) -> bool {
        self.stateless
    }

    /// Whether a packet of its direction is one of those that it is about.
    #[must_use]
    pub fn matches(&self, packet: &Packet<'_>) -> bool {
        self.peer.matches(packet)
            && self.protocol.number().is_none_or(|number| number == packet.protocol)
            && self.protocol.family().is_none_or(|family| family == Family::of(packet.peer))
            && self.ports.is_none_or(|ports| (ports.first..=ports.last).contains(&packet.detail))
            && self.icmp.is_none_or(|icmp| icmp.matches(packet.detail))
    }

    /// The services that it is about, both ends included.
    pub(crate) fn services(&self) -> (Service, Service) {
        let Some(number) = self.protocol.number() else { return (Service::new(0, 0), Service::LAST) };
        let (first, last) = match (self.ports, self.icmp) {
            (Some(ports), _) => (ports.first, ports.last),
            (None, Some(Icmp { kind, code })) => {
                (Packet::icmp(kind, code.unwrap_or(0)), Packet::icmp(kind, code.unwrap_or(u8::MAX)))
            }
            (None, None) => (0, u16::MAX),
        };
        (Service::new(number, first), Service::new(number, last))
    }
}

impl Ports {
    /// Checks a range; none if it is all ports.
    fn new(range: &RangeInclusive<u16>, protocol: Protocol) -> Result<Option<Self>, RuleError> {
        let (first, last) = (*range.start(), *range.end());
        if !protocol.has_ports() {
            return Err(RuleError::NoPorts { first, last, protocol });
        }
        if first > last {
            return Err(RuleError::EmptyPorts { first, last });
        }
        Ok(((first, last) != (0, u16::MAX)).then_some(Self { first, last }))
    }
}

fn check_prefix(prefix: IpNet, protocol: Protocol) -> Result<(), RuleError> {
    if prefix != prefix.trunc() {
        return Err(RuleError::HostBits { prefix });
    }
    if protocol.family().is_some_and(|family| family != Family::of_prefix(&prefix)) {
        return Err(RuleError::OtherFamily { protocol, prefix });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
