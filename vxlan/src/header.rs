//! The VXLAN header (RFC 7348 section 5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |R|R|R|R|I|R|R|R|            Reserved                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                VXLAN Network Identifier (VNI) |   Reserved    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::Vni;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// The UDP destination port that IANA assigned to VXLAN (RFC 7348 section 8).
pub const UDP_PORT: u16 = 4789;

/// The I flag: the VNI field is valid.
const FLAG_VNI: u8 = 0x08;

/// A VXLAN header. Its reserved fields are sent as zero and ignored on receipt (RFC 7348 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which network the inner frame belongs to.
    pub vni: Vni,
}

/// Why eight bytes are not a VXLAN header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The I flag, which must be set for a valid VNI, is not.
    #[error("VXLAN header without the I flag")]
    NoVni,
    /// The VNI is 0.
    #[error("VXLAN header with VNI 0")]
    ZeroVni,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError`] if the I flag is clear or the VNI is zero.
    pub const fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let [flags, _, _, _, a, b, c, _] = bytes;
        if flags & FLAG_VNI == 0 {
            return Err(HeaderError::NoVni);
        }
        match Vni::from_bytes([a, b, c]) {
            Ok(vni) => Ok(Self { vni }),
            Err(_) => Err(HeaderError::ZeroVni),
        }
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c] = self.vni.to_bytes();
        [FLAG_VNI, 0, 0, 0, a, b, c, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        let header = Header { vni: Vni::new(0x01_0203).unwrap() };
        let bytes = [0x08, 0, 0, 0, 1, 2, 3, 0];
        assert_eq!(header.encode(), bytes);
        assert_eq!(Header::decode(bytes), Ok(header));
        // Reserved bits, the group policy ones among them, do not change what the header says.
        assert_eq!(Header::decode([0x88, 0x40, 0xff, 0xff, 1, 2, 3, 0xff]), Ok(header));
        assert_eq!(Header::decode([0xf7, 0, 0, 0, 1, 2, 3, 0]), Err(HeaderError::NoVni));
        assert_eq!(Header::decode([0x08, 0, 0, 0, 0, 0, 0, 0]), Err(HeaderError::ZeroVni));
    }
}
