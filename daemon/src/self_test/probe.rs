//! What is said between hosts in a self-test: a UDP datagram or a TCP segment with this at its start, and zeros behind it.
//!
//! ```text
//! "weft" | version 2 | 1 probe, 2 answer | kind | round | segment | 7 zeros | nonce, 8 bytes, most significant first
//! ```
//! An answer is its probe's first [`LEN`] bytes with another second word, so it is never longer. It is a datagram
//! whatever the probe was. Version 1 has no probes over TCP; it is answered, and does not answer version 2.

use super::bulk;

/// Bytes of the message itself.
pub const LEN: usize = 24;
/// Bytes of a plain probe: some short of what small packets have on a wire is not enough to be padded by it.
pub const PLAIN_LEN: usize = 64;
/// Bytes of each segment of a segmented probe.
pub const SEGMENT_LEN: u16 = 512;
/// Segments of a segmented probe.
pub const SEGMENTS: u8 = 3;

const MAGIC: &[u8; 4] = b"weft";
const VERSION: u8 = 2;
/// Those whose probes are answered.
const ANSWERED: [u8; 2] = [1, VERSION];
const PROBE: u8 = 1;
const ANSWER: u8 = 2;

/// How a probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its checksum is left to the device.
    Plain,
    /// Without a checksum: whether there is somebody who answers.
    Unsummed,
    /// As one super-packet (GSO) that is cut on its way out.
    Segmented,
    /// As one such of TCP.
    Bulk,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Unsummed, Self::Plain, Self::Segmented, Self::Bulk];
}

/// A probe or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// How it was sent.
    pub kind: Kind,
    /// Which of a trial's rounds it is of.
    pub round: u8,
    /// Which of a super-packet's segments it is; 0 in the others.
    pub segment: u8,
    /// The trial's.
    pub nonce: u64,
}

impl Probe {
    /// The datagram, or for [`Kind::Segmented`] and [`Kind::Bulk`] the super-packet of all segments.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let padded = |segment, len| {
            let mut bytes = Self { segment, ..self }.header(VERSION, PROBE).to_vec();
            bytes.resize(len, 0);
            bytes
        };
        let segmented = |len| (0..SEGMENTS).flat_map(|segment| padded(segment, usize::from(len))).collect();
        match self.kind {
            Kind::Plain | Kind::Unsummed => padded(0, PLAIN_LEN),
            Kind::Segmented => segmented(SEGMENT_LEN),
            Kind::Bulk => segmented(bulk::SEGMENT_LEN),
        }
    }

    fn header(self, version: u8, direction: u8) -> [u8; LEN] {
        let kind = match self.kind {
            Kind::Plain => 0,
            Kind::Unsummed => 1,
            Kind::Segmented => 2,
            Kind::Bulk => 3,
        };
        let mut bytes = [0; LEN];
        let [a, b, c, d] = *MAGIC;
        let start = [a, b, c, d, version, direction, kind, self.round, self.segment];
        for (to, from) in bytes.iter_mut().zip(start) {
            *to = from;
        }
        if let Some(nonce) = bytes.last_chunk_mut::<8>() {
            *nonce = self.nonce.to_be_bytes();
        }
        bytes
    }

    /// Reads an answer; `None` for anything else.
    #[must_use]
    pub fn decode_answer(datagram: &[u8]) -> Option<Self> {
        decode(datagram, ANSWER).filter(|(version, _)| *version == VERSION).map(|(_, answer)| answer)
    }
}

/// The answer to a probe; `None` for anything else.
#[must_use]
pub fn answer(datagram: &[u8]) -> Option<[u8; LEN]> {
    decode(datagram, PROBE).map(|(version, probe)| probe.header(version, ANSWER))
}

fn decode(datagram: &[u8], wanted: u8) -> Option<(u8, Probe)> {
    let (header, _) = datagram.split_first_chunk::<LEN>()?;
    let (magic, rest) = header.split_first_chunk::<4>()?;
    let [version, direction, kind, round, segment, ..] = *rest else { return None };
    if magic != MAGIC || !ANSWERED.contains(&version) || direction != wanted {
        return None;
    }
    let kind = match kind {
        0 => Kind::Plain,
        1 => Kind::Unsummed,
        2 => Kind::Segmented,
        3 if version == VERSION => Kind::Bulk,
        _ => return None,
    };
    let nonce = u64::from_be_bytes(*header.last_chunk::<8>()?);
    Some((version, Probe { kind, round, segment, nonce }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_and_their_answers() {
        for kind in Kind::ALL {
            let probe = Probe { kind, round: 3, segment: 0, nonce: 0x0102_0304_0506_0708 };
            let sent = probe.encode();
            let (size, count) = match kind {
                Kind::Plain | Kind::Unsummed => (PLAIN_LEN, 1),
                Kind::Segmented => (usize::from(SEGMENT_LEN), SEGMENTS),
                Kind::Bulk => (usize::from(bulk::SEGMENT_LEN), SEGMENTS),
            };
            assert_eq!(sent.len(), size * usize::from(count));
            for (segment, datagram) in (0..count).zip(sent.chunks(size)) {
                let answered = answer(datagram).unwrap();
                assert_eq!(Probe::decode_answer(&answered), Some(Probe { segment, ..probe }));
                // Nobody answers an answer, or takes a probe for one.
                assert_eq!((answer(&answered), Probe::decode_answer(datagram)), (None, None));
            }
        }
    }

    /// A host of before is answered as it understands, and does not answer us: it cannot be tested, and is not blamed.
    #[test]
    fn version_1_is_answered_and_is_no_answer() {
        let mut old = Probe { kind: Kind::Segmented, round: 3, segment: 2, nonce: 9 }.encode();
        old[4] = 1;
        let answered = answer(&old).unwrap();
        assert_eq!(answered[..9], *b"weft\x01\x02\x02\x03\0");
        assert_eq!(answered[16..], 9_u64.to_be_bytes());
        assert_eq!(Probe::decode_answer(&answered), None);
        // It had no such kind.
        old[6] = 3;
        assert_eq!(answer(&old), None);
    }

    #[test]
    fn what_is_no_probe() {
        let good = Probe { kind: Kind::Plain, round: 0, segment: 0, nonce: 1 }.encode();
        assert!(answer(&good).is_some() && answer(&good[..LEN]).is_some());
        assert!((0..LEN).all(|len| answer(&good[..len]).is_none()), "short ones");
        for place in 0..7 {
            let mut other = good.clone();
            other[place] = 0xff;
            assert_eq!(answer(&other), None, "byte {place}");
        }
    }
}
