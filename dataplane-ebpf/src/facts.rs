//! What of a packet decides whether it is let through: read once, and then the same for the port that sends it and for the
//! one that gets it.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::maps::lpm_trie::Key;
use weft_dataplane_abi::{
    DropReason, Flow, FlowAddress, FlowKey, Fragment, FragmentKey, HalfOpenKey, IdentityKey, IpKey, MacKey,
    RuleKey, ServiceKey, Side, VtepAddr, flow_words,
};

use crate::buffer::Buffer;
use crate::headers::{ETHERNET_LEN, IPV6_LEN, Icmp, Ipv4, Ipv6, OUTER_IPV6_LEN, protocol};
use crate::ip::{self, Version};
use crate::packet::{Packet, Wire};
use crate::skb::Skb;
use crate::xdp::Xdp;
use crate::{extension_headers, maps, subprogram};

/// Values of [`Facts::kind`].
pub mod kind {
    /// A packet of a connection, or one that could start one.
    pub const CONNECTION: u8 = 0;
    /// A later part of a fragmented packet.
    pub const LATER_FRAGMENT: u8 = 1;
    /// An ICMP error; the rest is of a packet that would answer the one that it quotes.
    pub const ERROR: u8 = 2;
    /// Neither: ICMP that is no ping.
    pub const SINGLE: u8 = 3;
}

/// What is read of a packet. It lies where a CPU has one place for it.
#[repr(C)]
pub struct Facts {
    /// One of [`kind`].
    pub kind: u8,
    pub family: u8,
    /// Behind extension headers.
    pub protocol: u8,
    /// TCP: its flags. ICMP: whether it only answers.
    pub flags: u8,
    pub source: FlowAddress,
    pub destination: FlowAddress,
    /// Of an ICMP error: who sent it; the source is that of the answer in whose place it is.
    pub teller: FlowAddress,
    pub source_port: [u8; 2],
    pub destination_port: [u8; 2],
    /// What policies see of the transport header: destination port, or ICMP type and code.
    pub detail: [u8; 2],
    /// Whether more of the packet is to come.
    pub is_first_fragment: bool,
    /// Of what is for many: whether the rest is what it says.
    pub is_readable: bool,
    /// Broadcast or multicast.
    pub is_for_many: bool,
    /// What is judged is the packet that started the connection, which the other side sent: from where, is not known any more.
    pub is_turned: bool,
    pub identification: u32,
    /// Bytes of the frame.
    pub len: u32,
    /// The port that judges: host end of its veth, and its slot.
    pub ifindex: u32,
    pub slot: u32,
    /// Who sent it, as that port sees it: [`Side`] as its number.
    pub side: u32,
    /// The VTEP that it came from; none: a port of this host.
    pub remote: VtepAddr,
    /// What its policy said, if that was asked: its number, the rule's, and both flags of a ruling.
    pub policy: u32,
    pub rule: u32,
    /// Where the connections of the port's tenant are counted.
    pub tenant: u32,
    pub allowed: bool,
    pub stateless: bool,
    /// Nobody counts it.
    pub is_trial: bool,
    pub key: FlowKey,
    pub fragment: FragmentKey,
    pub half_open_key: HalfOpenKey,
    /// A connection that is asked for, before it is written.
    pub flow: Flow,
    /// Of look-ups among the rules.
    pub peer_key: Key<IpKey>,
    pub service_key: Key<ServiceKey>,
    pub address: IpKey,
    pub mac_key: MacKey,
    pub identity_key: IdentityKey,
    pub rule_key: RuleKey,
    /// What the first fragment of a packet says, before it is written.
    pub first: Fragment,
}

/// Both transport ports.
#[repr(C)]
struct Ports {
    source: [u8; 2],
    destination: [u8; 2],
}
// SAFETY: bytes only.
unsafe impl Wire for Ports {}

/// An ICMP message with an identifier (RFC 792, RFC 4443 section 4).
#[repr(C)]
struct Echo {
    icmp: Icmp,
    identifier: [u8; 2],
}
// SAFETY: bytes only.
unsafe impl Wire for Echo {}

const SCTP: u8 = 132;
const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const ICMP_LEN: usize = 8;
/// Bits of an offset behind an outer header.
const MOST: usize = 0x7f;
const _: () = assert!(OUTER_IPV6_LEN <= MOST);
/// Where TCP has its flags.
const TCP_FLAGS: usize = 13;
/// What is read of the packet that an error quotes: its header with options, and the first of the next.
const QUOTED: usize = 60 + 8;

/// Where the parts of a packet are.
struct Layout {
    at: usize,
    end: usize,
    offset: u16,
}

