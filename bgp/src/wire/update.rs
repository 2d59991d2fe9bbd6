//! UPDATE: routes come and go (RFC 4271 section 4.3, RFC 4760 sections 3 and 4).
//!
//! ```text
//! +----------------------+------------------------------+
//! | withdrawn length (2) | withdrawn IPv4 routes        |
//! +----------------------+------------------------------+
//! | attributes length(2) | path attributes              |
//! +----------------------+------------------------------+
//! | IPv4 routes: the rest                               |
//! +-----------------------------------------------------+
//! MP_REACH_NLRI:   | AFI (2) | SAFI (1) | length (1) | next hop | 0 | routes |
//! MP_UNREACH_NLRI: | AFI (2) | SAFI (1) | routes |
//! ```
//!
//! weft sends the multiprotocol attribute first (RFC 7606 section 5.1) and the others in the order of their
//! codes, with the shortest length field that does.

mod decode;

use ipnet::Ipv4Net;

use super::attribute::encode_attribute;
use super::routes::encode_ipv4;
use super::{AttributeCode, Attributes, Dialect, EncodeError, Family, NextHop, Nlri, Routes, writer};
pub(super) use decode::decode;

/// An UPDATE. One that was received is already treated as RFC 7606 section 2 wants: what was to be treated as withdrawn
/// stands among the withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// IPv4 routes that go, outside of MP_UNREACH_NLRI.
    pub withdrawn: Vec<Nlri<Ipv4Net>>,
    /// Routes that go. On the wire there is room for one family, but a message that is treated as withdrawn
    /// can have two.
    pub unreachable: Vec<Routes>,
    /// What is true of all routes that come.
    pub attributes: Attributes,
    /// Routes that come.
    pub reachable: Option<Reachable>,
    /// IPv4 routes that come, outside of MP_REACH_NLRI.
    pub announced: Vec<Nlri<Ipv4Net>>,
}

/// MP_REACH_NLRI: routes that come, and where they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// Where to.
    pub next_hop: NextHop,
    /// The routes.
    pub routes: Routes,
}

impl Update {
    /// Writes the body.
    pub(super) fn encode(&self, dialect: &Dialect, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let path_ids = dialect.send_path_ids;
        writer::counted_u16(out, "withdrawn routes", |out| encode_ipv4(&self.withdrawn, path_ids, out))?;
        writer::counted_u16(out, "attributes", |out| {
            match self.unreachable.as_slice() {
                [] => {}
                [routes] => encode_attribute(AttributeCode::MP_UNREACH_NLRI, 0, out, |out| {
                    out.extend(routes.family().to_bytes());
                    routes.encode(path_ids, out)
                })?,
                more => return Err(EncodeError::Families(more.len())),
            }
            if let Some(Reachable { next_hop, routes }) = &self.reachable {
                encode_attribute(AttributeCode::MP_REACH_NLRI, 0, out, |out| {
                    out.extend(routes.family().to_bytes());
                    writer::counted_u8(out, "next hop", |out| {
                        next_hop.encode(out);
                        Ok(())
                    })?;
                    out.push(0);
                    routes.encode(path_ids, out)
                })?;
            }
            self.attributes.encode(dialect, out)
        })?;
        encode_ipv4(&self.announced, path_ids, out)
    }

    /// Writes the body of an End-of-RIB (RFC 4724 section 2).
    pub(super) fn encode_end_of_rib(family: Family, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend([0; 2]);
        writer::counted_u16(out, "attributes", |out| {
            if family == Family::IPV4_UNICAST {
                return Ok(());
            }
            encode_attribute(AttributeCode::MP_UNREACH_NLRI, 0, out, |out| {
                out.extend(family.to_bytes());
                Ok(())
            })
        })
    }

    /// The family of an End-of-RIB: a message that is empty, or that has an MP_UNREACH_NLRI without routes and
    /// nothing else. Seen in the bytes, for an UPDATE can also become empty by its treatment.
    pub(super) fn decode_end_of_rib(body: &[u8]) -> Option<Family> {
        match *body {
            [0, 0, 0, 0] => Some(Family::IPV4_UNICAST),
            [0, 0, 0, 6, 0x80, 15, 3, a, b, safi] | [0, 0, 0, 7, 0x90, 15, 0, 3, a, b, safi] => {
                Some(Family::from_bytes([a, b, safi]))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
