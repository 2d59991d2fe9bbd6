//! TCP sockets as BGP wants them: signed, with a TTL that fits how far away the peer is, and without delay.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::option;
use crate::speaker::{Distance, Password, Path};

/// Connections that wait to be accepted: a whole fabric that comes back at once.
const BACKLOG: i32 = 1024;
/// Class selector 6, network control: routers serve it before what overload drops.
const TRAFFIC_CLASS: u32 = 0xc0;

/// Listens on an address, also on one that is not there yet.
///
/// # Errors
/// What the kernel says, such as that the port is taken.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address)?;
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    // A peer that counts hops (RFC 5082) looks at the SYN-ACK already, which leaves before it is known whose it is.
    set_ttl(&socket, address.ip(), 255)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Demands signatures of `peers`, or no more.
///
/// # Errors
/// What the kernel says.
pub(super) fn demand_signatures(
    listener: &TcpListener,
    peers: IpNet,
    password: Option<&Password>,
) -> io::Result<()> {
    match option::set_md5(listener.as_fd(), peers, password) {
        // There was none to remove.
        Err(error) if password.is_none() && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// Connects to a peer.
///
/// # Errors
/// What the kernel says.
pub(super) async fn connect(path: &Path) -> io::Result<TcpStream> {
    let socket = open(path.remote)?;
    set_distance(&socket, path)?;
    if let Some(password) = &path.password {
        option::set_md5(socket.as_fd(), IpNet::from(path.remote.ip()), Some(password))?;
    }
    if let Some(local) = path.local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(path.remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Makes an accepted connection fit its peer.
///
/// # Errors
/// What the kernel says.
pub(super) fn adopt(stream: &TcpStream, path: &Path) -> io::Result<()> {
    set_distance(&SockRef::from(stream), path)?;
    stream.set_nodelay(true)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    match address {
        SocketAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS)?,
        SocketAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS)?,
    }
    Ok(socket)
}

fn set_distance(socket: &Socket, path: &Path) -> io::Result<()> {
    let peer = path.remote.ip();
    match path.distance {
        Distance::Any => set_ttl(socket, peer, 64),
        Distance::Reach(ttl) => set_ttl(socket, peer, ttl.get()),
        Distance::Within(hops) => {
            set_ttl(socket, peer, 255)?;
            option::set_minimum_ttl(socket.as_fd(), peer, 255 - (hops.get() - 1))
        }
    }
}

fn set_ttl(socket: &Socket, peer: IpAddr, ttl: u8) -> io::Result<()> {
    match peer {
        IpAddr::V4(_) => socket.set_ttl_v4(ttl.into()),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(ttl.into()),
    }
}
