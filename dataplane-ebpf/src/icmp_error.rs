//! ICMP errors (RFC 792, RFC 1812 section 4.3.2) and ICMPv6 errors (RFC 4443): a packet that cannot go on is turned into
//! the message that tells its sender why, as the gateway of the sender's subnet would.
//!
//! The offending packet is counted as dropped all the same. No error is sent about an error, about later fragments,
//! about what many received or what nobody can be told of (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e), and no more
//! of them than the port's limit lets through.

mod message;
mod v4;
mod v6;

use weft_dataplane_abi::{DropReason, Endpoint, HostConfig};

use crate::headers::Ethernet;
use crate::ip::Version;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};
use crate::{limit, maps};

pub use message::{MessageV4, MessageV6};

/// Why a packet does not go on, where its sender may be told.
#[derive(Clone, Copy)]
pub enum Refusal {
    /// Larger than the path takes, which is IP packets of `mtu` bytes.
    TooBig { mtu: u32 },
    /// TTL or hop limit would reach zero.
    TimeExceeded,
    /// The gateway has no such UDP or TCP port.
    PortUnreachable,
}

impl Refusal {
    /// What the packet is counted as.
    #[inline(always)]
    pub fn reason(self) -> DropReason {
        match self {
            Self::TooBig { .. } => DropReason::TooBig,
            Self::TimeExceeded => DropReason::TtlExpired,
            Self::PortUnreachable => DropReason::NotForGateway,
        }
    }
}

/// Tells the port that sent the packet, which is as it came, but for the first bytes being linear.
#[inline(always)]
pub fn answer(skb: &mut Skb, endpoint: &Endpoint, refusal: Refusal) -> Verdict {
    let host = maps::host()?;
    let reason = refusal.reason();
    let packet = skb.packet();
    let ethernet = packet.get::<Ethernet>(0)?;
    let version = Version::of(ethernet.ethertype)?;
    // What many received is nobody's to complain about.
    if ethernet.destination[0] & 1 != 0 {
        return Err(reason);
    }
    let macs = Macs { destination: endpoint.mac(), source: host.gateway_mac() };
    turn_into(skb, host, endpoint, version, macs, refusal)?;
    Ok(Action::Answer { reason, ifindex: skb.ifindex() })
}

/// MACs of a message.
pub struct Macs {
    pub destination: [u8; 6],
    pub source: [u8; 6],
}

/// What a message says beside its quote. All of it in memory, for functions that are not inlined.
struct Told {
    destination: [u8; 6],
    source: [u8; 6],
    kind: u8,
    code: u8,
    rest: [u8; 4],
    /// From whom the packet was for, rather than from the gateway.
    by_target: bool,
}

/// Turns the packet into the message about it, from the gateway of `endpoint`'s subnet, within that port's limit.
#[inline(always)]
pub fn turn_into(
    skb: &mut Skb,
    host: &HostConfig,
    endpoint: &Endpoint,
    version: Version,
    macs: Macs,
    refusal: Refusal,
) -> Result<(), DropReason> {
    let allowed = match version {
        Version::V4 => v4::may_be_answered(skb.again()),
        Version::V6 => v6::may_be_answered(skb.again()),
    };
    if !allowed || !limit::icmp_error(host.limits(), endpoint.slot()) {
        return Err(refusal.reason());
    }
    let (kind, code, rest) = match version {
        Version::V4 => v4::header(refusal),
        Version::V6 => v6::header(refusal),
    };
    let Macs { destination, source } = macs;
    let by_target = matches!(refusal, Refusal::PortUnreachable);
    let told = Told { destination, source, kind, code, rest, by_target };
    match version {
        Version::V4 => v4::turn_into(skb.again(), endpoint, &told),
        Version::V6 => v6::turn_into(skb.again(), endpoint, &told),
    }
}
