//! Captured messages, cut off and damaged byte by byte: never a panic, always a value or a classified error.

use weft_bgp::wire::{Dialect, Frame, Message, MessageError, MessageKind, Received, Treatment};

use crate::support::{encode, vectors};

/// The answer to a damaged message, checked for what must hold of each.
fn answer(frame: Frame<'_>, dialect: &Dialect, what: &dyn Fn() -> String) {
    let received = match Received::decode(frame, dialect) {
        Ok(received) => received,
        Err(error) => {
            check_class(frame.kind, &error, what);
            return;
        }
    };
    let withdraw = received.faults.iter().any(|fault| fault.treatment() == Treatment::TreatAsWithdraw);
    if let Message::Update(update) = &received.message {
        let announced = update.reachable.is_some() || !update.announced.is_empty();
        assert!(!(withdraw && announced), "{}: routes announced in spite of {:?}", what(), received.faults);
    }
    // An UPDATE of which nothing is left would become an End-of-RIB, and is never sent.
    let mut out = Vec::new();
    let nothing = matches!(&received.message, Message::Update(update)
        if update.withdrawn.is_empty() && update.unreachable.iter().all(|routes| routes.is_empty())
            && update.reachable.is_none() && update.announced.is_empty());
    if nothing || received.message.encode(dialect, &mut out).is_err() {
        return;
    }
    let again = Received::decode(Frame::next(&out, dialect.receive_extended).unwrap().unwrap(), dialect);
    assert_eq!(again.map(|again| again.message), Ok(received.message), "{}", what());
}

/// An error in a message of some kind leads to a NOTIFICATION about that kind.
fn check_class(kind: MessageKind, error: &MessageError, what: &dyn Fn() -> String) {
    let notification = error.notification();
    let fits = match kind {
        MessageKind::Open => notification.code.0 == 2,
        MessageKind::Update => notification.code.0 == 3 && (1..=11).contains(&notification.subcode),
        MessageKind::RouteRefresh => matches!((notification.code.0, notification.subcode), (1, 2) | (7, 1)),
        MessageKind::Notification | MessageKind::Keepalive => false,
    };
    assert!(fits, "{}: {error} leads to {notification}", what());
    assert!(!encode(&Message::Notification(notification), &Dialect::plain()).is_empty());
}

#[test]
fn cut_off_at_every_byte() {
    for vector in vectors() {
        let whole = Frame::next(&vector.bytes, false).unwrap().unwrap();
        for len in 0..vector.bytes.len() {
            // The stream is not there yet: wait.
            assert_eq!(Frame::next(&vector.bytes[..len], false), Ok(None), "{} at {len}", vector.name);
        }
        for len in 0..whole.body.len() {
            // The message is shorter than its content says.
            let frame = Frame { kind: whole.kind, body: &whole.body[..len] };
            answer(frame, &vector.dialect, &|| format!("{} cut at {len}", vector.name));
        }
    }
}

#[test]
fn every_byte_damaged() {
    for vector in vectors() {
        for at in 0..vector.bytes.len() {
            let good = vector.bytes[at];
            let flipped = (0..8).map(|bit| good ^ (1 << bit));
            for byte in flipped.chain([0, 0xff, 33, 128, good.wrapping_add(1)]) {
                let mut bytes = vector.bytes.clone();
                bytes[at] = byte;
                let what = || format!("{}, byte {at} = {byte:#04x}", vector.name);
                match Frame::next(&bytes, false) {
                    Ok(Some(frame)) => answer(frame, &vector.dialect, &what),
                    // The length grew.
                    Ok(None) => assert!((16..18).contains(&at), "{}", what()),
                    Err(error) => {
                        assert!(at < 19, "{}", what());
                        assert_eq!(MessageError::from(error).notification().code.0, 1);
                    }
                }
            }
        }
    }
}

#[test]
fn read_in_every_other_dialect() {
    let all = weft_bgp::wire::AddPathFamilies { ipv4: true, ipv6: true, evpn: true };
    for vector in vectors() {
        let frame = Frame::next(&vector.bytes, false).unwrap().unwrap();
        for bits in 0..16_u8 {
            let bit = |bit: u8| bits & (1 << bit) != 0;
            let path_ids = if bit(3) { all } else { Default::default() };
            let dialect = Dialect {
                internal: bit(0),
                four_octet_as: bit(1),
                extended_next_hop: bit(2),
                receive_path_ids: path_ids,
                send_path_ids: path_ids,
                ..Dialect::plain()
            };
            answer(frame, &dialect, &|| format!("{} in {dialect:?}", vector.name));
        }
    }
}
