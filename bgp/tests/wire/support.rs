//! The captured messages, and the raw parts of a message for tests that must not trust the codec.

use weft_bgp::wire::{Dialect, Frame, Message, Received};

/// One captured message.
pub struct Vector {
    /// File, number and kind, for failures.
    pub name: String,
    /// The whole message.
    pub bytes: Vec<u8>,
    /// The lines behind `;`, without it.
    pub notes: Vec<String>,
    /// What the two speakers had agreed on.
    pub dialect: Dialect,
}

const IBGP: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
const EBGP: Dialect = Dialect { four_octet_as: true, ..Dialect::plain() };

/// Every message of every file.
pub fn vectors() -> Vec<Vector> {
    let mut all = Vec::new();
    for (file, dialect, text) in [
        ("frr-ibgp-irb", IBGP, include_str!("../vectors/frr-ibgp-irb.txt")),
        ("frr-ebgp-as4", EBGP, include_str!("../vectors/frr-ebgp-as4.txt")),
        ("gobgp-ibgp", IBGP, include_str!("../vectors/gobgp-ibgp.txt")),
    ] {
        for line in text.lines() {
            if line.starts_with('[') {
                let name = format!("{file} {line}");
                all.push(Vector { name, bytes: vec![], notes: vec![], dialect });
            } else if let Some(note) = line.strip_prefix("  ; ") {
                all.last_mut().unwrap().notes.push(note.trim_end().to_owned());
            } else if let Some(hex) = line.strip_prefix("  ") {
                all.last_mut().unwrap().bytes.extend(unhex(hex));
            }
        }
    }
    assert_eq!(all.len(), 41, "messages in the files");
    all
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The whole message in `bytes`, or why not.
pub fn decode(bytes: &[u8], dialect: &Dialect) -> Result<Received, weft_bgp::wire::MessageError> {
    let frame = Frame::next(bytes, dialect.receive_extended)?.expect("a whole message");
    assert_eq!(frame.len(), bytes.len());
    Received::decode(frame, dialect)
}

pub fn encode(message: &Message, dialect: &Dialect) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(dialect, &mut out).unwrap();
    out
}

/// Flags, code and value of each attribute of an UPDATE.
pub fn attributes(message: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let withdrawn = usize::from(u16::from_be_bytes([message[19], message[20]]));
    let mut rest = &message[23 + withdrawn..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (header, len) = if rest[0] & 0x10 == 0 {
            (3, usize::from(rest[2]))
        } else {
            (4, usize::from(u16::from_be_bytes([rest[2], rest[3]])))
        };
        all.push((rest[0], rest[1], rest[header..header + len].to_vec()));
        rest = &rest[header + len..];
    }
    all
}

/// A message with the length that it has.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(19 + body.len()).unwrap();
    [&[0xff; 16][..], &len.to_be_bytes(), &[kind], body].concat()
}
