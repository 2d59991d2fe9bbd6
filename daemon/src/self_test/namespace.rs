//! The network namespace of the self-test's port, and the sockets in it. It has no name and belongs to this process: it
//! goes with it, and with it the port.

use std::fs::{self, File};
use std::io;
use std::mem::size_of;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::bulk::{self, Bulk};
use super::{address, probe, trial};

/// `UDP_SEGMENT`, `UDP_NO_CHECK6_TX` and `UDP_NO_CHECK6_RX` of `linux/udp.h`, which the libc crate has not all of.
const NO_CHECKSUM_SENT: libc::c_int = 101;
const NO_CHECKSUM_WANTED: libc::c_int = 102;
const SEGMENT: libc::c_int = 103;

/// The namespace. It lives while one of these does, or a socket.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<File>);

/// The sockets in it. All take datagrams without a checksum.
#[derive(Debug)]
pub struct Sockets {
    /// Answers others' probes, without checksums.
    pub service: UdpSocket,
    /// Reads others' probes over TCP.
    pub bulk_service: UdpSocket,
    /// Send others probes, one for each flow of a trial.
    pub flows: Vec<UdpSocket>,
    /// Sends those over TCP.
    pub bulk: Bulk,
}

impl Namespace {
    /// Makes it, and the sockets.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn make() -> io::Result<(Self, Sockets)> {
        // The thread that enters it is thrown away.
        let thread = std::thread::Builder::new().name("weft-self-test".to_owned()).spawn(|| {
            // SAFETY: it changes the calling thread alone, and takes no pointer.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            let file = File::open("/proc/thread-self/ns/net")?;
            // There is no router to be found; where it cannot be said, the questions are dropped.
            let _ = fs::write("/proc/sys/net/ipv6/conf/default/router_solicitations", "0");
            Ok((Self(Arc::new(file)), Sockets::open()?))
        })?;
        thread.join().map_err(|_| io::Error::other("its thread panicked"))?
    }

    /// Where it can be entered while this process lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }
}

impl Sockets {
    fn open() -> io::Result<Self> {
        let socket = |port| {
            let socket = UdpSocket::bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))?;
            socket.set_nonblocking(true)?;
            set(&socket, libc::SOL_UDP, NO_CHECKSUM_WANTED, 1)?;
            Ok::<_, io::Error>(socket)
        };
        let service = socket(address::UDP_PORT)?;
        leave_out_checksums(&service, true)?;
        let flows = (0..trial::FLOWS).map(|_| socket(0)).collect::<io::Result<_>>()?;
        let raw = |error: io::Error| {
            let told = format!("sockets for packets of TCP, which CAP_NET_RAW lets weftd open: {error}");
            io::Error::new(error.kind(), told)
        };
        let (bulk_service, bulk) = (bulk::receiver().map_err(raw)?, Bulk::open().map_err(raw)?);
        Ok(Self { service, bulk_service, flows, bulk })
    }
}

/// Whether what `socket` sends from now on is without a checksum. Otherwise what is longer than a segment is sent in
/// segments; the kernel refuses the two together.
pub(super) fn leave_out_checksums(socket: &impl AsRawFd, out: bool) -> io::Result<()> {
    let segment = if out { 0 } else { probe::SEGMENT_LEN };
    set(socket, libc::SOL_UDP, SEGMENT, segment.into())?;
    set(socket, libc::SOL_UDP, NO_CHECKSUM_SENT, out.into())
}

pub(super) fn set(
    socket: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the size of an integer is small")]
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` lives, and `value` is as long as is said.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
