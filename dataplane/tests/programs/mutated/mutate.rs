//! What is done to frames: fields set to values that mean something, and bytes changed without any sense.

use super::dice::Dice;
use super::words::Words;
use crate::reference::checksum;

/// What a field holds.
#[derive(Clone, Copy)]
enum Field {
    Mac,
    EtherType,
    Ipv4,
    Ipv6,
    /// A length, which now is this.
    Length(usize),
    VersionAndLength,
    Version6,
    Tos,
    Hops,
    Protocol,
    Fragment,
    Sum,
    Port,
    Vni,
    VxlanFlags,
    Kind,
    Code,
    Operation,
}

/// Changes a frame none to a few times. `other` is one to take a piece from.
pub fn mutate(frame: &mut Vec<u8>, other: &[u8], dice: &mut Dice, words: &Words) {
    let times = match dice.below(100) {
        0..35 => 0,
        35..72 => 1,
        72..90 => 2,
        90..97 => 3,
        _ => 8,
    };
    for _ in 0..times {
        if dice.below(100) < 80 {
            let fields = fields(frame);
            if !fields.is_empty() {
                let (at, field) = dice.one(&fields);
                set(frame, at, field, dice, words);
            }
        } else {
            blindly(frame, other, dice);
        }
    }
}

fn blindly(frame: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let length = frame.len().max(1) as u64;
    // Most of what is looked at is near the beginning.
    let near = if dice.below(4) == 0 { length } else { length.min(120) };
    let at = usize::try_from(dice.below(near)).unwrap();
    match dice.below(6) {
        0 | 1 => {
            for _ in 0..=dice.below(3) {
                let at = usize::try_from(dice.below(near)).unwrap();
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
        2 => frame.truncate(at),
        3 => frame.extend(vec![0xa5; usize::try_from(dice.below(80)).unwrap()]),
        4 => {
            if let Some(byte) = frame.get_mut(at) {
                *byte = u8::try_from(dice.below(256)).unwrap();
            }
        }
        _ => {
            frame.truncate(at);
            frame.extend(other.get(at..).unwrap_or_default());
        }
    }
}

/// The fields of a frame, and of one that it carries in VXLAN.
fn fields(frame: &[u8]) -> Vec<(usize, Field)> {
    let mut found = Vec::new();
    let inner = fields_at(frame, 0, &mut found);
    if let Some(inner) = inner {
        fields_at(frame, inner, &mut found);
    }
    found
}

/// Those of the frame at `at`; where the one is that it carries.
fn fields_at(frame: &[u8], at: usize, found: &mut Vec<(usize, Field)>) -> Option<usize> {
    found.extend([(at, Field::Mac), (at + 6, Field::Mac), (at + 12, Field::EtherType)]);
    let ip = at + 14;
    let rest = frame.len().saturating_sub(ip);
    let (protocol, transport) = match frame.get(at + 12..ip)? {
        [0x08, 0x06] => {
            found.extend([(ip, Field::Code), (ip + 6, Field::Operation), (ip + 8, Field::Mac)]);
            found.extend([(ip + 14, Field::Ipv4), (ip + 18, Field::Mac), (ip + 24, Field::Ipv4)]);
            return None;
        }
        [0x08, 0x00] => {
            found.extend([
                (ip, Field::VersionAndLength),
                (ip + 1, Field::Tos),
                (ip + 2, Field::Length(rest)),
            ]);
            found.extend([(ip + 6, Field::Fragment), (ip + 8, Field::Hops), (ip + 9, Field::Protocol)]);
            found.extend([(ip + 10, Field::Sum), (ip + 12, Field::Ipv4), (ip + 16, Field::Ipv4)]);
            (*frame.get(ip + 9)?, ip + usize::from(*frame.get(ip)? & 0xf) * 4)
        }
        [0x86, 0xdd] => {
            found.extend([(ip, Field::Version6), (ip + 1, Field::Tos)]);
            found.extend([(ip + 4, Field::Length(rest.saturating_sub(40))), (ip + 6, Field::Protocol)]);
            found.extend([(ip + 7, Field::Hops), (ip + 8, Field::Ipv6), (ip + 24, Field::Ipv6)]);
            (*frame.get(ip + 6)?, ip + 40)
        }
        _ => return None,
    };
    match protocol {
        17 => {
            let rest = frame.len().saturating_sub(transport);
            found.extend([(transport, Field::Port), (transport + 2, Field::Port)]);
            found.extend([(transport + 4, Field::Length(rest)), (transport + 6, Field::Sum)]);
            if frame.get(transport + 2..transport + 4)? == [0x12, 0xb5] {
                found.extend([(transport + 8, Field::VxlanFlags), (transport + 12, Field::Vni)]);
                return Some(transport + 16);
            }
        }
        6 => found.extend([(transport, Field::Port), (transport + 12, Field::Code)]),
        1 | 58 => {
            found.extend([(transport, Field::Kind), (transport + 1, Field::Code)]);
            found.extend([(transport + 2, Field::Sum), (transport + 4, Field::Length(1500))]);
            // Those of neighbour discovery: target, option, its length and MAC.
            found.extend([(transport + 8, Field::Ipv6), (transport + 24, Field::Kind)]);
            found.extend([(transport + 25, Field::Code), (transport + 26, Field::Mac)]);
        }
        0 | 43 | 44 | 51 | 60 => {
            found.extend([(transport, Field::Protocol), (transport + 1, Field::Code)]);
            found.push((transport + 2, Field::Fragment));
        }
        _ => {}
    }
    None
}

fn set(frame: &mut [u8], at: usize, field: Field, dice: &mut Dice, words: &Words) {
    let word = |value: usize| u16::try_from(value & 0xffff).unwrap().to_be_bytes().to_vec();
    let value = match field {
        Field::Mac => dice.one(&words.macs).to_vec(),
        Field::Ipv4 => dice.one(&words.ipv4).octets().to_vec(),
        Field::Ipv6 => dice.one(&words.ipv6).octets().to_vec(),
        Field::EtherType => {
            dice.one(&[0x0800_u16, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x88cc, 0, 64]).to_be_bytes().to_vec()
        }
        Field::Length(now) => {
            let near = [now, now + 1, now.wrapping_sub(1), now + 8, now.wrapping_sub(8), now / 2];
            let any = [0, 1, 7, 8, 16, 19, 20, 21, 23, 24, 28, 32, 39, 40, 41, 48, 60, 0x7fff, 0xffff];
            word(if dice.below(3) == 0 { dice.one(&near) } else { dice.one(&any) })
        }
        Field::VersionAndLength => {
            vec![dice.one(&[0x45, 0x46, 0x4f, 0x44, 0x40, 0x4a, 0x55, 0x65, 0x05, 0xf5])]
        }
        Field::Version6 => vec![dice.one(&[0x60, 0x6f, 0x40, 0x45, 0x50, 0x00, 0xf0])],
        Field::Tos => vec![dice.one(&[0, 1, 2, 3, 0x10, 0x20, 0x30, 0xb8, 0xff])],
        Field::Hops => vec![dice.one(&[0, 1, 2, 64, 254, 255])],
        Field::Protocol => vec![dice.one(&[0, 1, 2, 6, 17, 43, 44, 47, 50, 51, 58, 59, 60, 132, 255])],
        Field::Fragment => {
            dice.one(&[0_u16, 0x2000, 0x2001, 0x1fff, 0x4000, 0x6000, 0x8000, 1, 7, 8]).to_be_bytes().to_vec()
        }
        Field::Sum => dice.one(&[0_u16, 1, 0xfeff, 0xfffe, 0xffff]).to_be_bytes().to_vec(),
        Field::Port => dice.one(&[4789_u16, 4790, 0, 53, 0xffff]).to_be_bytes().to_vec(),
        Field::Vni => dice.one(&words.vnis).to_be_bytes()[1..].to_vec(),
        Field::VxlanFlags => vec![dice.one(&[0, 8, 0x0c, 0x88, 0xf7, 0xff])],
        Field::Kind => {
            vec![dice.one(&[
                0, 1, 2, 3, 4, 5, 8, 11, 12, 14, 127, 128, 129, 132, 133, 134, 135, 136, 137, 138, 143,
            ])]
        }
        Field::Code => vec![dice.one(&[0, 1, 2, 3, 4, 0x50, 0x60, 0xf0, 0xff])],
        Field::Operation => dice.one(&[0_u16, 1, 2, 3, 0x0100]).to_be_bytes().to_vec(),
    };
    if let Some(place) = frame.get_mut(at..at + value.len()) {
        place.copy_from_slice(&value);
    }
    if dice.below(2) == 0 {
        checksum::mend(frame);
    }
}
