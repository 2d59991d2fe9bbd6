//! The codec against hostile bytes. The corpus is replayed by every test run; `cargo xtask fuzz decode` mutates it and
//! keeps what ends in a way not seen before. An input is a byte of dialect and then what a peer sends.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../counting/mod.rs"]
mod counting;
mod mutate;
mod mutation;

use std::fs;
use std::path::PathBuf;

use weft_bgp::wire::{AddPathFamilies, Dialect, Frame, Message, MessageError, Received};

/// Bytes held at most for each byte of a message; see `memory.rs`.
const MULTIPLE: usize = 256;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Every input, by name.
fn inputs() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(corpus())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

fn dialect(bits: u8) -> Dialect {
    let bit = |bit: u8| bits & (1 << bit) != 0;
    let path_ids = if bit(4) {
        AddPathFamilies { ipv4: true, ipv6: true, evpn: true }
    } else {
        AddPathFamilies::default()
    };
    Dialect {
        internal: bit(0),
        four_octet_as: bit(1),
        extended_next_hop: bit(2),
        receive_extended: bit(3),
        // What is read can grow by what is written in a longer form.
        send_extended: true,
        receive_path_ids: path_ids,
        send_path_ids: path_ids,
    }
}

/// Decodes one input, checks what must hold of every one, and says in which way it ended.
fn check(input: &[u8]) -> String {
    let Some((&bits, bytes)) = input.split_first() else { return "empty".into() };
    let dialect = dialect(bits);
    let held = counting::most(|| drop(read(bytes, &dialect)));
    assert!(held <= MULTIPLE * (bytes.len() + 19), "{held} bytes for {}", bytes.len());
    let outcome = read(bytes, &dialect);
    match &outcome {
        Ok(Some(received)) => check_received(received, &dialect),
        Ok(None) => {}
        Err(error) => {
            let notification = Message::Notification(error.notification());
            notification.encode(&Dialect::plain(), &mut Vec::new()).unwrap();
        }
    }
    shape(&format!("{outcome:?}"))
}

fn read(bytes: &[u8], dialect: &Dialect) -> Result<Option<Received>, MessageError> {
    Frame::next(bytes, dialect.receive_extended)?.map(|frame| Received::decode(frame, dialect)).transpose()
}

/// What was read, written and read again is the same, and is then without fault.
fn check_received(received: &Received, dialect: &Dialect) {
    // An UPDATE of which nothing is left would become an End-of-RIB, and is never sent.
    let nothing = matches!(&received.message, Message::Update(update)
        if update.withdrawn.is_empty() && update.unreachable.iter().all(|routes| routes.is_empty())
            && update.reachable.is_none() && update.announced.is_empty());
    let mut out = Vec::new();
    if nothing || received.message.encode(dialect, &mut out).is_err() {
        return;
    }
    let reading = Dialect { receive_extended: true, ..*dialect };
    let again = read(&out, &reading).unwrap().unwrap();
    assert_eq!(again.message, received.message);
    assert!(again.faults.is_empty(), "{:?}", again.faults);
}

/// The names in a debug text, each once: which kinds of message, route, attribute and fault there are.
fn shape(text: &str) -> String {
    let mut words: Vec<_> = text
        .split(|letter: char| !letter.is_ascii_alphabetic() && letter != '_')
        // Names are of mixed case; text that a peer wrote, such as a host name, mostly is not.
        .filter(|word| word.len() > 3 && word.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .filter(|word| word.len() < 24 && word[1..].contains(|letter: char| letter.is_ascii_lowercase()))
        .collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

#[test]
fn the_corpus_is_replayed() {
    let inputs = inputs();
    assert!(inputs.len() >= 20, "the corpus is there");
    for (name, input) in inputs {
        let done = std::panic::catch_unwind(|| check(&input));
        assert!(done.is_ok(), "{name}");
    }
}
