//! Type 1, Ethernet auto-discovery: a segment (tag all ones) or an instance on it (RFC 7432 section 7.1).
//!
//! ```text
//! | RD (8) | ESI (10) | Ethernet tag (4) | label (3) |
//! ```

use super::{EthernetSegmentId, EthernetTag, EvpnError, Fields, Label, RouteDistinguisher};

pub(super) const KIND: u8 = 1;

/// Bytes before the label.
pub(super) const KEY_LEN: usize = 22;

/// A type 1 route. Its key is everything but the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EthernetAd {
    /// Of the instance, or of the host for a whole segment.
    pub rd: RouteDistinguisher,
    /// The segment.
    pub segment: EthernetSegmentId,
    /// [`EthernetTag::MAX`] for the whole segment.
    pub tag: EthernetTag,
    /// The VNI of the instance; zero for the whole segment.
    pub label: Label,
}

impl EthernetAd {
    pub(super) fn decode(value: &[u8]) -> Result<Self, EvpnError> {
        let mut fields = Fields::new(KIND, value);
        let (rd, segment) = (fields.distinguisher()?, fields.segment()?);
        let (tag, label) = (fields.tag()?, fields.label()?);
        fields.end()?;
        Ok(Self { rd, segment, tag, label })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.rd.to_bytes());
        out.extend(self.segment.to_bytes());
        out.extend(self.tag.0.to_be_bytes());
        out.extend(self.label.to_bytes());
    }
}
