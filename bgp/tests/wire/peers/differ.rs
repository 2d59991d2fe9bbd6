//! Damaged messages: the corpus of the fuzz loop and what it becomes by small changes, read by all three. Where weft takes
//! a message and another does not, or the other way round, or both take it and read something else, the difference must
//! be of a kind that `known` lists with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use weft_bgp::wire::{Dialect, Fault, HEADER_LEN, MessageError, Received};

use super::known::is_known;
use super::mutation::{Random, mutate};
use super::{CODECS, Codec, dialect, said};
use crate::support::{decode, hex};

/// What weft makes of a message: what it says, or what is wrong with it.
fn weft(bytes: &[u8], dialect: &Dialect) -> Result<Vec<String>, String> {
    match decode(bytes, dialect) {
        Err(error) => Err(error_name(&error)),
        Ok(Received { message, faults }) => match faults.first() {
            Some(fault) => Err(fault_name(fault)),
            None => Ok(said::of(&message)),
        },
    }
}

fn error_name(error: &MessageError) -> String {
    let text = format!("{error:?}");
    // Down to where values start.
    let names = text.split([' ', '[', '{']).next().unwrap_or_default();
    names
        .split(['(', ')'])
        .filter(|name| !name.is_empty() && name.parse::<u32>().is_err())
        .collect::<Vec<_>>()
        .join(" ")
}

fn fault_name(fault: &Fault) -> String {
    match fault {
        Fault::Attribute(error) => format!("{} {}", error.code, variant(&error.problem)),
        Fault::Route(error) => format!("route {}", variant(error)),
        Fault::Overrun | Fault::MembershipLength(_) => variant(fault),
    }
}

fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// How another codec's reading of a message differs from weft's.
fn differences(bytes: &[u8], dialect: &Dialect, codec: &Codec) -> BTreeSet<String> {
    let theirs = catch_unwind(|| (codec.read)(bytes, dialect));
    match (weft(bytes, dialect), theirs) {
        (_, Err(_)) => [format!("{} panics", codec.name)].into(),
        (Err(_), Ok(Err(_))) => BTreeSet::new(),
        (Ok(_), Ok(Err(name))) => [format!("{} refuses: {name}", codec.name)].into(),
        (Err(name), Ok(Ok(_))) => [format!("{} accepts: {name}", codec.name)].into(),
        (Ok(ours), Ok(Ok(theirs))) => {
            let (ours, theirs) = (codec.known(&ours), codec.known(&theirs.said));
            let only = |these: &[String], others: &[String]| -> BTreeSet<String> {
                these.iter().filter(|line| !others.contains(line)).map(|line| word(line).to_owned()).collect()
            };
            let (missed, added) = (only(&ours, &theirs), only(&theirs, &ours));
            let differ = |word: &String| match (missed.contains(word), added.contains(word)) {
                (true, true) => format!("{} reads another {word}", codec.name),
                (true, false) => format!("{} misses {word}", codec.name),
                (false, _) => format!("{} adds {word}", codec.name),
            };
            missed.union(&added).map(differ).collect()
        }
    }
}

/// The first word of a line, which names the field.
fn word(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}

/// Reads inputs until there is no more, and fails with every kind of difference that is not known. How many messages
/// there were, and how often another codec panicked.
fn compare(inputs: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let (mut messages, mut panics) = (0, 0);
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for input in inputs {
        let Some((&bits, bytes)) = input.split_first() else { continue };
        // The others read whole messages.
        let len = bytes.get(16..18).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])));
        if bytes.len() < HEADER_LEN || len != Some(bytes.len()) {
            continue;
        }
        messages += 1;
        for codec in &CODECS {
            for kind in differences(bytes, &dialect(bits), codec) {
                if kind.ends_with("panics") {
                    panics += 1;
                } else if !is_known(&kind) {
                    found.entry(kind).or_insert_with(|| input.clone());
                }
            }
        }
    }
    let texts: Vec<_> = found.iter().map(|(kind, input)| format!("{kind}: {}", hex(input))).collect();
    assert!(texts.is_empty(), "in {messages} messages, and {panics} panics:\n{}", texts.join("\n"));
    (messages, panics)
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn damaged_messages() {
    let (pool, mut random) = (corpus(), Random::new(1));
    let changed = std::iter::repeat_with(|| mutate(&pool, &mut random)).take(20_000);
    let (messages, panics) = compare(corpus().into_iter().chain(changed));
    println!("{messages} messages, {panics} panics of the others");
    assert!(messages > 10_000, "{messages}");
}

#[test]
#[ignore = "runs as long as it is told to: cargo xtask fuzz differ"]
fn differ() {
    let seconds = std::env::var("WEFT_FUZZ_SECONDS").map_or(10, |text| text.parse().unwrap());
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let (pool, mut random) = (corpus(), Random::new(seed.into()));
    let end = Instant::now() + Duration::from_secs(seconds);
    let changed = std::iter::from_fn(|| (Instant::now() < end).then(|| mutate(&pool, &mut random)));
    let (messages, panics) = compare(changed);
    println!("{messages} messages, {panics} panics of the others");
}
