//! Type 5, IP prefix (RFC 9136 section 3.1). The length of the route tells the address family.
//!
//! ```text
//! | RD (8) | ESI (10) | Ethernet tag (4) | prefix length (1) | prefix (4, 16) | gateway (4, 16) | label (3) |
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use weft_vxlan::MacAddr;

use super::{EncodeError, EthernetSegmentId, EthernetTag, EvpnError, Fields, Label, RouteDistinguisher};

pub(super) const KIND: u8 = 5;

const LEN_V4: usize = 34;
const LEN_V6: usize = 58;

/// A type 5 route. Its key is distinguisher, tag and prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpPrefixRoute {
    /// Of the IP-VRF.
    pub rd: RouteDistinguisher,
    /// The segment that the prefix is behind, if that is how it resolves.
    pub segment: EthernetSegmentId,
    /// 0 in a VLAN-based service.
    pub tag: EthernetTag,
    /// The prefix, without bits behind its length.
    pub prefix: IpNet,
    /// The address that the prefix is behind, if that is how it resolves; of the prefix's family.
    pub gateway: Option<IpAddr>,
    /// The VNI of the network. Zero in withdrawals.
    pub label: Label,
}

impl IpPrefixRoute {
    pub(super) fn decode(value: &[u8]) -> Result<Self, EvpnError> {
        let mut fields = Fields::new(KIND, value);
        let (rd, segment, tag) = (fields.distinguisher()?, fields.segment()?, fields.tag()?);
        let len = fields.u8()?;
        let (address, gateway): (IpAddr, IpAddr) = match value.len() {
            LEN_V4 => {
                let (address, gateway) = (fields.array::<4>()?, fields.array::<4>()?);
                (Ipv4Addr::from(address).into(), Ipv4Addr::from(gateway).into())
            }
            LEN_V6 => {
                let (address, gateway) = (fields.array::<16>()?, fields.array::<16>()?);
                (Ipv6Addr::from(address).into(), Ipv6Addr::from(gateway).into())
            }
            _ => return Err(fields.wrong_length()),
        };
        let label = fields.label()?;
        fields.end()?;
        let prefix = IpNet::new(address, len).map_err(|_| EvpnError::PrefixLength(len))?.trunc();
        let gateway = (!gateway.is_unspecified()).then_some(gateway);
        Ok(Self { rd, segment, tag, prefix, gateway, label })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend(self.rd.to_bytes());
        out.extend(self.segment.to_bytes());
        out.extend(self.tag.0.to_be_bytes());
        out.push(self.prefix.prefix_len());
        match (self.prefix.network(), self.gateway) {
            (IpAddr::V4(prefix), None) => {
                out.extend(prefix.octets());
                out.extend([0; 4]);
            }
            (IpAddr::V4(prefix), Some(IpAddr::V4(gateway))) => {
                out.extend(prefix.octets());
                out.extend(gateway.octets());
            }
            (IpAddr::V6(prefix), None) => {
                out.extend(prefix.octets());
                out.extend([0; 16]);
            }
            (IpAddr::V6(prefix), Some(IpAddr::V6(gateway))) => {
                out.extend(prefix.octets());
                out.extend(gateway.octets());
            }
            (IpAddr::V4(_), Some(IpAddr::V6(_))) | (IpAddr::V6(_), Some(IpAddr::V4(_))) => {
                return Err(EncodeError::NotEncodable("a type 5 gateway of the other address family"));
            }
        }
        out.extend(self.label.to_bytes());
        Ok(())
    }

    /// Whether the route can be announced as it stands, beside a router's MAC address: by one overlay index at most, and
    /// by something (RFC 9136 section 3.2). One that cannot is treated as withdrawn, for its key is good.
    pub(crate) fn check_announced(&self, router_mac: Option<MacAddr>) -> Result<(), EvpnError> {
        let has_segment = !self.segment.is_single_homed();
        if self.gateway.is_some() && has_segment {
            return Err(EvpnError::TwoOverlayIndexes);
        }
        // As a MAC address of zeroes, one that is not there is none.
        match router_mac.filter(|mac| mac.bytes() != [0; 6]) {
            Some(mac) if mac.is_multicast() => Err(EvpnError::RouterMac(mac)),
            None if self.gateway.is_none() && !has_segment && self.label == Label::ZERO => {
                Err(EvpnError::NoOverlayIndex)
            }
            _ => Ok(()),
        }
    }
}
