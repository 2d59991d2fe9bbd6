//! Type 4, Ethernet segment: who is attached to it (RFC 7432 section 7.4).
//!
//! ```text
//! | RD (8) | ESI (10) | 32 or 128 | originating router's IP (4, 16) |
//! ```

use std::net::IpAddr;

use super::{EthernetSegmentId, EvpnError, Fields, RouteDistinguisher};

pub(super) const KIND: u8 = 4;

/// A type 4 route. All of it is its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EthernetSegment {
    /// Of the host.
    pub rd: RouteDistinguisher,
    /// The segment.
    pub segment: EthernetSegmentId,
    /// The host.
    pub originator: IpAddr,
}

impl EthernetSegment {
    pub(super) fn decode(value: &[u8]) -> Result<Self, EvpnError> {
        let mut fields = Fields::new(KIND, value);
        let (rd, segment, originator) = (fields.distinguisher()?, fields.segment()?, fields.originator()?);
        fields.end()?;
        Ok(Self { rd, segment, originator })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.rd.to_bytes());
        out.extend(self.segment.to_bytes());
        super::encode_counted_address(Some(self.originator), out);
    }
}
