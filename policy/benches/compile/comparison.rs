//! The table in `docs/design/policy.md`: look-ups, entries and time of the tables and of what else they could be.

use std::time::{Duration, Instant};

use weft_policy::{Direction, Maps, Policy, Reason, Tables};

use crate::rule_sets::{RuleSet, samples};
use crate::tuple_space::TupleSpace;
use crate::{NO_LIMIT, pairs};

const SAMPLES: usize = 10_000;
/// Of these, a walk over all rules takes long enough.
const WALKS: usize = 300;

#[expect(clippy::print_stdout, reason = "what it is for")]
pub fn print(sets: &[RuleSet]) {
    println!("| rules | classifier | look-ups, worst | mean | entries | compile |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for set in sets {
        let policy = Policy::new(Direction::Ingress, set.rules.iter().copied());
        let (tables, time) = timed(|| Tables::compile(&policy, &set.identities, &NO_LIMIT).unwrap());
        let (space, space_time) = timed(|| TupleSpace::compile(policy.rules()));
        let maps = Maps::of(&tables);
        let (mut own, mut tuples) = (Lookups::default(), Lookups::default());
        for (number, sample) in samples(set, SAMPLES).iter().enumerate() {
            let packet = sample.packet();
            let found = tables.explain(maps.look_up(&packet, sample.identity)).reason;
            let other = space.look_up(&packet);
            assert_eq!(found, other.rule.map_or(Reason::Default, Reason::Rule), "both are right");
            assert!(number >= WALKS || found == policy.evaluate(&packet).reason);
            own.add(lookups(&maps, sample));
            tuples.add(other.lookups);
        }
        let size = tables.size();
        let entries = size.peers + size.identities + size.services;
        println!("| {} | tables | {} | {:.1} | {entries} | {time:.0?} |", set.name, own.worst, own.mean());
        let all = space.tuples();
        let entries = space.entries();
        println!(
            "| | {all} tuples | {} | {:.1} | {entries} | {space_time:.0?} |",
            tuples.worst,
            tuples.mean()
        );
        let (classes, pairs) = pairs::count(set);
        println!("| | pairs | {} | | {pairs} pairs, {classes} classes of services | |", own.worst);
    }
}

/// What one look-up asks: the class by address, the rule of the family, and for each class that the packet has one more; the
/// class by identity only where one is known.
fn lookups(maps: &Maps, sample: &crate::rule_sets::Sample) -> usize {
    let (address, identity) = maps.classes(&sample.packet(), sample.identity);
    2 + usize::from(address.is_some())
        + usize::from(sample.identity.is_some())
        + usize::from(identity.is_some())
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (run(), start.elapsed())
}

#[derive(Default)]
struct Lookups {
    worst: usize,
    sum: usize,
    count: usize,
}

impl Lookups {
    fn add(&mut self, lookups: usize) {
        self.worst = self.worst.max(lookups);
        self.sum += lookups;
        self.count += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }
}
