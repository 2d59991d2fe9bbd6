//! What may come out of a tunnel, and into which port it goes: the same for packets that weft and that the kernel
//! decapsulates.

use aya_ebpf::bindings::__sk_buff;
use weft_dataplane_abi::{
    DropReason, HostConfig, MacKey, Place, VniEntry, VtepAddr, VtepVniKey, kind, vni_kind,
};

use crate::buffer::Buffer;
use crate::encapsulate::encapsulate;
use crate::headers::{Ethernet, ethertype};
use crate::icmp_error::{self, Macs, Refusal};
use crate::ip::{self, Version};
use crate::outcome::Outcome;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict};
use crate::{events, firewall, maps, neighbour_discovery, route, subprogram, ttl};

/// A packet for one port.
#[repr(C)]
pub struct Received {
    ifindex: u32,
    slot: u32,
    firewalled: bool,
    remote: VtepAddr,
    routed: bool,
    spent: bool,
    version: Version,
    destination: [u8; 6],
    source: [u8; 6],
}

impl Received {
    /// IP version of the inner packet.
    #[inline(always)]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether its hops end here, which its sender may have to be told.
    #[inline(always)]
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// The device that it is delivered to.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }
}

/// What `vni` stands for here, if `remote` may send into it.
#[inline(always)]
pub fn admit(vni: u32, remote: VtepAddr) -> Result<VniEntry, DropReason> {
    let entry = maps::vni(vni)?.ok_or(DropReason::UnknownVni)?;
    if maps::may_send(&VtepVniKey::raw(vni, remote)) { Ok(entry) } else { Err(DropReason::UnknownVtep) }
}

/// What a function answers that judged a frame from another host: its packet is in this CPU's place for it.
pub const PACKET: u32 = 0;
/// The same of what is for a whole subnet: ARP, neighbour discovery, broadcast or multicast. Its numbers are there.
pub const BRIDGED: u32 = u32::MAX;

/// What came from another host.
#[repr(C)]
pub struct Arrived {
    pub received: Received,
    /// Bytes of the inner frame.
    pub len: u32,
    pub network: u32,
    pub vni: u32,
    /// The ECN field of the outer header.
    pub ecn: u8,
}

/// What a function answers: [`PACKET`], [`BRIDGED`], or why it is dropped, as a reason's number and one.
#[inline(always)]
pub fn answer(judged: Result<bool, DropReason>) -> u32 {
    match judged {
        Ok(true) => PACKET,
        Ok(false) => BRIDGED,
        Err(reason) => subprogram::answer(Err(reason)),
    }
}

/// Judges the inner frame at `frame`, of `len` bytes, that `remote` sent into `vni`. What it is lies in this CPU's place for it
/// then; whether it is a packet for one port, all checks passed.
#[inline(always)]
pub fn judge(
    buffer: &mut impl Buffer,
    frame: usize,
    len: u32,
    host: &'static HostConfig,
    remote: VtepAddr,
    vni: u32,
) -> Result<bool, DropReason> {
    let arrived = maps::arrived()?;
    let entry = admit(vni, remote)?;
    arrived.len = len;
    arrived.network = entry.network();
    arrived.vni = vni;
    let routed = entry.kind() == vni_kind::NETWORK;
    let packet = buffer.packet();
    let ethernet = packet.get::<Ethernet>(frame)?;
    let mac = ethernet.destination;
    if !routed && ethernet.ethertype == ethertype::ARP {
        return Ok(false);
    }
    let version = Version::of(ethernet.ethertype)?;
    if !routed && mac[0] & 1 != 0 {
        return Ok(false);
    }
    let destination = ip::destination(&packet, frame, len, version, entry.network())?;
    // Routed, neighbour discovery has lost the hop limit of 255 that makes it count.
    if !routed && version == Version::V6 && neighbour_discovery::is_message(buffer, frame)? {
        return Ok(false);
    }
    let packet = &buffer.packet();
    let ethernet = packet.get::<Ethernet>(frame)?;
    let next_hop = if routed {
        if ethernet.destination != host.router_mac() {
            return Err(DropReason::NotRouterMac);
        }
        route::lookup(destination)?
    } else {
        maps::switch(&MacKey::raw(vni, ethernet.destination))?.ok_or(DropReason::UnknownMac)?
    };
    // Only ever into a port: what another host sends is not sent on.
    if next_hop.kind() != kind::LOCAL {
        return Err(DropReason::NotLocal);
    }
    let received = &mut arrived.received;
    (received.destination, received.source) =
        if routed { (next_hop.mac(), host.gateway_mac()) } else { (ethernet.destination, ethernet.source) };
    received.spent = routed && ttl::is_spent(packet, frame, version)?;
    (received.ifindex, received.slot) = (next_hop.ifindex(), next_hop.slot());
    received.firewalled = next_hop.is_firewalled();
    received.remote = remote;
    received.routed = routed;
    received.version = version;
    Ok(true)
}

