//! Socket options that neither std nor socket2 has.

use std::os::fd::{AsFd, AsRawFd as _};

use anyhow::{Context as _, Result};
use nix::errno::Errno;

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

/// Makes the kernel's queue in front of a socket hold so many bytes; needs root.
pub(crate) fn set_queue(socket: &impl AsFd, bytes: libc::c_int) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
}
