//! Addresses of devices.

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) ifindex: u32,
    pub(crate) address: IpNet,
    /// Who gave it, if that is known.
    pub(crate) protocol: Option<u8>,
}

impl Netlink {
    /// All addresses of all devices.
    pub(crate) fn addresses(&mut self) -> Result<Vec<Address>, NetlinkError> {
        let answers = self.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(answers.into_iter().filter_map(parse).collect())
    }

    /// Gives a device an address, marked with `protocol`, that needs no duplicate address detection.
    pub(crate) fn add_address(
        &mut self,
        ifindex: u32,
        address: IpNet,
        protocol: u8,
    ) -> Result<(), NetlinkError> {
        let mut message = message(ifindex, address);
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(protocol)));
        if let IpNet::V4(v4) = address {
            message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
        }
        self.execute(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes an address from a device.
    pub(crate) fn delete_address(&mut self, ifindex: u32, address: IpNet) -> Result<(), NetlinkError> {
        self.execute(RouteNetlinkMessage::DelAddress(message(ifindex, address)), 0)
    }
}

fn message(ifindex: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = address.prefix_len();
    message.header.index = ifindex;
    message.attributes =
        vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
    message
}

fn parse(message: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let (mut local, mut address, mut protocol) = (None, None, None);
    for attribute in message.attributes {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other attributes say nothing that weft sets")]
        match attribute {
            AddressAttribute::Local(value) => local = Some(value),
            AddressAttribute::Address(value) => address = Some(value),
            AddressAttribute::Protocol(value) => protocol = Some(value.into()),
            _ => {}
        }
    }
    // On a point-to-point device IFA_ADDRESS is the other side's.
    let address = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some(Address { ifindex: message.header.index, address, protocol })
}
