//! Neighbour entries: ARP and neighbour discovery, and the forwarding tables of bridges and vxlan devices.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use weft_vxlan::MacAddr;

use super::address::family;
use crate::Namespace;

/// A neighbour entry of IPv4 or IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Interface index.
    pub device: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, once resolved.
    pub mac: Option<MacAddr>,
    /// Whether it was set by hand and never ages.
    pub permanent: bool,
}

impl Namespace {
    /// Sets a permanent neighbour.
    ///
    /// # Errors
    /// The device is missing or has the neighbour.
    pub fn add_neighbour(&self, device: &str, address: IpAddr, mac: MacAddr) -> Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = self.link(device)?.index;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(address.into()),
            NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec()),
        ];
        self.netlink()
            .create(RouteNetlinkMessage::NewNeighbour(message))
            .with_context(|| format!("a neighbour {address} on {device} in {}", self.name()))
    }

    /// Forgets a neighbour.
    ///
    /// # Errors
    /// The device is missing, or has no such neighbour.
    pub fn delete_neighbour(&self, device: &str, address: IpAddr) -> Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = self.link(device)?.index;
        message.attributes = vec![NeighbourAttribute::Destination(address.into())];
        self.netlink()
            .change(RouteNetlinkMessage::DelNeighbour(message))
            .with_context(|| format!("forgetting neighbour {address} on {device} in {}", self.name()))
    }

    /// Neighbours of both families.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn neighbours(&self) -> Result<Vec<Neighbour>> {
        let mut neighbours = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = NeighbourMessage::default();
            message.header.family = family;
            let answers = self.netlink().dump(RouteNetlinkMessage::GetNeighbour(message))?;
            neighbours.extend(answers.iter().filter_map(neighbour));
        }
        Ok(neighbours)
    }
}

fn neighbour(message: &RouteNetlinkMessage) -> Option<Neighbour> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let mut mac = None;
    let mut address = None;
    for attribute in &message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells far more than is asked here")]
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr::new);
            }
            _ => {}
        }
    }
    Some(Neighbour {
        device: message.header.ifindex,
        address: address?,
        mac,
        permanent: message.header.state == NeighbourState::Permanent,
    })
}
