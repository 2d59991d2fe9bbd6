//! The ADD-PATH capability: routes carry a path identifier (RFC 7911 section 4).
//!
//! ```text
//! +---------+----------+------------------+
//! | AFI (2) | SAFI (1) | send/receive (1) |   for each family
//! +---------+----------+------------------+
//! ```

use super::Family;

/// Which way path identifiers go, seen from the speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddPathMode {
    /// 1: the speaker understands several paths.
    Receive,
    /// 2: the speaker may send several paths.
    Send,
    /// 3
    Both,
}

/// A family and the way its path identifiers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddPath {
    /// The family.
    pub family: Family,
    /// The way.
    pub mode: AddPathMode,
}

impl AddPath {
    /// `None` for a mode that does not exist.
    pub(super) const fn from_bytes([a, b, safi, mode]: [u8; 4]) -> Option<Self> {
        let mode = match mode {
            1 => AddPathMode::Receive,
            2 => AddPathMode::Send,
            3 => AddPathMode::Both,
            _ => return None,
        };
        Some(Self { family: Family::from_bytes([a, b, safi]), mode })
    }

    pub(super) const fn to_bytes(self) -> [u8; 4] {
        let [a, b, safi] = self.family.to_bytes();
        let mode = match self.mode {
            AddPathMode::Receive => 1,
            AddPathMode::Send => 2,
            AddPathMode::Both => 3,
        };
        [a, b, safi, mode]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Capability, Reader};
    use super::*;

    #[test]
    fn bytes_and_values() {
        for (bytes, mode) in [
            ([0, 25, 70, 1], AddPathMode::Receive),
            ([0, 25, 70, 2], AddPathMode::Send),
            ([0, 25, 70, 3], AddPathMode::Both),
        ] {
            let value = AddPath { family: Family::EVPN, mode };
            assert_eq!(AddPath::from_bytes(bytes), Some(value));
            assert_eq!(value.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_mode_that_does_not_exist_is_ignored() {
        let read = Capability::decode(&mut Reader::new(&[69, 8, 0, 25, 70, 4, 0, 1, 1, 3]));
        let value = AddPath { family: Family::IPV4_UNICAST, mode: AddPathMode::Both };
        assert_eq!(read, Ok(Capability::AddPath(vec![value])));
    }
}