impl Facts {
    /// Who sent it.
    #[inline(always)]
    pub fn side(&self) -> Side {
        if self.side == Side::Own as u32 { Side::Own } else { Side::Peer }
    }

    /// The peer's address.
    #[inline(always)]
    pub fn peer(&self) -> &FlowAddress {
        match self.side() {
            Side::Own => &self.destination,
            Side::Peer => &self.source,
        }
    }

    #[inline(always)]
    fn is_icmp(&self) -> bool {
        (self.family == 4 && self.protocol == protocol::ICMP)
            || (self.family == 6 && self.protocol == protocol::ICMPV6)
    }
}

/// Reads the IP packet behind the Ethernet header at `frame`, whose header has been checked, of a frame of `len` bytes.
#[inline(always)]
pub fn read_skb(skb: &mut Skb, frame: usize, version: Version, len: u32) -> Result<(), DropReason> {
    subprogram::result(read_facts(skb.context(), frame as u32, version as u32, len))
}

/// The same before there is an skb.
#[inline(always)]
pub fn read_xdp(xdp: &mut Xdp, frame: usize, version: Version, len: u32) -> Result<(), DropReason> {
    subprogram::result(read_facts_xdp(xdp.context(), frame as u32, version as u32, len))
}

/// A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn read_facts(skb: *mut __sk_buff, frame: u32, version: u32, len: u32) -> u32 {
    subprogram::answer(read(&mut Skb::of(skb), frame, version, len))
}

/// A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn read_facts_xdp(xdp: *mut xdp_md, frame: u32, version: u32, len: u32) -> u32 {
    subprogram::answer(read(&mut Xdp::of(xdp), frame, version, len))
}

#[inline(always)]
fn read<B: Buffer>(buffer: &mut B, frame: u32, version: u32, len: u32) -> Result<(), DropReason> {
    // It is behind an outer header at most, which the kernel's verifier does not know here.
    let frame = frame as usize & MOST;
    let version = if version == Version::V4 as u32 { Version::V4 } else { Version::V6 };
    let facts = maps::facts()?;
    facts.len = len;
    facts.is_first_fragment = false;
    facts.is_readable = true;
    facts.is_for_many = false;
    facts.is_turned = false;
    facts.flags = 0;
    facts.identification = 0;
    facts.source_port = [0; 2];
    facts.destination_port = [0; 2];
    facts.detail = [0; 2];
    facts.kind = kind::CONNECTION;
    let layout = match version {
        Version::V4 => read_ipv4(facts, &buffer.packet(), frame)?,
        Version::V6 => {
            if extension_headers::follow(&buffer.packet(), frame) {
                buffer.pull(extension_headers::REACH)?;
            }
            read_ipv6(facts, &buffer.packet(), frame)?
        }
    };
    if layout.offset != 0 {
        facts.kind = kind::LATER_FRAGMENT;
        let overwrites = facts.protocol == protocol::TCP && (layout.offset as usize) * 8 < TCP_LEN;
        return if overwrites { Err(DropReason::FragmentedHeader) } else { Ok(()) };
    }
    read_transport(facts, buffer, &layout)
}

#[inline(always)]
fn read_ipv4(facts: &mut Facts, packet: &Packet<'_>, frame: usize) -> Result<Layout, DropReason> {
    let ip = ip::ipv4(packet, frame)?;
    facts.family = 4;
    facts.protocol = ip.protocol;
    facts.source = wide(ip.source);
    facts.destination = wide(ip.destination);
    facts.identification = u16::from_be_bytes(ip.identification) as u32;
    facts.is_first_fragment = ip.is_fragment() && !ip.is_later_fragment();
    let at = frame + ETHERNET_LEN + ip.header_len();
    let end = frame + ETHERNET_LEN + u16::from_be_bytes(ip.total_length) as usize;
    Ok(Layout { at, end, offset: u16::from_be_bytes(ip.flags_fragment) & 0x1fff })
}

#[inline(always)]
fn read_ipv6(facts: &mut Facts, packet: &Packet<'_>, frame: usize) -> Result<Layout, DropReason> {
    let ip = ip::ipv6(packet, frame)?;
    facts.family = 6;
    facts.source = words(ip.source);
    facts.destination = words(ip.destination);
    let end = frame + ETHERNET_LEN + IPV6_LEN + u16::from_be_bytes(ip.payload_length) as usize;
    let layout = extension_headers::layout(packet, frame)?;
    facts.protocol = layout.protocol;
    facts.identification = layout.identification;
    facts.is_first_fragment = layout.is_fragment && layout.offset == 0;
    Ok(Layout { at: layout.at, end, offset: layout.offset })
}

