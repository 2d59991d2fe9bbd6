//! Graceful restart (RFC 4724 section 3, RFC 8538 section 2) and its long-lived form (RFC 9494 section 3).
//!
//! ```text
//! 64: +-+-+---+-------------------+   for each family: +---------+----------+-----------+
//!     |R|N| 0 | restart time (12) |                    | AFI (2) | SAFI (1) | flags (1) |
//!     +-+-+---+-------------------+                    +---------+----------+-----------+
//! 71: +---------+----------+-----------+----------------+
//!     | AFI (2) | SAFI (1) | flags (1) | stale time (3) |   for each family
//!     +---------+----------+-----------+----------------+
//! ```

use super::{EncodeError, Family, records};

const RESTARTED: u8 = 0x80;
const NOTIFICATION: u8 = 0x40;
/// The F bit, in both capabilities.
const FORWARDING: u8 = 0x80;
const MAX_TIME: u16 = 0x0fff;
const MAX_STALE: u32 = 0xff_ffff;

/// What a speaker says about its restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R: it has just restarted, so do not wait for it with the End-of-RIB.
    pub restarted: bool,
    /// N: a NOTIFICATION does not end it, except for a hard reset.
    pub notification: bool,
    /// Seconds until it is back at the latest, up to 4095.
    pub time: u16,
    /// The families whose routes are kept.
    pub families: Vec<RestartFamily>,
}

/// A family in [`GracefulRestart`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RestartFamily {
    /// The family.
    pub family: Family,
    /// F: it went on forwarding during its restart.
    pub forwarding: bool,
}

/// How long stale routes may be kept after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongLived {
    /// The families whose routes are kept.
    pub families: Vec<LongLivedFamily>,
}

/// A family in [`LongLived`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongLivedFamily {
    /// The family.
    pub family: Family,
    /// F: it went on forwarding during its restart.
    pub forwarding: bool,
    /// Seconds, up to 2^24 - 1.
    pub stale_time: u32,
}

impl GracefulRestart {
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (&[flags, low], families) = value.split_first_chunk::<2>()?;
        let families = records(families, |[a, b, safi, flags]: [u8; 4]| RestartFamily {
            family: Family::from_bytes([a, b, safi]),
            forwarding: flags & FORWARDING != 0,
        })?;
        Some(Self {
            restarted: flags & RESTARTED != 0,
            notification: flags & NOTIFICATION != 0,
            time: u16::from_be_bytes([flags, low]) & MAX_TIME,
            families,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.time > MAX_TIME {
            return Err(EncodeError::NotEncodable("a restart time has 12 bits"));
        }
        let [high, low] = self.time.to_be_bytes();
        let restarted = if self.restarted { RESTARTED } else { 0 };
        let notification = if self.notification { NOTIFICATION } else { 0 };
        out.extend([high | restarted | notification, low]);
        for family in &self.families {
            out.extend(family.family.to_bytes());
            out.push(if family.forwarding { FORWARDING } else { 0 });
        }
        Ok(())
    }
}

impl LongLivedFamily {
    pub(super) const fn from_bytes([a, b, safi, flags, t1, t2, t3]: [u8; 7]) -> Self {
        Self {
            family: Family::from_bytes([a, b, safi]),
            forwarding: flags & FORWARDING != 0,
            stale_time: u32::from_be_bytes([0, t1, t2, t3]),
        }
    }
}

impl LongLived {
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for family in &self.families {
            if family.stale_time > MAX_STALE {
                return Err(EncodeError::NotEncodable("a stale time has 24 bits"));
            }
            out.extend(family.family.to_bytes());
            out.push(if family.forwarding { FORWARDING } else { 0 });
            let [_, time @ ..] = family.stale_time.to_be_bytes();
            out.extend(time);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Capability, Reader};
    use super::*;

    #[test]
    fn bytes_and_values() {
        let family = RestartFamily { family: Family::EVPN, forwarding: true };
        let restart = |restarted, notification, families| {
            Capability::GracefulRestart(GracefulRestart { restarted, notification, time: 120, families })
        };
        let stale = LongLivedFamily { family: Family::EVPN, forwarding: true, stale_time: 0x01_0203 };
        for (bytes, value) in [
            (&[64, 2, 0xc0, 0x78][..], restart(true, true, vec![])),
            (&[64, 6, 0, 0x78, 0, 25, 70, 0x80], restart(false, false, vec![family])),
            (&[71, 7, 0, 25, 70, 0x80, 1, 2, 3], Capability::LongLived(LongLived { families: vec![stale] })),
            (&[71, 0], Capability::LongLived(LongLived { families: vec![] })),
        ] {
            assert_eq!(Capability::decode(&mut Reader::new(bytes)), Ok(value.clone()));
            let mut out = Vec::new();
            value.encode(&mut out).unwrap();
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn times_that_do_not_fit() {
        let long = GracefulRestart { restarted: false, notification: false, time: 4096, families: vec![] };
        assert!(Capability::GracefulRestart(long).encode(&mut Vec::new()).is_err());
        let stale = LongLivedFamily { family: Family::EVPN, forwarding: false, stale_time: 1 << 24 };
        let long = LongLived { families: vec![stale] };
        assert!(Capability::LongLived(long).encode(&mut Vec::new()).is_err());
    }
}
