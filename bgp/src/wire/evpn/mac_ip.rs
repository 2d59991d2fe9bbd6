//! Type 2, MAC/IP advertisement (RFC 7432 section 7.2, RFC 9135 section 5.1).
//!
//! ```text
//! | RD (8) | ESI (10) | Ethernet tag (4) | 48 | MAC (6) | 0, 32 or 128 | IP (0, 4, 16) | label (3) | label (0, 3) |
//! ```

use std::net::IpAddr;

use weft_vxlan::MacAddr;

use super::{EthernetSegmentId, EthernetTag, EvpnError, Fields, Label, RouteDistinguisher};

pub(super) const KIND: u8 = 2;

const MAC_BITS: u8 = 48;
/// Where the length of the IP address stands.
const IP_BITS_AT: usize = 29;

/// Bytes before the labels; `None` if the length of the IP address is not there.
pub(super) fn key_len(value: &[u8]) -> Option<usize> {
    value.get(IP_BITS_AT).map(|&bits| IP_BITS_AT + 1 + usize::from(bits) / 8)
}

/// A type 2 route. Its key is distinguisher, tag, MAC and IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacIp {
    /// Of the MAC-VRF.
    pub rd: RouteDistinguisher,
    /// Where the host is attached; zero for a single-homed one.
    pub segment: EthernetSegmentId,
    /// 0 in a VLAN-based service.
    pub tag: EthernetTag,
    /// The host's MAC address.
    pub mac: MacAddr,
    /// The host's IP address, if the route tells one.
    pub ip: Option<IpAddr>,
    /// The VNI of the subnet. Zero in withdrawals.
    pub label: Label,
    /// The VNI of the network, with symmetric IRB.
    pub l3_label: Option<Label>,
}

impl MacIp {
    #[inline]
    pub(super) fn decode(value: &[u8]) -> Result<Self, EvpnError> {
        let mut fields = Fields::new(KIND, value);
        let (rd, segment, tag) = (fields.distinguisher()?, fields.segment()?, fields.tag()?);
        let bits = fields.u8()?;
        if bits != MAC_BITS {
            return Err(EvpnError::MacLength(bits));
        }
        let mac = MacAddr::new(fields.array()?);
        let ip = fields.counted_address()?;
        let label = fields.label()?;
        let l3_label = if fields.reader.is_empty() { None } else { Some(fields.label()?) };
        fields.end()?;
        Ok(Self { rd, segment, tag, mac, ip, label, l3_label })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.rd.to_bytes());
        out.extend(self.segment.to_bytes());
        out.extend(self.tag.0.to_be_bytes());
        out.push(MAC_BITS);
        out.extend(self.mac.bytes());
        super::encode_counted_address(self.ip, out);
        out.extend(self.label.to_bytes());
        if let Some(label) = self.l3_label {
            out.extend(label.to_bytes());
        }
    }
}
