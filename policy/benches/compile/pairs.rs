//! Two sets of classes and a table of pairs: the alternative that needs no work to be compared, for its pairs can be
//! counted.
//!
//! Services have classes of their own, shared by all peers: ports that the same ranges of all rules contain. A pair is there
//! for each class of peers and each class of services with a rule for both.

use std::collections::BTreeMap;

use ipnet::IpNet;
use weft_policy::{Peer, Rule};

use crate::rule_sets::RuleSet;

/// How many classes of services, and how many pairs.
pub fn count(set: &RuleSet) -> (usize, u64) {
    let mut edges: Vec<u32> = set.rules.iter().flat_map(|rule| <[u32; 2]>::from(range(rule))).collect();
    edges.sort_unstable();
    edges.dedup();
    let class = |edge| u32::try_from(edges.partition_point(|other| *other < edge)).unwrap();

    let mut peers: BTreeMap<Peer, Vec<(u32, u32)>> = BTreeMap::new();
    for rule in &set.rules {
        let (first, end) = range(rule);
        peers.entry(rule.peer()).or_default().push((class(first), class(end)));
    }
    let ranges = |peer: Peer| peers.get(&peer).into_iter().flatten().copied();
    let prefixes = peers.keys().filter_map(|peer| match peer {
        Peer::Prefix(prefix) => Some(*prefix),
        Peer::Any | Peer::Group(_) => None,
    });
    let around = |prefix| std::iter::successors(Some(prefix), IpNet::supernet);
    let of_prefixes =
        prefixes.map(|prefix| around(prefix).flat_map(|net| ranges(Peer::Prefix(net))).collect());
    let of_groups = set.identities.values();
    let of_groups =
        of_groups.map(|groups| groups.iter().flat_map(|group| ranges(Peer::Group(group))).collect());
    let pairs = of_prefixes.chain(of_groups).map(covered).sum();
    (edges.len(), pairs)
}

/// The first port, and the one behind the last.
fn range(rule: &Rule) -> (u32, u32) {
    let ports = rule.ports().unwrap_or(0..=u16::MAX);
    (u32::from(*ports.start()), u32::from(*ports.end()) + 1)
}

/// How many numbers the ranges contain together.
fn covered(mut ranges: Vec<(u32, u32)>) -> u64 {
    ranges.sort_unstable();
    let mut end = 0;
    let mut sum = 0;
    for (first, last) in ranges {
        sum += u64::from(last.saturating_sub(first.max(end)));
        end = end.max(last);
    }
    sum
}
