//! Values of the config file that cannot be wrong once they were read.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weft_vxlan::{MacAddr, Vtep};

use crate::model::names;

/// Bytes of a device's name in the kernel, without the closing zero (`IFNAMSIZ`).
const DEVICE_NAME_LEN: usize = 15;

/// A name that a network device can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(String);

/// A name by the rule of the resources' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// A path from the root, since a daemon's working folder is not its user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(PathBuf);

/// A MAC address that one station can own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnicastMac(MacAddr);

impl DeviceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is wrong with `name`, if anything.
    #[must_use]
    pub fn fault(name: &str) -> Option<&'static str> {
        if name.is_empty() || name.len() > DEVICE_NAME_LEN {
            Some("a device's name has 1 to 15 bytes")
        } else if name == "." || name == ".." || name.contains(['/', ':', '\0']) {
            Some("a device's name has no slash, colon or zero byte and is neither \".\" nor \"..\"")
        } else if name.contains(char::is_whitespace) {
            Some("a device's name has no white space")
        } else {
            None
        }
    }
}

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AbsolutePath {
    pub(super) fn of(path: &str) -> Self {
        Self(path.into())
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl UnicastMac {
    pub(super) const fn of(mac: MacAddr) -> Self {
        Self(mac)
    }

    /// The address.
    #[must_use]
    pub const fn get(self) -> MacAddr {
        self.0
    }
}

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match Self::fault(&name) {
            Some(fault) => Err(D::Error::custom(format_args!("{name:?}: {fault}"))),
            None => Ok(Self(name)),
        }
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match names::fault(&name) {
            Some(fault) => Err(D::Error::custom(format_args!("the host's name {name:?} {fault}"))),
            None => Ok(Self(name)),
        }
    }
}

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        if path.is_absolute() {
            return Ok(Self(path));
        }
        Err(D::Error::custom(format_args!("{path:?} is not a path from the root; begin it with a slash")))
    }
}

impl<'de> Deserialize<'de> for UnicastMac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mac = MacAddr::deserialize(deserializer)?;
        if mac.is_unicast() {
            return Ok(Self(mac));
        }
        Err(D::Error::custom(format_args!(
            "{mac} is not a unicast MAC address; the first byte is even and not all are zero"
        )))
    }
}

/// Bytes of a page on the machines that have the largest ones: a ring buffer has whole pages.
const LARGEST_PAGE: u32 = 65_536;

/// Reads the size of a ring buffer.
pub(super) fn ring_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let bytes = u32::deserialize(deserializer)?;
    if bytes.is_power_of_two() && (LARGEST_PAGE..=1 << 30).contains(&bytes) {
        return Ok(bytes);
    }
    Err(D::Error::custom(format_args!(
        "{bytes} bytes are no size for a ring buffer; name a power of two from {LARGEST_PAGE} to {}",
        1 << 30
    )))
}

/// Reads a tunnel address of a family that the data plane speaks on the underlay.
pub(super) fn underlay_vtep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vtep, D::Error> {
    let vtep = Vtep::deserialize(deserializer)?;
    match vtep.address() {
        IpAddr::V4(_) => Ok(vtep),
        IpAddr::V6(_) => Err(D::Error::custom(format_args!(
            "VTEP {vtep} is an IPv6 address, and tunnels over IPv6 are not supported yet; name an IPv4 address of this \
             host. Inside the tunnels, IPv6 works"
        ))),
    }
}
