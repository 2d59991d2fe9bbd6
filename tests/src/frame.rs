//! Frames to inject: what a stranger, or a tenant that lies, could send.

mod transport;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, IpFragOffset, IpHeaders, IpNumber,
    Ipv4Header, Ipv4Options, Ipv6Header, PacketBuilder, PacketBuilderStep,
};
use weft_vxlan::{Header, MacAddr, UDP_PORT, Vni};

pub use transport::{icmp, icmp_error, ip, patch, tcp};

/// Sender and receiver of a frame at layers 2 and 3.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    /// Source MAC.
    pub source_mac: MacAddr,
    /// Destination MAC.
    pub destination_mac: MacAddr,
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
}

/// A UDP datagram in a frame, checksums right.
///
/// # Errors
/// The addresses are not of one family.
pub fn udp(between: Between, ports: (u16, u16), payload: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    addressed(between)?.udp(ports.0, ports.1).write(&mut frame, payload)?;
    Ok(frame)
}

/// MACs and addresses of a packet that may pass 64 routers.
fn addressed(between: Between) -> Result<PacketBuilderStep<IpHeaders>> {
    let ethernet = PacketBuilder::ethernet2(between.source_mac.bytes(), between.destination_mac.bytes());
    Ok(match (between.source, between.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        (from, to) => bail!("{from} and {to} are not of one family"),
    })
}

/// An echo request (ping) in a frame, checksums right, that may pass `hops` routers.
///
/// # Errors
/// The addresses are not of one family.
pub fn echo(between: Between, hops: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let ethernet = PacketBuilder::ethernet2(between.source_mac.bytes(), between.destination_mac.bytes());
    let mut frame = Vec::new();
    match (between.source, between.destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let builder = ethernet.ipv4(from.octets(), to.octets(), hops).icmpv4_echo_request(7, 1);
            builder.write(&mut frame, payload)?;
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let builder = ethernet.ipv6(from.octets(), to.octets(), hops).icmpv6_echo_request(7, 1);
            builder.write(&mut frame, payload)?;
        }
        (from, to) => bail!("{from} and {to} are not of one family"),
    }
    Ok(frame)
}

/// A frame in VXLAN in a frame.
///
/// # Errors
/// The addresses are not of one family.
pub fn vxlan(between: Between, vni: Vni, inner: &[u8]) -> Result<Vec<u8>> {
    let mut payload = Header { vni }.encode().to_vec();
    payload.extend_from_slice(inner);
    udp(between, (49_152, UDP_PORT), &payload)
}

/// An ARP request or reply in a frame from `frame_source` to `frame_destination`.
///
/// # Errors
/// None that these lengths can cause.
pub fn arp(
    frame: (MacAddr, MacAddr),
    operation: ArpOperation,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
) -> Result<Vec<u8>> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &sender.0.bytes(),
        &sender.1.octets(),
        &target.0.bytes(),
        &target.1.octets(),
    )?;
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(frame.0.bytes(), frame.1.bytes()).arp(packet).write(&mut bytes)?;
    Ok(bytes)
}

/// A neighbour solicitation (RFC 4861 section 4.3) for `target` with a source link-layer address option.
///
/// # Errors
/// The addresses of `between` are not IPv6.
pub fn neighbour_solicitation(between: Between, target: Ipv6Addr) -> Result<Vec<u8>> {
    neighbour_discovery(between, 135, [0; 4], target, (1, between.source_mac))
}

/// An unasked neighbour advertisement (RFC 4861 section 4.4): `target` is at `mac`, override.
///
/// # Errors
/// The addresses of `between` are not IPv6.
pub fn neighbour_advertisement(between: Between, target: Ipv6Addr, mac: MacAddr) -> Result<Vec<u8>> {
    neighbour_discovery(between, 136, [0x20, 0, 0, 0], target, (2, mac))
}

fn neighbour_discovery(
    between: Between,
    kind: u8,
    flags: [u8; 4],
    target: Ipv6Addr,
    (option, mac): (u8, MacAddr),
) -> Result<Vec<u8>> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (between.source, between.destination) else {
        bail!("neighbour discovery is of IPv6");
    };
    let mut payload = target.octets().to_vec();
    payload.extend([option, 1]);
    payload.extend(mac.bytes());
    let mut frame = Vec::new();
    // A hop limit of 255 shows that no router passed it on.
    PacketBuilder::ethernet2(between.source_mac.bytes(), between.destination_mac.bytes())
        .ipv6(from.octets(), to.octets(), 255)
        .icmpv6_raw(kind, 0, flags)
        .write(&mut frame, &payload)?;
    Ok(frame)
}

/// Puts an extension header (RFC 8200 section 4) of 8 bytes between the IPv6 header of a frame and what follows.
/// `number` is its next header value: 0, 43, 44 or 60. Padding, or a fragment that is the whole, in what it holds.
///
/// # Errors
/// The frame is not of IPv6, or as large as can be.
pub fn behind_extension_header(frame: &[u8], number: u8) -> Result<Vec<u8>> {
    let body = match number {
        // Offset 0, no more fragments, and a number.
        44 => [0, 0, 0, 0, 0, 0, 1],
        // Type 0 of nothing left to visit.
        43 => [0; 7],
        // PadN over the rest of the header.
        _ => [0, 1, 4, 0, 0, 0, 0],
    };
    behind_extension(frame, number, &body)
}

