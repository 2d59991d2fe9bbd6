//! The loop: takes an input, changes it in a few places, and keeps it if it ends in a new way.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use crate::mutation::{Random, mutate};
use crate::{check, corpus, inputs};

/// Inputs that are mutated at most: memory stays bounded in long runs.
const MAX_POOL: usize = 20_000;

fn words_of(shape: &str) -> Vec<String> {
    shape.split(' ').map(str::to_owned).collect()
}

#[test]
#[ignore = "runs as long as it is told to: cargo xtask fuzz decode"]
fn decode() {
    let seconds = std::env::var("WEFT_FUZZ_SECONDS").map_or(10, |text| text.parse().unwrap());
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let mut random = Random::new(seed.into());
    let mut pool: Vec<_> = inputs().into_iter().map(|(_, input)| input).collect();
    let mut seen: HashSet<_> = pool.iter().map(|input| check(input)).collect();
    let mut words: HashSet<_> = seen.iter().flat_map(|shape| words_of(shape)).collect();
    let mut kept = Vec::new();
    let (known, end, mut runs) = (pool.len(), Instant::now() + Duration::from_secs(seconds), 0_u64);
    while Instant::now() < end {
        let input = mutate(&pool, &mut random);
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
