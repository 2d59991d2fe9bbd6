//! Ping: ICMP and ICMPv6 echo (RFC 792, RFC 4443) over a raw socket.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use etherparse::Icmpv4Header;
use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type};
use socket2::{Domain, Protocol, Socket, Type};

use super::ANSWER;
use crate::{Namespace, socket_option, wait_for};

/// Bytes of messages that wait for a pinger.
const QUEUE: libc::c_int = 8 << 20;

/// Why a ping had no answer.
#[derive(Debug)]
pub enum PingError {
    /// None came in time.
    Timeout,
    /// It could not be sent: no route, or larger than the path takes.
    Send(std::io::Error),
}

/// One running "ping" program.
#[derive(Debug)]
pub(super) struct Pinger {
    socket: Socket,
    to: IpAddr,
    id: u16,
}

impl Pinger {
    /// A pinger in the namespace of the calling thread.
    pub(super) fn open(to: IpAddr) -> Result<Self> {
        // Other pingers in the namespace see the same answers.
        static IDS: AtomicU16 = AtomicU16::new(1);
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol)).context("a raw ICMP socket")?;
        // It gets what every pinger of the namespace is sent, and nobody reads while no CPU is free.
        socket_option::set_queue(&socket, QUEUE)?;
        Ok(Self { socket, to, id: IDS.fetch_add(1, Ordering::Relaxed) })
    }

    /// Never fragments: IP_PMTUDISC_PROBE sends with DF set, whatever the route's MTU is believed to be.
    pub(super) fn never_fragment(&self) -> Result<()> {
        let (level, option) = match self.to {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        };
        socket_option::set(&self.socket, level, option, libc::IP_PMTUDISC_PROBE)
    }

    /// Sends request number `sequence` with `payload`.
    pub(super) fn send(&self, sequence: u16, payload: &[u8]) -> std::io::Result<()> {
        let echo = IcmpEchoHeader { id: self.id, seq: sequence };
        let mut message = match self.to {
            IpAddr::V4(_) => {
                Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), payload).to_bytes().to_vec()
            }
            // The kernel fills in the checksum of raw ICMPv6 (RFC 3542 section 3.1).
            IpAddr::V6(_) => etherparse::Icmpv6Header::new(Icmpv6Type::EchoRequest(echo)).to_bytes().to_vec(),
        };
        message.extend_from_slice(payload);
        self.socket.send_to(&message, &SocketAddr::new(self.to, 0).into()).map(drop)
    }

    /// The sequence number of the next answer that comes before `deadline`, or that has come when it is over already.
    pub(super) fn receive(&self, deadline: Instant) -> Result<Option<u16>> {
        // What is cut off is the payload's end.
        let mut buffer = [0; 256];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.socket.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            let length = match (&self.socket).read(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                // An ICMP error of an earlier request; the request counts as lost.
                Err(_) => continue,
            };
            if let Some(sequence) = self.answer(buffer.get(..length).unwrap_or_default()) {
                return Ok(Some(sequence));
            }
        }
    }

    /// The sequence number, if these bytes answer one of our requests.
    fn answer(&self, bytes: &[u8]) -> Option<u16> {
        let (kind, message) = match self.to {
            // Raw IPv4 sockets give the IP header, raw IPv6 sockets do not.
            IpAddr::V4(_) => {
                let words = usize::from(bytes.first()? & 0x0f);
                (0, bytes.get(words * 4..)?)
            }
            IpAddr::V6(_) => (129, bytes),
        };
        let [found, 0, _, _, id_high, id_low, sequence_high, sequence_low, ..] = *message else {
            return None;
        };
        let ours = found == kind && u16::from_be_bytes([id_high, id_low]) == self.id;
        ours.then(|| u16::from_be_bytes([sequence_high, sequence_low]))
    }
}

impl Namespace {
    /// Pings `to` once: the round-trip time, or why there was no answer.
    ///
    /// # Errors
    /// No socket could be made: the namespace's fault, not the network's.
    pub fn ping(&self, to: IpAddr) -> Result<std::result::Result<Duration, PingError>> {
        self.ping_sized(to, 56, ANSWER)
    }

    /// Pings `to` once with `size` bytes of payload that no one may fragment, and waits for `patience`.
    ///
    /// # Errors
    /// As [`Namespace::ping`].
    pub fn ping_sized(
        &self,
        to: IpAddr,
        size: usize,
        patience: Duration,
    ) -> Result<std::result::Result<Duration, PingError>> {
        self.run(|| {
            let pinger = Pinger::open(to)?;
            pinger.never_fragment()?;
            let start = Instant::now();
            if let Err(error) = pinger.send(1, &vec![0x5a; size]) {
                return Ok(Err(PingError::Send(error)));
            }
            Ok(match pinger.receive(start + patience)? {
                Some(_) => Ok(start.elapsed()),
                None => Err(PingError::Timeout),
            })
        })?
    }

    /// Pings `to` until it answers.
    ///
    /// # Errors
    /// It does not within `patience`.
    pub fn ping_until(&self, to: IpAddr, patience: Duration) -> Result<Duration> {
        wait_for(patience, &format!("ping from {} to {to}", self.name()), || {
            match self.ping_sized(to, 56, Duration::from_millis(500)) {
                Ok(Ok(rtt)) => Ok(rtt),
                Ok(Err(error)) => Err(format!("{error:?}")),
                Err(error) => Err(format!("{error:#}")),
            }
        })
    }
}