/// An IPv4 address as the keys of maps have it.
#[inline(always)]
fn wide(address: [u8; 4]) -> FlowAddress {
    [u32::from_ne_bytes(address), 0, 0, 0]
}

/// An IPv6 address likewise.
#[inline(always)]
fn words(address: [u8; 16]) -> FlowAddress {
    flow_words(address)
}

/// The transport header, which is whole in the packet, and in the first of its fragments (RFC 1858, RFC 7112).
#[inline(always)]
fn read_transport<B: Buffer>(facts: &mut Facts, buffer: &mut B, layout: &Layout) -> Result<(), DropReason> {
    let needed = match facts.protocol {
        protocol::TCP => TCP_LEN,
        protocol::UDP | SCTP => UDP_LEN,
        _ if facts.is_icmp() => ICMP_LEN,
        _ => return Ok(()),
    };
    if layout.at + needed > layout.end {
        let cut = facts.is_first_fragment;
        return Err(if cut { DropReason::FragmentedHeader } else { DropReason::Malformed });
    }
    buffer.pull((layout.at + needed) as u32)?;
    if facts.is_icmp() {
        return read_icmp(facts, buffer, layout.at);
    }
    let packet = buffer.packet();
    let ports = packet.get::<Ports>(layout.at)?;
    facts.source_port = ports.source;
    facts.destination_port = ports.destination;
    facts.detail = ports.destination;
    if facts.protocol == protocol::TCP {
        facts.flags = packet.get::<[u8; 1]>(layout.at + TCP_FLAGS)?[0];
    }
    Ok(())
}

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

#[inline(always)]
fn read_icmp<B: Buffer>(facts: &mut Facts, buffer: &mut B, at: usize) -> Result<(), DropReason> {
    let echo = buffer.packet();
    let echo = echo.get::<Echo>(at)?;
    facts.detail = [echo.icmp.kind, echo.icmp.code];
    match (facts.family, echo.icmp.kind) {
        (4, ECHO_REQUEST) | (6, ECHO_REQUEST_V6) => facts.source_port = echo.identifier,
        (4, ECHO_REPLY) | (6, ECHO_REPLY_V6) => {
            facts.destination_port = echo.identifier;
            facts.flags = 1;
        }
        // Destination unreachable, source quench, time exceeded, parameter problem; ICMPv6: all below 128.
        (4, 3 | 4 | 11 | 12) | (6, 0..128) => return read_quoted(facts, buffer, at + ICMP_LEN),
        _ => facts.kind = kind::SINGLE,
    }
    Ok(())
}

/// An error is about a packet that its receiver sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4), and belongs where an
/// answer to that would.
#[inline(always)]
fn read_quoted<B: Buffer>(facts: &mut Facts, buffer: &mut B, at: usize) -> Result<(), DropReason> {
    const UNRELATED: DropReason = DropReason::UnrelatedError;
    facts.kind = kind::ERROR;
    facts.teller = facts.source;
    buffer.pull((at + QUOTED) as u32)?;
    let packet = buffer.packet();
    let transport = if facts.family == 4 {
        let ip = packet.get::<Ipv4>(at).map_err(|_| UNRELATED)?;
        if ip.version_ihl >> 4 != 4 || ip.is_later_fragment() || facts.destination != wide(ip.source) {
            return Err(UNRELATED);
        }
        facts.protocol = ip.protocol;
        facts.source = wide(ip.destination);
        at + ip.header_len()
    } else {
        let ip = packet.get::<Ipv6>(at).map_err(|_| UNRELATED)?;
        if ip.version_class_flow[0] >> 4 != 6 || facts.destination != words(ip.source) {
            return Err(UNRELATED);
        }
        facts.protocol = ip.next_header;
        facts.source = words(ip.destination);
        at + IPV6_LEN
    };
    if facts.is_icmp() {
        let echo = packet.get::<Echo>(transport).map_err(|_| UNRELATED)?;
        match echo.icmp.kind {
            ECHO_REQUEST | ECHO_REQUEST_V6 => facts.destination_port = echo.identifier,
            ECHO_REPLY | ECHO_REPLY_V6 => facts.source_port = echo.identifier,
            _ => return Err(UNRELATED),
        }
        return Ok(());
    }
    if matches!(facts.protocol, protocol::TCP | protocol::UDP | SCTP) {
        let ports = packet.get::<Ports>(transport).map_err(|_| UNRELATED)?;
        facts.source_port = ports.destination;
        facts.destination_port = ports.source;
    }
    Ok(())
}
