//! ICMP errors as a workload meets them: the messages themselves, and what its kernel makes of them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::ANSWER;
use super::echo::unspecified;
use crate::{Namespace, socket_option};

/// Where traceroute's probes begin.
const TRACE_PORT: u16 = 33_434;

/// An ICMP or ICMPv6 error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpError {
    /// Who sent it.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The MTU that it tells, if it tells one.
    pub mtu: u32,
    /// Bytes quoted of the packet that it is about.
    pub quoted: usize,
}

/// Listens to the ICMP errors that one family of a namespace receives.
#[derive(Debug)]
pub struct Refusals {
    /// A raw socket in truth: std has no type for those, and this one receives with the sender's address.
    socket: UdpSocket,
}

impl Refusals {
    /// Listens from now on to those of `to`'s family.
    ///
    /// # Errors
    /// The kernel makes no raw socket.
    pub fn listen(namespace: &Namespace, to: IpAddr) -> Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = namespace.run(|| Socket::new(domain, Type::RAW, Some(protocol)))?;
        Ok(Self { socket: socket.context("a raw ICMP socket")?.into() })
    }

    /// The next error about a packet to `about`. Its checksums are checked here, whatever the kernel thinks of them.
    ///
    /// # Errors
    /// There is none in time, or a checksum is wrong.
    pub fn next(&self, about: IpAddr) -> Result<IcmpError> {
        let deadline = Instant::now() + ANSWER;
        let mut buffer = vec![0; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no ICMP error about {about}");
            }
            self.socket.set_read_timeout(Some(left))?;
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let bytes = buffer.get(..length).unwrap_or_default();
            let error = match (about, from.ip()) {
                (IpAddr::V4(about), from) => parse4(bytes, from, about.octets())?,
                (IpAddr::V6(about), IpAddr::V6(from)) => parse6(bytes, from.octets(), about.octets())?,
                (IpAddr::V6(_), IpAddr::V4(_)) => None,
            };
            if let Some(error) = error {
                return Ok(error);
            }
        }
    }
}

/// A raw IPv4 socket gives the IP header too.
fn parse4(bytes: &[u8], from: IpAddr, about: [u8; 4]) -> Result<Option<IcmpError>> {
    let Some((header, message)) = bytes.split_first_chunk::<20>() else { return Ok(None) };
    let Some((kind @ (3 | 11), code, mtu, quote)) = self::header(message) else { return Ok(None) };
    if quote.get(16..20) != Some(&about) {
        return Ok(None);
    }
    if sum(header) != 0xffff || sum(message) != 0xffff {
        bail!("a checksum of {bytes:02x?} is wrong");
    }
    Ok(Some(IcmpError { from, kind, code, mtu: mtu & 0xffff, quoted: quote.len() }))
}

/// A raw IPv6 socket does not. Who received the message is who sent what it quotes.
fn parse6(bytes: &[u8], from: [u8; 16], about: [u8; 16]) -> Result<Option<IcmpError>> {
    let Some((kind @ 1..=3, code, mtu, quote)) = header(bytes) else { return Ok(None) };
    let (Some(to), Some(target)) = (quote.get(8..24), quote.get(24..40)) else { return Ok(None) };
    if target != about {
        return Ok(None);
    }
    let length = u32::try_from(bytes.len())?.to_be_bytes();
    let pseudo = [&from[..], to, &length, &[0, 0, 0, 58]].concat();
    if sum(&[&pseudo, bytes].concat()) != 0xffff {
        bail!("the checksum of {bytes:02x?} is wrong");
    }
    Ok(Some(IcmpError { from: from.into(), kind, code, mtu, quoted: quote.len() }))
}

fn header(message: &[u8]) -> Option<(u8, u8, u32, &[u8])> {
    let [kind, code, _, _, a, b, c, d, quote @ ..] = message else { return None };
    Some((*kind, *code, u32::from_be_bytes([*a, *b, *c, *d]), quote))
}

/// One's complement sum (RFC 1071).
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high, ..] => u32::from(*high) << 8,
        [] => 0,
    });
    words.fold(0, |sum, word| (sum + word) % 0x1_0000 + (sum + word) / 0x1_0000)
}

/// Where a traceroute probe ended, as the kernel reports it to the socket that sent the probe (`IP_RECVERR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Who said so.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
}

impl Namespace {
    /// A traceroute probe over UDP to `to` that may pass `hops` routers: who answers.
    ///
    /// # Errors
    /// Nobody does, or the kernel does not take the answer for one.
    pub fn trace(&self, to: IpAddr, hops: u8) -> Result<Hop> {
        let socket = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to), 0)))??;
        let (level, ttl, receive) = match to {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_RECVERR),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, libc::IPV6_RECVERR),
        };
        socket_option::set(&socket, level, ttl, hops.into())?;
        socket_option::set(&socket, level, receive, 1)?;
        socket.connect(SocketAddr::new(to, TRACE_PORT + u16::from(hops)))?;
        socket.set_read_timeout(Some(ANSWER))?;
        socket.send(b"where does this end?")?;
        match socket.recv(&mut [0; 16]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                bail!("no answer at hop {hops} to {to}")
            }
            Err(_) => socket_option::queued_error(&socket),
            Ok(_) => bail!("{to} has a service on a port of traceroute's"),
        }
    }

    /// The MTU that the kernel knows of the path to `to`, in bytes.
    ///
    /// # Errors
    /// There is no route.
    pub fn path_mtu(&self, to: IpAddr) -> Result<u32> {
        let (level, option) = match to {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
        };
        let mtu = self.run(|| {
            let socket = UdpSocket::bind(SocketAddr::new(unspecified(to), 0))?;
            socket.connect(SocketAddr::new(to, TRACE_PORT))?;
            socket_option::get(&socket, level, option)
        })??;
        Ok(u32::try_from(mtu)?)
    }

    /// Sends a datagram of `size` bytes to port `port` of `to`, as this `discovery` (`IP_PMTUDISC_*`) says; `EMSGSIZE` if
    /// the kernel knows that it is too big.
    ///
    /// # Errors
    /// No socket could be made.
    pub fn datagram(
        &self,
        to: SocketAddr,
        size: usize,
        discovery: libc::c_int,
    ) -> Result<std::result::Result<(), Errno>> {
        let (level, option) = match to {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        };
        let socket = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0)))??;
        socket_option::set(&socket, level, option, discovery)?;
        Ok(match socket.send_to(&vec![0x5a; size], to) {
            Ok(_) => Ok(()),
            Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or_default())),
        })
    }
}
