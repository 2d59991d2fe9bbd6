//! A capture of one direction of a session with port 179: each message is a TCP segment of its own, with the headers and
//! checksums that it would have.
//!
//! ```text
//! file:   | magic a1b2c3d4 (4) | version 2 (2), 4 (2) | zone (4) | accuracy (4) | longest (4) | link type (4) |
//! packet: | seconds (4) | microseconds (4) | length here (4) | length there (4) | IPv4 | TCP | message |
//! ```

/// Packets begin with the IP header.
const LINKTYPE_RAW: u32 = 101;
const TCP: u8 = 6;
const FROM: [u8; 4] = [10, 250, 0, 1];
const TO: [u8; 4] = [10, 250, 0, 2];
const PORTS: [u8; 4] = [0xc3, 0x50, 0, 179];
const ACK_AND_PUSH: u8 = 0x18;

pub fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_be_bytes());
    file.extend([0, 2, 0, 4]);
    file.extend([0; 8]);
    file.extend(0x0004_0000_u32.to_be_bytes());
    file.extend(LINKTYPE_RAW.to_be_bytes());
    let mut sequence = 1_u32;
    for (second, message) in (0_u32..).zip(messages) {
        let packet = packet(sequence, message);
        let len = u32::try_from(packet.len()).unwrap();
        file.extend([second, 0, len, len].map(u32::to_be_bytes).concat());
        file.extend(packet);
        sequence += u32::try_from(message.len()).unwrap();
    }
    file
}

fn packet(sequence: u32, message: &[u8]) -> Vec<u8> {
    let tcp_len = u16::try_from(20 + message.len()).unwrap();
    let mut ip =
        [&[0x45, 0xc0][..], &(20 + tcp_len).to_be_bytes(), &[0, 0, 0x40, 0, 1, TCP, 0, 0], &FROM, &TO]
            .concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let numbers = [sequence, 1].map(u32::to_be_bytes).concat();
    let header = [&PORTS[..], &numbers, &[0x50, ACK_AND_PUSH, 0xff, 0xff, 0, 0, 0, 0]].concat();
    let mut tcp = [&header[..], message].concat();
    let pseudo_header = [&FROM[..], &TO, &[0, TCP], &tcp_len.to_be_bytes()].concat();
    let sum = checksum(&[pseudo_header, tcp.clone()].concat());
    tcp[16..18].copy_from_slice(&sum);
    [ip, tcp].concat()
}

/// RFC 1071 section 1.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}
