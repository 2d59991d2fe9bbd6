//! Security groups: each port judges what it sends and what comes to it, by connections first and by rules then.
//!
//! A connection between two ports of this host is judged twice, for either port by its own rules. What is read of a packet
//! ([`facts`]) is read once.

use weft_dataplane_abi::{DropReason, Endpoint, Side, VtepAddr, port_flags};

use crate::facts::kind;
use crate::ip::Version;
use crate::skb::Skb;
use crate::{connection, facts, maps, policy};

/// Whether a packet of a port, its source checked, may be sent.
#[inline(always)]
pub fn egress(skb: &mut Skb, endpoint: &Endpoint, version: Version) -> Result<(), DropReason> {
    if !endpoint.has(port_flags::FIREWALL) {
        return Ok(());
    }
    let (len, ifindex) = (skb.len(), skb.ifindex());
    facts::read_skb(skb, 0, version, len)?;
    judge(ifindex, endpoint.slot(), Side::Own, VtepAddr::NONE)
}

/// Whether a packet whose facts were read may come to the port behind `ifindex`, with this slot: from another port of this
/// host, or from `remote`.
#[inline(always)]
pub fn ingress((ifindex, slot): (u32, u32), remote: VtepAddr) -> Result<(), DropReason> {
    judge(ifindex, slot, Side::Peer, remote)
}

/// Whether a port may send a packet to many. Of such no connection is kept: a rule lets it through.
#[inline(always)]
pub fn egress_to_many(skb: &mut Skb, endpoint: &Endpoint, version: Version) -> Result<(), DropReason> {
    let ifindex = skb.ifindex();
    read_for_many(skb, version, VtepAddr::NONE)?;
    if !endpoint.has(port_flags::FIREWALL) {
        return Ok(());
    }
    by_rule(ifindex, Side::Own)
}

/// Reads the facts of a packet from `remote`, or from a port of this host, for all ports that get a copy.
#[inline(always)]
pub fn read_for_many(skb: &mut Skb, version: Version, remote: VtepAddr) -> Result<(), DropReason> {
    let len = skb.len();
    let read = facts::read_skb(skb, 0, version, len);
    let facts = maps::facts()?;
    facts.remote = remote;
    facts.is_for_many = true;
    // Without a firewall nobody asks.
    facts.is_readable = read.is_ok() && facts.kind != kind::LATER_FRAGMENT;
    Ok(())
}

/// Whether a rule lets a copy come to a port, after [`read_for_many`].
#[inline(always)]
pub fn admits_copy(ifindex: u32) -> Result<(), DropReason> {
    by_rule(ifindex, Side::Peer)
}

#[inline(always)]
fn by_rule(ifindex: u32, side: Side) -> Result<(), DropReason> {
    let facts = maps::facts()?;
    facts.ifindex = ifindex;
    facts.side = side as u32;
    policy::decide()?;
    if facts.allowed { Ok(()) } else { Err(DropReason::PolicyDenied) }
}

#[inline(always)]
fn judge(ifindex: u32, slot: u32, side: Side, remote: VtepAddr) -> Result<(), DropReason> {
    let facts = maps::facts()?;
    facts.ifindex = ifindex;
    facts.slot = slot;
    facts.side = side as u32;
    facts.remote = remote;
    connection::judge()
}
