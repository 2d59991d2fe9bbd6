//! A frame as the reference expects it. All of its bytes are known but two kinds: what the kernel's flow hash chooses in
//! outer headers, and which of its two zeros a checksum has.

use super::Family;

/// Outer lengths up to the UDP header.
const UDP_OVER_IPV4: usize = 14 + 20;
const UDP_OVER_IPV6: usize = 14 + 40;
/// Where the flow label is, in the lower 20 bits.
const FLOW_WORD: std::ops::Range<usize> = 14..18;

/// An expected frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Offsets of checksums.
    pub sums: Vec<usize>,
    /// Over what it is encapsulated, if it is.
    pub outer: Option<Family>,
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, sums: Vec::new(), outer: None }
    }
}

impl Frame {
    /// The same with a checksum at `at`.
    pub fn summed_at(mut self, at: usize) -> Self {
        self.sums.push(at);
        self
    }

    /// What is wrong with `seen`, if something is.
    pub fn difference(&self, seen: &[u8]) -> Option<String> {
        let mut expected = self.bytes.clone();
        if expected.len() != seen.len() {
            return Some(format!("{} bytes instead of {}", seen.len(), expected.len()));
        }
        for at in &self.sums {
            let (Some(mine), Some(theirs)) = (expected.get_mut(*at..at + 2), seen.get(*at..at + 2)) else {
                continue;
            };
            if matches!(mine, [0, 0] | [0xff, 0xff]) && matches!(theirs, [0, 0] | [0xff, 0xff]) {
                mine.copy_from_slice(theirs);
            }
        }
        match self.outer {
            None => {}
            Some(Family::V4) => {
                if let Some(wrong) = take_port(&mut expected, seen, UDP_OVER_IPV4) {
                    return Some(wrong);
                }
            }
            Some(Family::V6) => {
                if let Some(wrong) = take_port(&mut expected, seen, UDP_OVER_IPV6) {
                    return Some(wrong);
                }
                let label = u32::from_be_bytes(seen[FLOW_WORD].try_into().unwrap()) & 0xf_ffff;
                let port = u16::from_be_bytes([seen[UDP_OVER_IPV6], seen[UDP_OVER_IPV6 + 1]]);
                // Both are of one hash: its lower 20 bits, and its lower 15 with the upper ones folded in.
                if (label ^ label >> 16 ^ u32::from(port)) & 0xf != 0 {
                    return Some(format!("flow label {label:#x} and source port {port:#x} are of two flows"));
                }
                let word = u32::from_be_bytes(expected[FLOW_WORD].try_into().unwrap()) | label;
                expected[FLOW_WORD].copy_from_slice(&word.to_be_bytes());
            }
        }
        let at = expected.iter().zip(seen).position(|(mine, theirs)| mine != theirs)?;
        Some(format!("byte {at} is {:#04x} instead of {:#04x}", seen[at], expected[at]))
    }
}

/// Takes over the UDP source port that the kernel's hash chose, if it is one of those that may be.
fn take_port(expected: &mut [u8], seen: &[u8], udp: usize) -> Option<String> {
    let port = u16::from_be_bytes([seen[udp], seen[udp + 1]]);
    if port < 0x8000 {
        return Some(format!("outer source port {port}"));
    }
    expected[udp..udp + 2].copy_from_slice(&seen[udp..udp + 2]);
    None
}
