//! A million packets that nobody would send, through the loaded programs and through the plain [`reference`]: the verdict,
//! what is counted and each byte that leaves must be the same.
//!
//! In: frames of all kinds ([`seeds`]), mutated ([`mutate`]), to all programs, over IPv4 and over IPv6, on a host that is
//! configured or not, within the limits of floods and ICMP errors or beyond (both are either out of reach or zero, so
//! that no clock matters). Out: no difference, and each verdict and drop reason at least once.

mod cast;
mod compare;
#[expect(dead_code, reason = "the other half of it is for tests of the whole")]
#[path = "../../../../tests/src/dice.rs"]
mod dice;
mod fill;
mod headers;
mod kernel;
mod mutate;
mod regressions;
mod seeds;
mod subject;
mod tally;
mod words;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use dice::Dice;
use seeds::Seeds;
use subject::Subject;
use tally::Tally;

use crate::reference::{self, Arrival, Verdict};

const PACKETS: u64 = 1_000_000;
/// Packets that meet the same world in a row.
const BATCH: u64 = 2_500;
/// So many differences are told.
const MOST_TOLD: usize = 30;

/// What the world is like for a batch.
#[derive(Clone, Copy)]
struct Mood {
    over_ipv6: bool,
    configured: bool,
    within_limits: bool,
}

impl Mood {
    fn of(batch: u64) -> Self {
        let good = Self { over_ipv6: false, configured: true, within_limits: true };
        match batch % 20 {
            0 => Self { configured: false, over_ipv6: batch.is_multiple_of(40), ..good },
            1 => Self { within_limits: false, ..good },
            2 => Self { within_limits: false, over_ipv6: true, ..good },
            3..9 => Self { over_ipv6: true, ..good },
            _ => good,
        }
    }
}

/// An emulated machine has time for fewer.
fn packets() -> u64 {
    let slowness =
        std::env::var("WEFT_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    PACKETS / (slowness * slowness).max(1)
}

#[test]
fn a_million_packets_are_judged_as_the_reference_judges_them() {
    let dice = Dice::new();
    println!("repeat with {}", dice.seed());
    let (begun, packets) = (Instant::now(), packets());
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let differences = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
    let ran = thread::scope(|scope| {
        let work = || {
            let mut subjects = Subject::both()?;
            let mut mine = Tally::default();
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                let enough = differences.lock().unwrap().len() >= MOST_TOLD;
                if enough || batch * BATCH >= packets {
                    tally.lock().unwrap().add(mine);
                    return Some(());
                }
                let mood = Mood::of(batch);
                let subject = &mut subjects[usize::from(mood.over_ipv6)];
                subject.turn(mood);
                let numbers = batch * BATCH..(batch + 1) * BATCH;
                let mut found: Vec<_> =
                    numbers.filter_map(|number| packet(subject, &dice, number, &mut mine)).collect();
                if found.is_empty() {
                    // What is tried to make a packet plainer is copied as well, and not counted.
                    found.extend(subject.miscounted_copies().map(|told| format!("batch {batch}: {told}")));
                }
                differences.lock().unwrap().extend(found);
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Option<Vec<_>>>()
    });
    if ran.is_none() {
        return;
    }
    let differences = differences.into_inner().unwrap();
    let told: Vec<_> = differences.into_iter().take(MOST_TOLD).collect();
    assert!(told.is_empty(), "the programs and the reference differ, {}:\n{}", dice.seed(), told.join("\n"));
    let tally = tally.into_inner().unwrap();
    println!("{tally}\n{} packets in {:?}", tally.packets(), begun.elapsed());
    tally.assert_deep();
}

/// Makes a packet and runs it: what differs, if something does.
fn packet(subject: &mut Subject, dice: &Dice, number: u64, tally: &mut Tally) -> Option<String> {
    let arrival = made(subject, dice, number);
    let verdict = reference::judge(&subject.facts, &arrival);
    tally.count(&arrival, &verdict);
    let difference = subject.difference(&arrival, &verdict)?;
    let shrunk = subject.shrink(arrival);
    let verdict = reference::judge(&subject.facts, &shrunk);
    let difference = subject.difference(&shrunk, &verdict).unwrap_or(difference);
    let described = compare::described(&shrunk);
    Some(format!("packet {number}: {difference}\nthe reference: {verdict:02x?}\n{described}\n"))
}

/// The packet with this number: the same one each time.
fn made(subject: &Subject, dice: &Dice, number: u64) -> Arrival {
    let mut dice = dice.of(number);
    let (facts, words) = (&subject.facts, &subject.words);
    let mut seeds = Seeds { facts, words, dice: &mut dice };
    let mut arrival = seeds.arrival();
    let other = seeds.arrival().frame;
    mutate::mutate(&mut arrival.frame, &other, &mut dice, words);
    if !kernel::is_xdp(arrival.place) {
        arrival.frame.truncate(kernel::LONGEST_SKB);
    }
    while arrival.frame.len() < kernel::shortest(&arrival) {
        arrival.frame.push(0);
    }
    // The kernel warns of copies of a super-packet that has no type, which only a test run can make.
    if arrival.gso_size != 0 && matches!(reference::judge(facts, &arrival), Verdict::Copied { .. }) {
        arrival.gso_size = 0;
    }
    arrival
}
