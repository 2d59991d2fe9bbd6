//! Type 3, inclusive multicast Ethernet tag: who gets the floods of a subnet (RFC 7432 section 7.3). How they
//! get there is in the PMSI tunnel attribute.
//!
//! ```text
//! | RD (8) | Ethernet tag (4) | 32 or 128 | originating router's IP (4, 16) |
//! ```

use std::net::IpAddr;

use super::{EthernetTag, EvpnError, Fields, RouteDistinguisher};

pub(super) const KIND: u8 = 3;

/// A type 3 route. All of it is its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InclusiveMulticast {
    /// Of the MAC-VRF.
    pub rd: RouteDistinguisher,
    /// 0 in a VLAN-based service.
    pub tag: EthernetTag,
    /// The host.
    pub originator: IpAddr,
}

impl InclusiveMulticast {
    pub(super) fn decode(value: &[u8]) -> Result<Self, EvpnError> {
        let mut fields = Fields::new(KIND, value);
        let (rd, tag, originator) = (fields.distinguisher()?, fields.tag()?, fields.originator()?);
        fields.end()?;
        Ok(Self { rd, tag, originator })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.rd.to_bytes());
        out.extend(self.tag.0.to_be_bytes());
        super::encode_counted_address(Some(self.originator), out);
    }
}
