//! PMSI tunnel: how floods reach the sender of a type 3 route (RFC 6514 section 5, RFC 8365 section 5.1.3).
//!
//! ```text
//! | flags (1) | tunnel type (1) | label (3) | tunnel identifier (variable) |
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::{AttributeProblem, Label};

const INGRESS_REPLICATION: u8 = 6;
/// Flags, type and label.
const FIXED: usize = 5;

/// A PMSI tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PmsiTunnel {
    /// Bit 0x01: leaf information required. Others are kept.
    pub flags: u8,
    /// The VNI, with VXLAN.
    pub label: Label,
    /// Where to and how.
    pub tunnel: TunnelId,
}

/// Tunnel type and identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TunnelId {
    /// 6: each VTEP gets a copy of its own at this address.
    IngressReplication(IpAddr),
    /// Any other, as received: RFC 6514 section 5 calls an undefined type malformed, but the registry has grown since.
    Other {
        /// The tunnel type.
        kind: u8,
        /// The identifier.
        id: Vec<u8>,
    },
}

impl PmsiTunnel {
    pub(super) fn decode(value: &[u8]) -> Result<Self, AttributeProblem> {
        let Some((&[flags, kind, a, b, c], id)) = value.split_first_chunk::<FIXED>() else {
            return Err(AttributeProblem::Length(value.len()));
        };
        let tunnel = match (kind, id) {
            (INGRESS_REPLICATION, &[a, b, c, d]) => {
                TunnelId::IngressReplication(Ipv4Addr::new(a, b, c, d).into())
            }
            (INGRESS_REPLICATION, id) => {
                let id: [u8; 16] = id.try_into().map_err(|_| AttributeProblem::Length(value.len()))?;
                TunnelId::IngressReplication(Ipv6Addr::from(id).into())
            }
            (kind, id) => TunnelId::Other { kind, id: id.to_vec() },
        };
        Ok(Self { flags, label: Label::from_bytes([a, b, c]), tunnel })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let [a, b, c] = self.label.to_bytes();
        let fixed = |kind| [self.flags, kind, a, b, c];
        match &self.tunnel {
            TunnelId::IngressReplication(IpAddr::V4(v4)) => {
                [&fixed(INGRESS_REPLICATION)[..], &v4.octets()].concat()
            }
            TunnelId::IngressReplication(IpAddr::V6(v6)) => {
                [&fixed(INGRESS_REPLICATION)[..], &v6.octets()].concat()
            }
            TunnelId::Other { kind, id } => [&fixed(*kind)[..], id].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        let label = Label::from_bytes([1, 0x11, 0x70]);
        let replication = |address: &str| TunnelId::IngressReplication(address.parse().unwrap());
        let v6 = [&[0, 6, 1, 0x11, 0x70, 0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat();
        for (bytes, flags, tunnel) in [
            (&[0, 6, 1, 0x11, 0x70, 10, 250, 0, 1][..], 0, replication("10.250.0.1")),
            (&v6, 0, replication("2001:db8::1")),
            (&[1, 0, 1, 0x11, 0x70], 1, TunnelId::Other { kind: 0, id: vec![] }),
            (&[0, 0x0b, 1, 0x11, 0x70, 9], 0, TunnelId::Other { kind: 0x0b, id: vec![9] }),
        ] {
            let value = PmsiTunnel { flags, label, tunnel };
            assert_eq!(PmsiTunnel::decode(bytes), Ok(value.clone()));
            assert_eq!(value.to_bytes(), bytes);
        }
        for len in [0, 4, 5, 8, 10] {
            let bytes = [6; 10];
            assert_eq!(PmsiTunnel::decode(&bytes[..len]), Err(AttributeProblem::Length(len)));
        }
    }
}
