//! Addresses of devices.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::Namespace;

impl Namespace {
    /// Gives `device` an address that works at once: duplicate address detection would hold it back for seconds.
    ///
    /// # Errors
    /// The device is missing or has the address.
    pub fn add_address(&self, device: &str, address: IpNet) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.flags = AddressHeaderFlags::Nodad;
        message.header.index = self.link(device)?.index;
        message.attributes = vec![
            AddressAttribute::Local(address.addr()),
            AddressAttribute::Address(address.addr()),
            AddressAttribute::Flags(AddressFlags::Nodad),
        ];
        self.netlink()
            .create(RouteNetlinkMessage::NewAddress(message))
            .with_context(|| format!("giving {device} in {} the address {address}", self.name()))
    }

    /// Addresses of `device` in the order of the kernel, link-local ones among them.
    ///
    /// # Errors
    /// The device is missing.
    pub fn addresses(&self, device: &str) -> Result<Vec<IpNet>> {
        let index = self.link(device)?.index;
        let answers = self.netlink().dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        let mut addresses = Vec::new();
        for answer in answers {
            let RouteNetlinkMessage::NewAddress(message) = answer else { continue };
            if message.header.index != index {
                continue;
            }
            for attribute in message.attributes {
                if let AddressAttribute::Address(address) = attribute {
                    addresses.push(IpNet::new(address, message.header.prefix_len)?);
                }
            }
        }
        Ok(addresses)
    }
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
