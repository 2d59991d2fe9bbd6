//! OPEN: who speaks, and what it can do (RFC 4271 section 4.2, RFC 5492 section 4, RFC 9072 section 2).
//!
//! ```text
//! +---------+-------------+---------------+--------------------+---------+---------------------+
//! | version |  my AS (2)  | hold time (2) | BGP identifier (4) | length  | optional parameters |
//! +---------+-------------+---------------+--------------------+---------+---------------------+
//! parameter:            | type (1) | length (1) | value |     type 2: capabilities
//! extended (RFC 9072):  | 255 | 255 | length (2) | then: type (1) | length (2) | value
//! ```

use std::net::Ipv4Addr;

use super::reader::Reader;
use super::{Asn, Capability, EncodeError, OpenError, RouterId, writer};

const VERSION: u8 = 4;
const CAPABILITIES: u8 = 2;
const EXTENDED: u8 = 255;

/// An OPEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The speaker's AS: the one of the four-byte capability if there is one.
    pub asn: Asn,
    /// Seconds after which silence ends the session: 0 (never), or 3 and more.
    pub hold_time: u16,
    /// The speaker's identifier.
    pub router_id: RouterId,
    /// In the order in which they were sent, of all parameters.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// Reads the body.
    ///
    /// # Errors
    /// [`OpenError`]; whether the AS and the identifier are the expected ones is not judged here.
    pub(super) fn decode(body: &[u8]) -> Result<Self, OpenError> {
        let mut reader = Reader::new(body);
        let version = reader.u8().ok_or(OpenError::Malformed)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let two_octets = reader.u16().ok_or(OpenError::Malformed)?;
        let hold_time = reader.u16().ok_or(OpenError::Malformed)?;
        let id = reader.array::<4>().ok_or(OpenError::Malformed)?;
        let capabilities = decode_parameters(reader)?;
        let four_octets = capabilities.iter().find_map(Capability::as_four_octets);
        let asn = four_octets.unwrap_or(Asn::new(u32::from(two_octets)));
        if two_octets == 0 || asn.is_zero() {
            return Err(OpenError::ZeroAs);
        }
        let router_id = RouterId::new(Ipv4Addr::from(id)).map_err(|_| OpenError::ZeroRouterId)?;
        if matches!(hold_time, 1 | 2) {
            return Err(OpenError::HoldTime(hold_time));
        }
        let mut roles = capabilities.iter().filter_map(Capability::as_role);
        if let Some(first) = roles.next()
            && roles.any(|role| role != first)
        {
            return Err(OpenError::Roles);
        }
        Ok(Self { asn, hold_time, router_id, capabilities })
    }

    /// Writes the body: all capabilities in one parameter, extended only if they would not fit otherwise.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(VERSION);
        out.extend(self.asn.two_octets().to_be_bytes());
        out.extend(self.hold_time.to_be_bytes());
        out.extend(self.router_id.get().octets());
        if self.capabilities.is_empty() {
            out.push(0);
            return Ok(());
        }
        let mut all = Vec::new();
        for capability in &self.capabilities {
            capability.encode(&mut all)?;
        }
        match (u8::try_from(all.len()), u8::try_from(all.len() + 2)) {
            (Ok(value), Ok(parameters)) => out.extend([parameters, CAPABILITIES, value]),
            _ => {
                out.extend([EXTENDED, EXTENDED]);
                return writer::counted_u16(out, "optional parameters", |out| {
                    out.push(CAPABILITIES);
                    writer::counted_u16(out, "capabilities", |out| {
                        out.append(&mut all);
                        Ok(())
                    })
                });
            }
        }
        out.append(&mut all);
        Ok(())
    }
}

