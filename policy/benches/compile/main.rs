//! How long 100,000 rules take: to compile, to change one of them, to look packets up. Before that, it prints the
//! comparison with other classifiers.
//!
//! `cargo bench -p weft-policy`

#![expect(clippy::unwrap_used, reason = "a benchmark of rules that are known to be good")]

mod comparison;
mod pairs;
mod rule_sets;
mod tuple_space;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use weft_policy::{Direction, Maps, Policy, Size, Tables};

use rule_sets::RuleSet;
use tuple_space::TupleSpace;

const NO_LIMIT: Size = Size { peers: usize::MAX, identities: usize::MAX, services: usize::MAX };

fn main() {
    let sets = rule_sets::all();
    comparison::print(&sets);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    for set in &sets {
        measure(&mut criterion, set);
    }
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, set: &RuleSet) {
    let mut group = criterion.benchmark_group(set.name);
    group.bench_function("policy of rules", |bench| bench.iter(|| policy(set, None)));
    let before = policy(set, None);
    let compile = |policy| Tables::compile(policy, &set.identities, &NO_LIMIT).unwrap();
    group.bench_function("compile", |bench| bench.iter_with_large_drop(|| compile(black_box(&before))));
    let tables = compile(&before);
    for (what, rule) in &set.one_more {
        let after = policy(set, Some(*rule));
        let change = || tables.recompile(black_box(&after), &set.identities, &NO_LIMIT).unwrap();
        group.bench_function(format!("add a rule of {what}"), |bench| bench.iter(change));
        let with_it = change().tables;
        let back = || with_it.recompile(black_box(&before), &set.identities, &NO_LIMIT).unwrap();
        group.bench_function(format!("remove a rule of {what}"), |bench| bench.iter(back));
    }

    let maps = Maps::of(&tables);
    let space = TupleSpace::compile(before.rules());
    let samples = rule_sets::samples(set, 1 << 16);
    let mut next = samples.iter().cycle();
    group.bench_function("look-up", |bench| {
        bench.iter(|| next.next().map(|sample| maps.look_up(&sample.packet(), sample.identity)));
    });
    group.bench_function("look-up by tuples", |bench| {
        bench.iter(|| next.next().map(|sample| space.look_up(&sample.packet()).rule));
    });
    group.finish();
}

fn policy(set: &RuleSet, one_more: Option<weft_policy::Rule>) -> Policy {
    Policy::new(Direction::Ingress, set.rules.iter().copied().chain(one_more))
}
