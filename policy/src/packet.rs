//! A packet as policy sees it.

use std::net::IpAddr;

use crate::{Family, GroupSet, Protocol, Service};

/// What of a packet decides. Its direction is that of the policy which is asked.
///
/// Later fragments have no port: what they are is known from the first one, and is not this crate's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The peer's address: the source on ingress, the destination on egress.
    pub peer: IpAddr,
    /// The groups that the peer is a member of; empty if nothing is known of it.
    pub groups: &'a GroupSet,
    /// The protocol's number, behind any extension headers.
    pub protocol: u8,
    /// The destination port of TCP, UDP and SCTP, [`Packet::icmp`] of ICMP and `ICMPv6`. It does not count for others.
    pub detail: u16,
}

impl Packet<'_> {
    /// The detail of an ICMP or `ICMPv6` packet.
    #[must_use]
    pub const fn icmp(kind: u8, code: u8) -> u16 {
        u16::from_be_bytes([kind, code])
    }

    /// The service; none for ICMP over IPv6 and `ICMPv6` over IPv4, which only rules about any protocol take.
    #[must_use]
    pub fn service(&self) -> Option<Service> {
        let family = Protocol::from_number(self.protocol).family();
        if family.is_some_and(|family| family != Family::of(self.peer)) {
            return None;
        }
        Some(Service::new(self.protocol, self.detail))
    }
}
