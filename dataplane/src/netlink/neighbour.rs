//! Neighbours: the MAC addresses of next hops.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use weft_vxlan::MacAddr;

use super::{Netlink, NetlinkError};

/// An entry of the neighbour table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) ifindex: u32,
    pub(crate) address: IpAddr,
    /// Its MAC, if packets may be sent to it now.
    pub(crate) mac: Option<MacAddr>,
    /// The kernel keeps it resolved by itself.
    pub(crate) managed: bool,
    /// Set by hand, for good.
    pub(crate) permanent: bool,
    /// Who made it; 0 if the kernel learned it.
    pub(crate) protocol: u8,
}

impl Netlink {
    /// All neighbours of all devices.
    pub(crate) fn neighbours(&mut self) -> Result<Vec<Neighbour>, NetlinkError> {
        let answers = self.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| {
                if let RouteNetlinkMessage::NewNeighbour(message) = answer {
                    Neighbour::parse(&message)
                } else {
                    None
                }
            })
            .collect())
    }

    /// Has the kernel resolve a neighbour now and keep it resolved, marked with `protocol`. What the kernel
    /// knows of it already stays.
    pub(crate) fn manage_neighbour(
        &mut self,
        ifindex: u32,
        address: IpAddr,
        protocol: u8,
    ) -> Result<(), NetlinkError> {
        let mut message = message(ifindex, address);
        message.attributes.push(NeighbourAttribute::Protocol(RouteProtocol::Other(protocol)));
        message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
        // Not counted in the table that all namespaces share (`gc_thresh3`): thousands of hosts must not fill it.
        message.header.flags = NeighbourFlags::ExtLearned;
        self.execute(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes a neighbour.
    pub(crate) fn delete_neighbour(&mut self, ifindex: u32, address: IpAddr) -> Result<(), NetlinkError> {
        self.execute(RouteNetlinkMessage::DelNeighbour(message(ifindex, address)), 0)
    }
}

fn message(ifindex: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    let (family, destination) = match address {
        IpAddr::V4(v4) => (AddressFamily::Inet, NeighbourAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, NeighbourAddress::Inet6(v6)),
    };
    message.header.family = family;
    message.header.ifindex = ifindex;
    message.attributes = vec![NeighbourAttribute::Destination(destination)];
    message
}

impl Neighbour {
    /// Whether it is the entry of `address` on the device.
    pub(crate) fn is(&self, ifindex: u32, address: IpAddr) -> bool {
        self.ifindex == ifindex && self.address == address
    }

    /// The entry that `message` tells of; `None` for bridge ports and other families.
    pub(crate) fn parse(message: &NeighbourMessage) -> Option<Self> {
        let (mut address, mut mac, mut managed, mut protocol) = (None, None, false, 0);
        for attribute in &message.attributes {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is about bridges and tunnels")]
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                    address = Some(IpAddr::from(*v4));
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                    address = Some(IpAddr::from(*v6));
                }
                NeighbourAttribute::LinkLayerAddress(bytes) => {
                    mac = bytes.as_slice().try_into().ok().map(MacAddr::new);
                }
                NeighbourAttribute::ExtFlags(flags) => managed = flags.contains(NeighbourExtFlags::Managed),
                NeighbourAttribute::Protocol(value) => protocol = u8::from(*value),
                _ => {}
            }
        }
        let valid = matches!(
            message.header.state,
            NeighbourState::Reachable
                | NeighbourState::Stale
                | NeighbourState::Delay
                | NeighbourState::Probe
                | NeighbourState::Noarp
                | NeighbourState::Permanent
        );
        Some(Self {
            ifindex: message.header.ifindex,
            address: address?,
            mac: mac.filter(|_| valid),
            managed,
            permanent: message.header.state == NeighbourState::Permanent,
            protocol,
        })
    }
}
