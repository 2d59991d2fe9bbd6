//! A session's own sending socket: TTL 255, and a source port that stays (RFC 5881 sections 4 and 5).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tracing::{info, warn};

use crate::bfd::peer::Peer;
use crate::dice::Dice;

/// Source ports are from here to 65535.
const FIRST_PORT: u16 = 49152;
/// How often another port is tried. Not all of 16384 are taken by accident.
const TRIES: usize = 64;
/// Class selector 6, network control: routers serve it before what overload drops.
const TRAFFIC_CLASS: u32 = 0xc0;

/// Sends one session's packets. The socket is opened by the first packet, and tried again by each until it opens: the
/// address to send from may come later.
#[derive(Debug)]
pub(super) struct Sender {
    socket: Option<Socket>,
    to: SockAddr,
    /// Whether the last packet was not taken: told once, not with each packet.
    failing: bool,
}

impl Sender {
    pub(super) fn new(peer: &Peer) -> Self {
        let to = SocketAddr::new(peer.remote, peer.hops.port()).into();
        Self { socket: None, to, failing: false }
    }

    /// Sends without waiting; returns whether the kernel took it. A packet that it did not take is lost like one that
    /// the network loses: the next one is under way soon.
    pub(super) fn send(&mut self, peer: &Peer, bytes: &[u8], dice: &mut Dice) -> bool {
        match self.try_send(peer, bytes, dice) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    info!(%peer, "BFD packets can be sent again");
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%peer, %error, "a BFD packet was not sent; the next one is tried");
                }
                false
            }
        }
    }

    fn try_send(&mut self, peer: &Peer, bytes: &[u8], dice: &mut Dice) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            closed @ None => closed.insert(open(peer, dice)?),
        };
        loop {
            match socket.send_to(bytes, &self.to) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn open(peer: &Peer, dice: &mut Dice) -> io::Result<Socket> {
    let (domain, any) = match peer.remote {
        IpAddr::V4(_) => (Domain::IPV4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(_) => (Domain::IPV6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    if peer.remote.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_unicast_hops_v6(255)?;
        socket.set_tclass_v6(TRAFFIC_CLASS)?;
        // Says as well which device's a link-local address is.
        socket.bind_device_by_index_v6(peer.interface)?;
    } else {
        socket.set_ttl_v4(255)?;
        socket.set_tos_v4(TRAFFIC_CLASS)?;
        socket.bind_device_by_index_v4(peer.interface)?;
    }
    let local = peer.local.unwrap_or(any);
    let mut outcome = Err(ErrorKind::AddrInUse.into());
    for _ in 0..TRIES {
        let port = FIRST_PORT | (dice.roll() & 0x3fff) as u16;
        outcome = socket.bind(&SocketAddr::new(local, port).into());
        match &outcome {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Ok(()) | Err(_) => break,
        }
    }
    outcome.map(|()| socket)
}
