//! A wire between two namespaces: a veth pair with names, addresses, MTU and offloads of choice.

use anyhow::Result;
use ipnet::IpNet;

use crate::{Namespace, Offloads};

/// One end of a wire.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// What the device is called there.
    pub device: &'a str,
    /// Addresses of the device.
    pub addresses: &'a [IpNet],
}

/// What a wire is like.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// MTU of both ends.
    pub mtu: u32,
    /// Transmit offloads of both ends.
    pub offloads: Offloads,
}

impl Default for Wire {
    fn default() -> Self {
        Self { mtu: 1500, offloads: Offloads::On }
    }
}

impl Wire {
    /// Lays a wire and sets both ends up.
    ///
    /// # Errors
    /// A device name is taken.
    pub fn lay(self, a: End<'_>, b: End<'_>) -> Result<()> {
        a.namespace.add_veth(a.device, (b.namespace, b.device), self.mtu)?;
        for end in [a, b] {
            for address in end.addresses {
                end.namespace.add_address(end.device, *address)?;
            }
            if self.offloads == Offloads::Off {
                end.namespace.set_offloads(end.device, self.offloads)?;
            }
            end.namespace.set_up(end.device, true)?;
        }
        // Until then the kernel drops what is sent.
        [a, b].into_iter().try_for_each(|end| end.namespace.wait_until_running(end.device))
    }
}
