//! The Internet checksum (RFC 1071): what a header carries of a sum of big-endian words.

/// The sum with its carries added back in.
#[inline(always)]
pub fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Whether a header whose checksum is in its place has a right one (RFC 1071 section 1). Inline, and byte by byte, because
/// headers are not aligned: cheaper for so few than a call of the kernel's helper.
#[inline(always)]
pub fn is_right<const BYTES: usize>(header: &[u8; BYTES]) -> bool {
    let (mut high, mut low) = (0_u32, 0_u32);
    let mut at = 0;
    while at + 1 < BYTES {
        high += header[at] as u32;
        low += header[at + 1] as u32;
        at += 2;
    }
    fold((high << 8) + low) == 0xffff
}

/// What a header carries: the sum's complement, in wire order.
#[inline(always)]
pub fn complement(sum: u32) -> [u8; 2] {
    (!fold(sum)).to_be_bytes()
}

/// The checksum after one word under it changed (RFC 1624 section 3, equation 3).
#[inline(always)]
pub fn updated(checksum: [u8; 2], old: u16, new: u16) -> [u8; 2] {
    let sum = !u16::from_be_bytes(checksum) as u32 & 0xffff;
    complement(sum + (!old as u32 & 0xffff) + new as u32)
}