/// Has the port that is to get the packet in this CPU's place for it, whose Ethernet header is at `frame`, judge it.
#[inline(always)]
pub fn firewall<B: Buffer>(buffer: &mut B, frame: usize) -> Result<(), DropReason> {
    let Arrived { received, len, .. } = maps::arrived()?;
    if !received.firewalled || received.spent {
        return Ok(());
    }
    buffer.read_facts(frame, received.version, *len)?;
    firewall::ingress((received.ifindex, received.slot), received.remote)
}

/// Delivers the packet, or refuses it if its hops end here.
#[inline(always)]
pub fn deliver(skb: &mut Skb, received: &Received) -> Verdict {
    if received.spent {
        return Ok(Action::Refuse(Refusal::TimeExceeded));
    }
    hand_over(skb, received)
}

/// What becomes of a packet that [`deliver`] has come to a decision about: if it is refused, that is told here, while the packet
/// still is what is dropped, and its sender is told.
#[inline(always)]
pub fn delivered(skb: &mut Skb, place: Place, outcome: Outcome) -> Outcome {
    match outcome.verdict() {
        Ok(Action::Refuse(refusal)) => {
            events::tell_skb(skb, place, 0, refusal.reason());
            Outcome::answered(answer_expired(skb.context()))
        }
        Ok(_) | Err(_) => outcome,
    }
}

/// Answers an [`Outcome`]. A [subprogram] of its own, called with little stack in use.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answer_expired(skb: *mut __sk_buff) -> u64 {
    let reason = DropReason::TtlExpired;
    let answered = maps::arrived().and_then(|arrived| {
        maps::host().and_then(|host| expired(&mut Skb::of(skb), host, &arrived.received))
    });
    // Whyever its sender is not told, the packet was out of hops.
    Outcome::of(answered.or(Ok(Action::Unanswered { reason }))).number_of()
}

/// Delivers a packet that is not spent. Its Ethernet header is written again in full: where weft took the outer headers
/// off, the kernel kept the outer one in front.
#[inline(always)]
pub fn hand_over(buffer: &mut impl Buffer, received: &Received) -> Verdict {
    if received.routed {
        ttl::decrement(buffer, received.version)?;
    }
    let mut packet = buffer.packet();
    let ethernet = packet.get_mut::<Ethernet>(0)?;
    ethernet.destination = received.destination;
    ethernet.source = received.source;
    ethernet.ethertype = received.version.ethertype();
    buffer.accept()?;
    let Received { ifindex, slot, firewalled, .. } = *received;
    Ok(Action::Deliver { ifindex, slot, firewalled })
}

/// The second router of a path (symmetric IRB) found no hop left: the gateway of the destination's subnet says so,
/// through the tunnel to the sender's host. Nothing that came out of a tunnel goes on: what leaves is weft's own message.
#[inline(always)]
fn expired(skb: &mut Skb, host: &HostConfig, received: &Received) -> Verdict {
    let reason = DropReason::TtlExpired;
    let endpoint = maps::own_endpoint(received.ifindex)?.ok_or(reason)?;
    let sender = ip::source(&skb.packet(), 0, received.version, endpoint.network())?;
    let back = route::lookup(sender)?;
    if !back.is_elsewhere() {
        return Err(reason);
    }
    let macs = Macs { destination: back.mac(), source: host.router_mac() };
    icmp_error::turn_into(skb, host, endpoint, received.version, macs, Refusal::TimeExceeded)?;
    match encapsulate(skb, host, back, received.version, back.mac(), host.router_mac(), false)? {
        Action::Transmit { ifindex } => Ok(Action::Answer { reason, ifindex }),
        _ => Err(reason),
    }
}
