//! ROUTE-REFRESH: send me your routes again (RFC 2918 section 3, RFC 7313 section 3.2).
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |              AFI              |    Subtype    |     SAFI      |
//! +---------------+---------------+---------------+---------------+
//! ```

use super::reader::Reader;
use super::{Afi, Family, HeaderError, MessageError, RouteRefreshError, Safi};

/// What a ROUTE-REFRESH wants or says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteRefreshKind {
    /// 0: announce everything again.
    Request,
    /// 1: what follows is the answer.
    Begin,
    /// 2: what was not announced since the beginning is gone.
    End,
    /// To be ignored (RFC 7313 section 5).
    Other(u8),
}

/// A ROUTE-REFRESH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteRefresh {
    /// Which routes.
    pub family: Family,
    /// What about them.
    pub kind: RouteRefreshKind,
}

const LEN: usize = 4;

impl RouteRefresh {
    /// Reads the body.
    ///
    /// # Errors
    /// A begin or end of another length is an error of its own (RFC 7313 section 5), a request of another length
    /// is a header error: outbound route filters, which would make it longer, were never offered.
    pub(super) fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let wrong_length = || {
            let total = body.len() + super::HEADER_LEN;
            MessageError::Header(HeaderError::Length(u16::try_from(total).unwrap_or(u16::MAX)))
        };
        let [a, b, subtype, safi] = reader.array::<LEN>().ok_or_else(wrong_length)?;
        let family = Family::new(Afi(u16::from_be_bytes([a, b])), Safi(safi));
        let kind = match subtype {
            0 => RouteRefreshKind::Request,
            1 => RouteRefreshKind::Begin,
            2 => RouteRefreshKind::End,
            other => RouteRefreshKind::Other(other),
        };
        match kind {
            RouteRefreshKind::Request if !reader.is_empty() => Err(wrong_length()),
            RouteRefreshKind::Begin | RouteRefreshKind::End if !reader.is_empty() => {
                Err(RouteRefreshError::Length(body.to_vec()).into())
            }
            RouteRefreshKind::Request
            | RouteRefreshKind::Begin
            | RouteRefreshKind::End
            | RouteRefreshKind::Other(_) => Ok(Self { family, kind }),
        }
    }

    /// Writes the body.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        let subtype = match self.kind {
            RouteRefreshKind::Request => 0,
            RouteRefreshKind::Begin => 1,
            RouteRefreshKind::End => 2,
            RouteRefreshKind::Other(other) => other,
        };
        let [a, b, safi] = self.family.to_bytes();
        out.extend([a, b, subtype, safi]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        for (bytes, kind) in [
            ([0, 25, 0, 70], RouteRefreshKind::Request),
            ([0, 25, 1, 70], RouteRefreshKind::Begin),
            ([0, 25, 2, 70], RouteRefreshKind::End),
            ([0, 25, 9, 70], RouteRefreshKind::Other(9)),
        ] {
            let value = RouteRefresh { family: Family::EVPN, kind };
            assert_eq!(RouteRefresh::decode(&bytes), Ok(value));
            let mut out = Vec::new();
            value.encode(&mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn other_lengths() {
        let header = |bytes: &[u8]| RouteRefresh::decode(bytes).unwrap_err().notification();
        assert_eq!((header(&[0, 25, 0]).code.0, header(&[0, 25, 0]).data), (1, vec![0, 22]));
        assert_eq!((header(&[0, 25, 0, 70, 1]).code.0, header(&[0, 25, 0, 70, 1]).subcode), (1, 2));
        let refused = RouteRefresh::decode(&[0, 25, 1, 70, 9]).unwrap_err().notification();
        assert_eq!(
            (refused.code.0, refused.subcode, &refused.data[16..]),
            (7, 1, &[0, 24, 5, 0, 25, 1, 70, 9][..])
        );
    }
}