/// Puts an extension header between the IPv6 header of a frame and what follows. `body` is what it holds behind its own
/// next header value.
///
/// # Errors
/// The frame is not of IPv6, or as large as can be.
pub fn behind_extension(frame: &[u8], number: u8, body: &[u8]) -> Result<Vec<u8>> {
    let (ethernet, rest) = Ethernet2Header::from_slice(frame)?;
    let (mut ip, payload) = Ipv6Header::from_slice(rest)?;
    let next = std::mem::replace(&mut ip.next_header, IpNumber(number)).0;
    ip.set_payload_length(1 + body.len() + payload.len())?;
    let mut bytes = Vec::with_capacity(frame.len() + 1 + body.len());
    ethernet.write(&mut bytes)?;
    ip.write(&mut bytes)?;
    bytes.push(next);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Puts IPv4 options (RFC 791 section 3.1), a multiple of four bytes and at most 40, into a frame of IPv4 without any.
///
/// # Errors
/// The frame is not of IPv4, or as large as can be.
pub fn with_ipv4_options(frame: &[u8], options: &[u8]) -> Result<Vec<u8>> {
    let (ethernet, rest) = Ethernet2Header::from_slice(frame)?;
    let (mut ip, payload) = Ipv4Header::from_slice(rest)?;
    ip.options = Ipv4Options::try_from(options)?;
    ip.set_payload_len(payload.len())?;
    ip.header_checksum = ip.calc_header_checksum();
    let mut bytes = Vec::with_capacity(frame.len() + options.len());
    ethernet.write(&mut bytes)?;
    ip.write(&mut bytes)?;
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Puts VLAN tags (IEEE 802.1Q) behind the MACs of a frame, the outermost first: each an EtherType and a VLAN ID.
#[must_use]
pub fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let (macs, rest) = frame.split_at(frame.len().min(12));
    let tags = tags.iter().flat_map(|(kind, id)| [kind.to_be_bytes(), id.to_be_bytes()].concat());
    macs.iter().copied().chain(tags).chain(rest.iter().copied()).collect()
}

/// Cuts the payload of a frame of IP into fragments where `parts` say: each begins at a multiple of 8 and ends at a
/// multiple of 8 or with the payload. They may overlap, be out of order, or leave gaps. `id` says what belongs together.
///
/// # Errors
/// The frame is not of IP, or shorter than that.
pub fn pieces(frame: &[u8], id: u16, parts: &[std::ops::Range<usize>]) -> Result<Vec<Vec<u8>>> {
    let (ethernet, rest) = Ethernet2Header::from_slice(frame)?;
    let v6 = ethernet.ether_type == EtherType::IPV6;
    let whole = if v6 { Ipv6Header::from_slice(rest)?.1 } else { Ipv4Header::from_slice(rest)?.1 };
    let header_end = frame.len() - whole.len();
    let piece = |part: &std::ops::Range<usize>| -> Result<Vec<u8>> {
        let Some(payload) = whole.get(part.clone()) else { bail!("{part:?} of {} bytes", whole.len()) };
        let more = part.end < whole.len();
        let plain = [&frame[..header_end], payload].concat();
        if v6 {
            let offset = u16::try_from(part.start)? | u16::from(more);
            let body = [&[0][..], &offset.to_be_bytes(), &u32::from(id).to_be_bytes()].concat();
            return behind_extension(&plain, 44, &body);
        }
        let (mut header, _) = Ipv4Header::from_slice(&plain[Ethernet2Header::LEN..])?;
        header.dont_fragment = false;
        header.more_fragments = more;
        header.identification = id;
        header.fragment_offset = IpFragOffset::try_new(u16::try_from(part.start / 8)?)?;
        header.set_payload_len(payload.len())?;
        header.header_checksum = header.calc_header_checksum();
        let mut bytes = Vec::with_capacity(plain.len());
        ethernet.write(&mut bytes)?;
        header.write(&mut bytes)?;
        bytes.extend_from_slice(payload);
        Ok(bytes)
    };
    parts.iter().map(piece).collect()
}

/// Cuts a frame of IPv4 without options into two fragments after `first` bytes of its payload, a multiple of 8.
///
/// # Errors
/// The frame is not of IPv4, or shorter than that.
pub fn fragments(frame: &[u8], first: usize) -> Result<[Vec<u8>; 2]> {
    let length = Ipv4Header::from_slice(Ethernet2Header::from_slice(frame)?.1)?.1.len();
    match pieces(frame, 0x7766, &[0..first, first..length])?.try_into() {
        Ok(fragments) => Ok(fragments),
        Err(_) => bail!("two parts are two pieces"),
    }
}