/// Reads the optional parameters of both forms, which must end where the message ends.
fn decode_parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, OpenError> {
    // The length byte of the extended form is 255, but a receiver takes any but 0 (RFC 9072 section 2).
    let extended = matches!(reader.rest(), [1..=255, EXTENDED, ..]);
    let parameters = if extended {
        reader.take(2).ok_or(OpenError::Malformed)?;
        reader.counted_u16()
    } else {
        reader.counted_u8()
    };
    let mut parameters = Reader::new(parameters.ok_or(OpenError::Malformed)?);
    if !reader.is_empty() {
        return Err(OpenError::Malformed);
    }
    let mut capabilities = Vec::new();
    while let Some(kind) = parameters.u8() {
        let value = if extended { parameters.counted_u16() } else { parameters.counted_u8() };
        let mut value = Reader::new(value.ok_or(OpenError::Malformed)?);
        if kind != CAPABILITIES {
            return Err(OpenError::Parameter(kind));
        }
        while !value.is_empty() {
            capabilities.push(Capability::decode(&mut value)?);
        }
    }
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Family;

    const FIXED: [u8; 9] = [4, 0x5b, 0xa0, 0, 90, 10, 250, 0, 1];

    fn body(parameters: &[u8]) -> Vec<u8> {
        [&FIXED, parameters].concat()
    }

    fn open(capabilities: Vec<Capability>, asn: u32) -> Open {
        let router_id = RouterId::new(Ipv4Addr::new(10, 250, 0, 1)).unwrap();
        Open { asn: Asn::new(asn), hold_time: 90, router_id, capabilities }
    }

    #[test]
    fn bytes_and_values() {
        let asn = Asn::new(4_200_000_001);
        let both = vec![Capability::RouteRefresh, Capability::FourOctetAs(asn)];
        for (parameters, value) in [
            (vec![0], open(vec![], 23456)),
            (vec![10, 2, 8, 2, 0, 65, 4, 0xfa, 0x56, 0xea, 1], open(both, asn.get())),
        ] {
            assert_eq!(Open::decode(&body(&parameters)), Ok(value.clone()));
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(out, body(&parameters));
        }
    }

    #[test]
    fn one_capability_in_each_parameter() {
        let capabilities = vec![Capability::Multiprotocol(Family::EVPN), Capability::RouteRefresh];
        let read = Open::decode(&body(&[12, 2, 6, 1, 4, 0, 25, 0, 70, 2, 2, 2, 0]));
        assert_eq!(read, Ok(open(capabilities, 23456)));
    }

    #[test]
    fn extended_parameters_when_255_bytes_do_not_do() {
        let capabilities = vec![Capability::Other { code: 200, value: vec![7; 252] }];
        let value = open(capabilities, 23456);
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        assert_eq!(out[9..16], [255, 255, 1, 1, 2, 0, 254]);
        assert_eq!(Open::decode(&out), Ok(value.clone()));
        out[9] = 1;
        assert_eq!(Open::decode(&out), Ok(value));
    }

    #[test]
    fn refusals() {
        for (at, byte, error) in
            [(0, 3, OpenError::Version(3)), (4, 1, OpenError::HoldTime(1)), (4, 2, OpenError::HoldTime(2))]
        {
            let mut bytes = body(&[0]);
            bytes[at] = byte;
            assert_eq!(Open::decode(&bytes), Err(error));
        }
        for (parameters, error) in [
            (&[][..], OpenError::Malformed),
            (&[1], OpenError::Malformed),
            (&[0, 0], OpenError::Malformed),
            (&[2, 1, 0], OpenError::Parameter(1)),
            (&[3, 2, 2, 2], OpenError::Malformed),
            (&[4, 2, 2, 2, 1], OpenError::Malformed),
            (&[255, 255, 0, 2, 2, 0], OpenError::Malformed),
            (&[8, 2, 6, 65, 4, 0, 0, 0, 0], OpenError::ZeroAs),
            (&[8, 2, 6, 9, 1, 0, 9, 1, 1], OpenError::Roles),
            (&[5, 2, 3, 9, 1, 9], OpenError::Capability(9)),
        ] {
            assert_eq!(Open::decode(&body(parameters)), Err(error), "{parameters:?}");
        }
        assert_eq!(Open::decode(&[4, 0, 0, 0, 90, 1, 1, 1, 1, 0]), Err(OpenError::ZeroAs));
        assert_eq!(Open::decode(&[4, 0, 1, 0, 90, 0, 0, 0, 0, 0]), Err(OpenError::ZeroRouterId));
    }
}
