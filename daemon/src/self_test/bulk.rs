//! Super-packets of TCP, as a workload's bulk transfers are made of, for devices that cut UDP in software and TCP
//! themselves.
//!
//! A connection would need the other direction too, which is not what is tested. So one packet is put on the port's device
//! as the kernel would put it there, with its checksum and its cutting left to the device (`virtio_net_hdr`), and is read
//! at the other end by a raw socket that has the kernel verify each checksum. Nothing is kept of any packet, and the kernel
//! there resets what it knows of no connection: there is none to hold open, and what is answered is one small datagram
//! for each segment.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use weft_vxlan::{MacAddr, Vtep};

use super::address;
use super::namespace::set;

/// Bytes of each segment: with headers, less than any path for IPv6 carries.
pub(super) const SEGMENT_LEN: u16 = 1024;

/// `PACKET_VNET_HDR` of `linux/if_packet.h`, and of `linux/virtio_net.h` what a packet with a checksum to be computed and
/// TCP over IPv6 to be cut is told by.
const VNET_HEADER: libc::c_int = 15;
const NEEDS_CHECKSUM: u8 = 1;
const TCP_OVER_IPV6: u8 = 4;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
const TCP: usize = 20;
/// Where in a TCP header its checksum is.
const CHECKSUM: u16 = 16;

/// Sends them.
#[derive(Debug)]
pub struct Bulk(OwnedFd);

/// Between which machines and ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) own: Vtep,
    pub(super) gateway: MacAddr,
    pub(super) to: Ipv6Addr,
    pub(super) port: u16,
}

impl Bulk {
    /// Of the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        // Of no protocol, so that it receives nothing.
        let socket = open(libc::AF_PACKET, 0)?;
        set(&socket, libc::SOL_PACKET, VNET_HEADER, 1)?;
        Ok(Self(socket))
    }

    /// Sends `payload` from the port's device.
    pub(super) fn send(&self, ends: Ends, payload: &[u8]) -> io::Result<()> {
        let packet = packet(ends, payload)?;
        // SAFETY: zeros are a valid value of it.
        let mut to: libc::sockaddr_ll = unsafe { zeroed() };
        to.sll_family = family(libc::AF_PACKET);
        to.sll_protocol = 0x86dd_u16.to_be();
        to.sll_ifindex = self.index(address::DEVICE)?;
        // SAFETY: pointers and lengths are those of `packet` and `to`, which outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                libc::MSG_DONTWAIT,
                (&raw const to).cast(),
                length_of::<libc::sockaddr_ll>(),
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The index of a device in the socket's namespace, which is not the caller's.
    fn index(&self, device: &str) -> io::Result<libc::c_int> {
        // SAFETY: zeros are a valid value of it.
        let mut request: libc::ifreq = unsafe { zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: the kernel writes no more than the request is long.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFINDEX, &raw mut request) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: that call writes this field.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex })
    }
}

/// A socket that reads TCP packets from the TCP header on, if their checksum is right. It is one of the kernel's raw
/// sockets, which are read like those of UDP.
pub(super) fn receiver() -> io::Result<UdpSocket> {
    let socket = UdpSocket::from(open(libc::AF_INET6, libc::IPPROTO_TCP)?);
    set(&socket, libc::IPPROTO_IPV6, libc::IPV6_CHECKSUM, CHECKSUM.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Of what a [`receiver`] read: the sender's port and the segments.
pub(super) fn segments(packet: &[u8]) -> Option<(u16, impl Iterator<Item = &[u8]>)> {
    let (header, _) = packet.split_first_chunk::<TCP>()?;
    let [source_high, source_low, to_high, to_low, ..] = *header;
    let [.., offset, _, _, _, _, _, _, _] = *header;
    let payload = packet.get(usize::from(offset >> 4) * 4..)?;
    let for_us = u16::from_be_bytes([to_high, to_low]) == address::UDP_PORT;
    for_us.then(|| (u16::from_be_bytes([source_high, source_low]), payload.chunks(usize::from(SEGMENT_LEN))))
}

/// The packet as the device gets it, behind what is said about it.
fn packet(ends: Ends, payload: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::other("a super-packet of more than 64 KiB");
    let length = u16::try_from(TCP + payload.len()).map_err(too_long)?;
    let (from, to) = (address::address(ends.own), ends.to);
    let [headers, start] = [ETHERNET + IPV6 + TCP, ETHERNET + IPV6].map(u16::try_from);
    let mut packet = vec![NEEDS_CHECKSUM, TCP_OVER_IPV6];
    for number in [headers.map_err(too_long)?, SEGMENT_LEN, start.map_err(too_long)?, CHECKSUM] {
        packet.extend(number.to_ne_bytes());
    }
    packet.extend(ends.gateway.bytes());
    packet.extend(address::mac(ends.own).bytes());
    packet.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    packet.extend(length.to_be_bytes());
    // TCP, 64 hops.
    packet.extend([6, 64]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(ends.port.to_be_bytes());
    packet.extend(address::UDP_PORT.to_be_bytes());
    // Both numbers, five words of header, ACK, the window.
    packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff]);
    // Of the checksum what is not in the packet: the device does the rest.
    packet.extend(pseudo_header(from, to, length).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    Ok(packet)
}

fn pseudo_header(from: Ipv6Addr, to: Ipv6Addr, length: u16) -> u16 {
    let words = from.segments().into_iter().chain(to.segments()).chain([length, 6]);
    let mut sum: u32 = words.map(u32::from).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    // 18 words: once more is enough, and what is left fits.
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX)
}

fn open(family: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: it takes no pointer.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "families are small numbers")]
const fn family(family: libc::c_int) -> libc::sa_family_t {
    family as libc::sa_family_t
}

#[expect(clippy::cast_possible_truncation, reason = "addresses are short")]
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_read() {
        let ends = Ends {
            own: "192.0.2.1".parse().unwrap(),
            gateway: "00:00:5e:00:01:01".parse().unwrap(),
            to: "fd77:6566:7400::c000:202:1".parse().unwrap(),
            port: 40_000,
        };
        let payload = [[0; 1024], [1; 1024]].concat();
        let packet = packet(ends, &payload).unwrap();
        assert_eq!(packet[..2], [1, 4]);
        assert_eq!(packet[2..10], [74_u16, 1024, 54, 16].map(u16::to_ne_bytes).concat());
        let tcp = &packet[10 + 54..];
        let (port, read) = segments(tcp).unwrap();
        assert_eq!((port, read.collect::<Vec<_>>()), (40_000, vec![&[0; 1024][..], &[1; 1024][..]]));
        // Short ones, those for others, and a header that says it is longer than all.
        assert!((0..TCP).all(|len| segments(&tcp[..len]).is_none()));
        for (place, value) in [(3, 0), (12, 0xf0)] {
            let mut other = tcp[..40].to_vec();
            other[place] = value;
            assert!(segments(&other).is_none(), "byte {place}");
        }
        assert!(super::packet(ends, &[0; 65_536]).is_err());
    }
}
