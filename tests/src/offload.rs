//! Switches offloads of a device by the ethtool ioctl.

use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};

use crate::Namespace;

/// Who cuts large packets of a sender: the device (on veth: nobody, a super-packet travels whole) or the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offloads {
    /// As the kernel made the device: TSO, GSO, checksum offload.
    On,
    /// None: every packet on the wire is of at most MTU size and has its checksum filled in.
    Off,
}

/// `ETHTOOL_GTXCSUM` of `linux/ethtool.h`, which the libc crate has not.
const GET_TX_CHECKSUMS: u32 = 0x16;

/// `ETHTOOL_STXCSUM`, `ETHTOOL_STSO`, `ETHTOOL_SGSO` of `linux/ethtool.h`, which the libc crate has not.
const SWITCHES: [(u32, &str); 3] = [(0x17, "tx-checksum"), (0x1f, "TSO"), (0x24, "GSO")];

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

impl Namespace {
    /// Switches transmit offloads of a device. Checksums come first: without theirs the kernel lets no other be on.
    ///
    /// # Errors
    /// The device is missing or has no such switch.
    pub fn set_offloads(&self, device: &str, offloads: Offloads) -> Result<()> {
        for (command, name) in SWITCHES {
            let value = Value { command, data: u32::from(offloads == Offloads::On) };
            self.run(|| ask(device, value))?
                .with_context(|| format!("switching {name} of {device} in {}", self.name()))?;
        }
        Ok(())
    }

    /// Whether a device takes packets whose checksum is still to be computed.
    ///
    /// # Errors
    /// The device is missing.
    pub fn takes_checksums(&self, device: &str) -> Result<bool> {
        let value = Value { command: GET_TX_CHECKSUMS, data: 0 };
        let answer = self.run(|| ask(device, value))?;
        Ok(answer.with_context(|| format!("asking {device} in {}", self.name()))? != 0)
    }
}

/// Gives a command, and what the kernel answers.
fn ask(device: &str, mut value: Value) -> Result<u32> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    // SAFETY: ifreq is a C struct of integers and byte arrays, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last byte stays zero, as the kernel wants the name to end.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    const { assert!(size_of::<Value>() == 8) };
    // SAFETY: the request names a `Value`, which is what these commands read or write, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    nix::errno::Errno::result(result)?;
    Ok(value.data)
}
