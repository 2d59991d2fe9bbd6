//! AGGREGATOR: who made an aggregate (RFC 4271 section 5.1.7, RFC 6793 section 4).
//!
//! ```text
//! | AS (2 or 4) | IPv4 address (4) |
//! ```

use std::net::Ipv4Addr;

use super::super::AttributeProblem;
use super::Asn;

/// Who made an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// Its AS.
    pub asn: Asn,
    /// Its identifier.
    pub address: Ipv4Addr,
}

impl Aggregator {
    pub(super) fn decode(value: &[u8], four: bool) -> Result<Self, AttributeProblem> {
        let (asn, [c, d, e, f]) = match (value, four) {
            (&[a, b, g, h, c, d, e, f], true) => (u32::from_be_bytes([a, b, g, h]), [c, d, e, f]),
            (&[a, b, c, d, e, f], false) => (u16::from_be_bytes([a, b]).into(), [c, d, e, f]),
            _ => return Err(AttributeProblem::Length(value.len())),
        };
        if asn == 0 {
            return Err(AttributeProblem::ZeroAs);
        }
        Ok(Self { asn: Asn::new(asn), address: Ipv4Addr::new(c, d, e, f) })
    }

    pub(super) fn fits_two_octets(self) -> bool {
        u16::try_from(self.asn.get()).is_ok()
    }

    pub(super) fn to_bytes(self, four: bool) -> Vec<u8> {
        let asn = if four {
            self.asn.get().to_be_bytes().to_vec()
        } else {
            self.asn.two_octets().to_be_bytes().to_vec()
        };
        [asn.as_slice(), &self.address.octets()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        let value = Aggregator { asn: Asn::new(65000), address: Ipv4Addr::new(10, 250, 0, 1) };
        for (bytes, four) in
            [(&[0xfd, 0xe8, 10, 250, 0, 1][..], false), (&[0, 0, 0xfd, 0xe8, 10, 250, 0, 1], true)]
        {
            assert_eq!(Aggregator::decode(bytes, four), Ok(value));
            assert_eq!(value.to_bytes(four), bytes);
            assert_eq!(Aggregator::decode(bytes, !four), Err(AttributeProblem::Length(bytes.len())));
        }
        assert_eq!(Aggregator::decode(&[0, 0, 10, 250, 0, 1], false), Err(AttributeProblem::ZeroAs));
    }
}
