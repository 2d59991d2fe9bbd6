//! A socket that packets of all sessions of one address family and one port come in by, with what RFC 5881 section 5
//! wants to know of them: TTL, address, device.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{
    Ipv4PacketInfo, Ipv4RecvTtl, Ipv6RecvHopLimit, Ipv6RecvPacketInfo, RcvBufForce,
};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::warn;

use crate::bfd::peer::Arrival;

/// Room for packets that wait while the loop does not run, in bytes as the kernel counts them. The kernel doubles it;
/// more than 2700 packets fit.
const BUFFER: usize = 1 << 20;
/// The kernel counts at least so many bytes for a datagram.
const LEAST_COUNTED: usize = 512;
/// Room for a packet with the longest authentication section and more; what is longer is cut off, and not missed.
const LONGEST: usize = 128;

/// A receiving socket.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: UdpSocket,
    ipv6: bool,
    port: u16,
    /// No more datagrams than this can wait in it.
    capacity: usize,
}

impl Receiver {
    /// Opens it, within a runtime.
    pub(super) fn open(ipv6: bool, port: u16) -> io::Result<Self> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if ipv6 {
            socket.set_only_v6(true)?;
            setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&socket, Ipv4RecvTtl, &true)?;
            setsockopt(&socket, Ipv4PacketInfo, &true)?;
        }
        if setsockopt(&socket, RcvBufForce, &BUFFER).is_err() {
            // Without the capability for more, as much as everybody may have.
            socket.set_recv_buffer_size(BUFFER)?;
        }
        let capacity = socket.recv_buffer_size()? / LEAST_COUNTED + 1;
        let any = if ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        socket.bind(&SocketAddr::new(any, port).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, ipv6, port, capacity })
    }

    pub(super) const fn is(&self, ipv6: bool, port: u16) -> bool {
        self.ipv6 == ipv6 && self.port == port
    }

    /// Ready when something came since the last time that this was ready. Whoever sees it drains the socket.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_recv_ready(context).map(|_| {
            // Taken back before the socket is read, so that what comes while it is read makes it ready again.
            let taken_back =
                self.socket.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
            drop(taken_back);
        })
    }

    /// Hands over everything that waited when the call began; returns whether there may be more. Under a flood it
    /// comes back all the same: no more can have waited than fits.
    pub(super) fn drain(&self, take: &mut impl FnMut(&Arrival, &[u8])) -> bool {
        let mut buffer = [0; LONGEST];
        for _ in 0..self.capacity {
            match self.receive(&mut buffer) {
                Ok(Some((arrival, len))) => take(&arrival, &buffer[..len]),
                // Without its addresses or TTL, it is no datagram that could be judged.
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return false,
                Err(error) => {
                    warn!(%error, port = self.port, "receiving BFD packets");
                    return false;
                }
            }
        }
        true
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<Option<(Arrival, usize)>, Errno> {
        let mut control = cmsg_space!(nix::libc::in6_pktinfo, nix::libc::in_pktinfo, nix::libc::c_int);
        let mut parts = [IoSliceMut::new(buffer)];
        let socket = self.socket.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let (mut ttl, mut local, mut interface) = (None, None, None);
        let controls = message.cmsgs()?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind was asked for")]
        for control in controls {
            match control {
                ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                    ttl = u8::try_from(value).ok();
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    local = Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()));
                    interface = u32::try_from(info.ipi_ifindex).ok().and_then(NonZeroU32::new);
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    local = Some(IpAddr::V6(info.ipi6_addr.s6_addr.into()));
                    interface = NonZeroU32::new(info.ipi6_ifindex);
                }
                _ => {}
            }
        }
        let remote = message.address.as_ref().and_then(address);
        let (Some(remote), Some(local), Some(ttl)) = (remote, local, ttl) else { return Ok(None) };
        Ok(Some((Arrival { remote, local, interface, port: self.port, ttl }, message.bytes)))
    }
}

fn address(storage: &SockaddrStorage) -> Option<IpAddr> {
    let ipv4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    ipv4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}
