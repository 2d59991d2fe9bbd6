//! The TCP options that no crate has: MD5 signatures (RFC 2385), and the least TTL of what is received (RFC 5082).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::IpNet;
use socket2::{SockAddr, SockAddrStorage};

use crate::speaker::Password;

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Signature {
    address: SockAddrStorage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface: libc::c_int,
    key: [u8; Password::MOST_BYTES],
}

const _: () = assert!(size_of::<Md5Signature>() == 216);

/// `TCP_MD5SIG_EXT`, which heeds `flags`.
const TCP_MD5SIG_EXT: libc::c_int = 32;
/// `TCP_MD5SIG_FLAG_PREFIX`.
const FLAG_PREFIX: u8 = 1;

/// Signs what is sent to `peers`, and accepts from them only what is signed, or, without a password, what is not. On a
/// listening socket it counts for connections that come from then on.
///
/// # Errors
/// What the kernel says: `ENOENT` if there was no password to remove.
pub(super) fn set_md5(socket: BorrowedFd<'_>, peers: IpNet, password: Option<&Password>) -> io::Result<()> {
    let mut key = [0; Password::MOST_BYTES];
    let bytes = password.map_or(&[][..], Password::bytes);
    for (to, from) in key.iter_mut().zip(bytes) {
        *to = *from;
    }
    let signature = Md5Signature {
        address: SockAddr::from(SocketAddr::new(peers.network(), 0)).as_storage(),
        flags: FLAG_PREFIX,
        prefix_len: peers.prefix_len(),
        key_len: u16::try_from(bytes.len()).map_err(io::Error::other)?,
        interface: 0,
        key,
    };
    set(socket, libc::IPPROTO_TCP, TCP_MD5SIG_EXT, &signature)
}

/// Has the kernel drop what arrives from `peer` with less.
///
/// # Errors
/// What the kernel says.
pub(super) fn set_minimum_ttl(socket: BorrowedFd<'_>, peer: IpAddr, ttl: u8) -> io::Result<()> {
    let (level, option) = match peer {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
    };
    set(socket, level, option, &libc::c_int::from(ttl))
}

fn set<T>(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `size` bytes of a value of that size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
