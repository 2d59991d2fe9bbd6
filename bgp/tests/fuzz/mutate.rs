//! A small mutation loop: takes an input, changes it in a few places, and keeps it if it ends in a new way.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use crate::{check, corpus, inputs};

/// Longer inputs are cut: what they could find, shorter ones do.
const MAX_LEN: usize = 600;

/// Inputs that are mutated at most: memory stays bounded in long runs.
const MAX_POOL: usize = 20_000;

/// Xorshift: any seed but zero.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 14, 15, 16, 32, 33, 64, 128, 132, 255];
        if self.below(2) == 0 { LIKELY[self.below(16)] } else { self.next().to_be_bytes()[0] }
    }
}

/// One change of `input`, perhaps with a piece of `other`.
fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let len = random.below(12);
    match random.below(6) {
        0 | 1 if at < input.len() => input[at] = random.byte(),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 => drop(input.drain(at..(at + len).min(input.len()))),
        4 => {
            let from = random.below(other.len());
            let piece = other[from..(from + random.below(60)).min(other.len())].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let bytes: Vec<u8> = (0..len).map(|_| random.byte()).collect();
            input.splice(at..at, bytes);
        }
    }
    input.truncate(MAX_LEN);
}

/// Makes the message's length right, and mostly an UPDATE's length of attributes, so that more is looked at.
fn repair(input: &mut [u8], random: &mut Random) {
    if input.len() < 20 || random.below(20) == 0 {
        return;
    }
    input[1..17].fill(0xff);
    let len = u16::try_from(input.len() - 1).unwrap();
    input[17..19].copy_from_slice(&len.to_be_bytes());
    if input[19] == 2 && input.len() >= 24 && random.below(4) != 0 {
        input[20..22].fill(0);
        input[22..24].copy_from_slice(&(len - 23).to_be_bytes());
    }
}

fn words_of(shape: &str) -> Vec<String> {
    shape.split(' ').map(str::to_owned).collect()
}

#[test]
#[ignore = "runs as long as it is told to: cargo xtask fuzz decode"]
fn decode() {
    let seconds = std::env::var("WEFT_FUZZ_SECONDS").map_or(10, |text| text.parse().unwrap());
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let mut random = Random(u64::from(seed) | 1);
    let mut pool: Vec<_> = inputs().into_iter().map(|(_, input)| input).collect();
    let mut seen: HashSet<_> = pool.iter().map(|input| check(input)).collect();
    let mut words: HashSet<_> = seen.iter().flat_map(|shape| words_of(shape)).collect();
    let mut kept = Vec::new();
    let (known, end, mut runs) = (pool.len(), Instant::now() + Duration::from_secs(seconds), 0_u64);
    while Instant::now() < end {
        let mut input = pool[random.below(pool.len())].clone();
        let other = pool[random.below(pool.len())].clone();
        for _ in 0..=random.below(4) {
            change(&mut input, &other, &mut random);
        }
        repair(&mut input, &mut random);
        runs += 1;
        let Ok(shape) = std::panic::catch_unwind(|| check(&input)) else {
            let path = corpus().join(format!("found-{seed}"));
            fs::write(&path, &input).unwrap();
            panic!("after {runs} inputs; the input is in {}", path.display());
        };
        // Few inputs are kept for the replay: those with a kind of value, fault or error that no other has.
        let found = words_of(&shape);
        if found.iter().any(|word| !words.contains(word)) {
            words.extend(found);
            kept.push(input.clone());
        }
        if seen.insert(shape) && pool.len() < MAX_POOL {
            pool.push(input);
        }
    }
    assert!(runs > 0);
    if std::env::var_os("WEFT_FUZZ_KEEP").is_some() {
        for (number, input) in kept.iter().enumerate() {
            fs::write(corpus().join(format!("kept-{seed}-{number}")), input).unwrap();
        }
    }
    println!("{runs} inputs, {} ways to end, {} of them new", seen.len(), pool.len() - known);
}
