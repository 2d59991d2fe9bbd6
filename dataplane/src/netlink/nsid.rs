//! Ids by which one network namespace knows another.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::{Netlink, NetlinkError};

impl Netlink {
    /// The id by which this socket's namespace knows the namespace behind `netns`, or `None` if it knows it not:
    /// no device here has its other end there.
    pub(crate) fn nsid(&mut self, netns: BorrowedFd<'_>) -> Result<Option<i32>, NetlinkError> {
        let mut message = NsidMessage::default();
        // The descriptor's bits are what the attribute holds.
        message.attributes = vec![NsidAttribute::Fd(netns.as_raw_fd().cast_unsigned())];
        let RouteNetlinkMessage::NewNsId(answer) = self.get(RouteNetlinkMessage::GetNsId(message))? else {
            return Err(NetlinkError::Malformed(
                "an answer about a namespace is about something else".to_owned(),
            ));
        };
        let id = answer
            .attributes
            .iter()
            .find_map(|attribute| if let NsidAttribute::Id(id) = attribute { Some(*id) } else { None });
        Ok(id.filter(|id| *id >= 0))
    }
}
