//! The Internet checksum (RFC 1071), as arithmetic modulo 65535: there, 0 and 65535 are the same.

/// One's complement sum of `bytes`, an odd one padded with zero.
pub fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    u16::try_from(sum % 0xffff).unwrap()
}

/// What a header carries for these bytes, its own field in them zero.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    (!sum(bytes)).to_be_bytes()
}

/// That of an ICMPv6 message between these addresses (RFC 8200 section 8.1).
pub fn icmpv6(source: &[u8], destination: &[u8], message: &[u8]) -> [u8; 2] {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    checksum(&[source, destination, &length, &[0, 0, 0, 58], message].concat())
}

/// The checksum after a word under it changed from `old` to `new`: right if it was right, and as wrong if it was wrong.
pub fn changed(checksum: [u8; 2], old: u16, new: u16) -> [u8; 2] {
    let checksum = u32::from(u16::from_be_bytes(checksum));
    let changed = (checksum + u32::from(old) + 0xffff - u32::from(new)) % 0xffff;
    u16::try_from(changed).unwrap().to_be_bytes()
}

/// Makes the checksum of a frame's IPv4 header right again, if it has one without options.
pub fn mend(frame: &mut [u8]) {
    if frame.get(12..15) != Some(&[8, 0, 0x45]) || frame.len() < 34 {
        return;
    }
    frame[24..26].copy_from_slice(&[0; 2]);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum);
}
