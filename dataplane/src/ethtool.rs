//! What is asked of a device by the ethtool ioctl, and set by it: route netlink has none of it.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};

/// `ETHTOOL_GDRVINFO`, `ETHTOOL_GTXCSUM`, `ETHTOOL_STXCSUM` and `ETHTOOL_SGRO` of `linux/ethtool.h`, which the libc crate
/// has not.
const GET_DRIVER: u32 = 0x03;
const GET_TX_CHECKSUMS: u32 = 0x16;
const SET_TX_CHECKSUMS: u32 = 0x17;
const SET_GRO: u32 = 0x2c;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}
const _: () = assert!(size_of::<DriverInfo>() == 196);

/// The name of a device's driver. `socket` is any of the device's network namespace.
pub(crate) fn driver(socket: BorrowedFd<'_>, device: &str) -> io::Result<String> {
    let mut info = DriverInfo { command: GET_DRIVER, driver: [0; 32], rest: [0; 160] };
    // SAFETY: the command writes a `struct ethtool_drvinfo`, which `info` is.
    unsafe { ask(socket, device, (&raw mut info).cast()) }?;
    let name = info.driver.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Has a device aggregate what it receives (GRO), or not.
pub(crate) fn set_gro(socket: BorrowedFd<'_>, device: &str, on: bool) -> io::Result<()> {
    let mut value = Value { command: SET_GRO, data: u32::from(on) };
    // SAFETY: the command reads a `struct ethtool_value`, which `value` is.
    unsafe { ask(socket, device, (&raw mut value).cast()) }
}

/// Whether a device takes packets whose checksum is still to be computed.
pub(crate) fn tx_checksums(socket: BorrowedFd<'_>, device: &str) -> io::Result<bool> {
    let mut value = Value { command: GET_TX_CHECKSUMS, data: 0 };
    // SAFETY: the command writes a `struct ethtool_value`, which `value` is.
    unsafe { ask(socket, device, (&raw mut value).cast()) }?;
    Ok(value.data != 0)
}

/// Has a device take packets whose checksum is still to be computed, and with them super-packets; or has the kernel
/// compute and cut before the device gets them.
pub(crate) fn set_tx_checksums(socket: BorrowedFd<'_>, device: &str, on: bool) -> io::Result<()> {
    let mut value = Value { command: SET_TX_CHECKSUMS, data: u32::from(on) };
    // SAFETY: the command reads a `struct ethtool_value`, which `value` is.
    unsafe { ask(socket, device, (&raw mut value).cast()) }
}

/// # Safety
/// `data` is valid for what the command in its first word reads and writes.
unsafe fn ask(socket: BorrowedFd<'_>, device: &str, data: *mut libc::c_char) -> io::Result<()> {
    // SAFETY: ifreq is a C struct of integers and byte arrays, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last byte stays zero, as the kernel wants the name to end.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = data;
    // SAFETY: the caller's promise, and the request outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
