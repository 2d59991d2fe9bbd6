//! Socket options, and a connection's figures, that neither std nor socket2 has.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;

use crate::probe::Hop;

/// Sets an option whose value is an integer.
pub(crate) fn set(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<()> {
    // SAFETY: the value is an integer of the length that is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            libc::socklen_t::try_from(size_of_val(&value))?,
        )
    };
    Errno::result(result).with_context(|| format!("setting option {option} of level {level} to {value}"))?;
    Ok(())
}

/// Sets an option whose value is bytes.
pub(crate) fn set_bytes(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &[u8],
) -> Result<()> {
    let (fd, length) = (socket.as_fd().as_raw_fd(), libc::socklen_t::try_from(value.len())?);
    // SAFETY: the value is that many bytes.
    let result = unsafe { libc::setsockopt(fd, level, option, value.as_ptr().cast(), length) };
    Errno::result(result)
        .with_context(|| format!("setting option {option} of level {level} to {value:02x?}"))?;
    Ok(())
}

/// Makes the kernel's queue in front of a socket hold so many bytes; needs root.
pub(crate) fn set_queue(socket: &impl AsFd, bytes: libc::c_int) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
}

/// Reads an option whose value is an integer.
pub(crate) fn get(socket: &impl AsFd, level: libc::c_int, option: libc::c_int) -> Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&value))?;
    // SAFETY: the value is an integer of the length that is given.
    let result = unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length)
    };
    Errno::result(result).with_context(|| format!("reading option {option} of level {level}"))?;
    Ok(value)
}

/// The ICMP error that lies in a socket's error queue (`IP_RECVERR`).
pub(crate) fn queued_error(socket: &impl AsFd) -> Result<Hop> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut payload = [0; 256];
    let mut parts = [std::io::IoSliceMut::new(&mut payload)];
    let mut control = vec![0; 512];
    let received =
        recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_ERRQUEUE)
            .context("the socket's error queue")?;
    for message in received.cmsgs()? {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel may add others, such as time stamps")]
        match message {
            ControlMessageOwned::Ipv4RecvErr(error, Some(from)) => {
                let from = u32::from_be(from.sin_addr.s_addr).into();
                return Ok(Hop { from: IpAddr::V4(from), kind: error.ee_type, code: error.ee_code });
            }
            ControlMessageOwned::Ipv6RecvErr(error, Some(from)) => {
                let from = from.sin6_addr.s6_addr.into();
                return Ok(Hop { from: IpAddr::V6(from), kind: error.ee_type, code: error.ee_code });
            }
            _ => {}
        }
    }
    bail!("nothing in the socket's error queue")
}

/// Segments that the kernel sent again on a TCP connection.
pub(crate) fn retransmissions(socket: &impl AsFd) -> Result<u64> {
    // SAFETY: plain integers, of which all zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info))?;
    // SAFETY: the kernel writes at most `length` bytes, the size of `info`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).context("TCP_INFO")?;
    Ok(info.tcpi_total_retrans.into())
}

/// Has a TCP connection be one that is taken apart (`TCP_REPAIR`): it says nothing more, also when it is closed. Needs root.
///
/// # Errors
/// The kernel refuses.
pub fn repair(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1)
}
