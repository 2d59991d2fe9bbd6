//! The fewest prefixes whose longest match finds a profile (Draves, King, Venkatachary, Zill: "Constructing Optimal IP
//! Routing Tables", INFOCOM 1999).
//!
//! Ports from 1 on take two entries, all ports and port 0, where prefixes that do not overlap would be sixteen.

use std::ops::Range;

use crate::profile::{Piece, Profile};
use crate::{Candidate, ServicePrefix};

/// One entry of a class. Where it has no rule, none of a shorter prefix counts either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) prefix: ServicePrefix,
    pub(crate) best: Candidate,
}

/// Makes entries of profiles, one after the other in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Cover {
    nodes: Vec<Node>,
    /// The choices of all nodes, one behind the other, each in ascending order.
    choices: Vec<Candidate>,
    entries: Vec<Entry>,
}

/// A prefix in the tree.
#[derive(Debug)]
struct Node {
    /// What it may have for its entry: with any of them, the prefixes below take the fewest.
    choices: Range<usize>,
    /// Its halves in `nodes`, unless it is all of one piece.
    halves: Option<(usize, usize)>,
}

impl Cover {
    /// The entries of a profile, in the order of their prefixes.
    pub(crate) fn entries(&mut self, profile: &Profile) -> Box<[Entry]> {
        self.nodes.clear();
        self.choices.clear();
        self.entries.clear();
        let root = self.plan(&profile.pieces, ServicePrefix::ALL);
        // The entry for all services is what packets without a service find, so there is no choice.
        if profile.any != Candidate::NONE {
            self.entries.push(Entry { prefix: ServicePrefix::ALL, best: profile.any });
        }
        self.choose_below(root, ServicePrefix::ALL, profile.any);
        self.entries.as_slice().into()
    }

    /// Finds the choices of a prefix, and of all below it. `pieces` are those that it takes part in.
    fn plan(&mut self, pieces: &[Piece], prefix: ServicePrefix) -> usize {
        let node = if let [piece] = pieces {
            self.choices.push(piece.best);
            Node { choices: self.choices.len() - 1..self.choices.len(), halves: None }
        } else {
            let (low, high) = prefix.halves();
            let split = pieces.partition_point(|piece| piece.first < high.first());
            // The last piece of the lower half goes on in the upper one, unless another begins just there.
            let goes_on = pieces.get(split).is_none_or(|piece| piece.first > high.first());
            let low = self.plan(&pieces[..split], low);
            let high = self.plan(&pieces[split - usize::from(goes_on)..], high);
            let choices = self.join(self.nodes[low].choices.clone(), self.nodes[high].choices.clone());
            Node { choices, halves: Some((low, high)) }
        };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The choices of both halves; if there are none, those of either.
    fn join(&mut self, low: Range<usize>, high: Range<usize>) -> Range<usize> {
        let start = self.choices.len();
        let (mut one, mut two) = (low.start, high.start);
        while one < low.end && two < high.end {
            let (a, b) = (self.choices[one], self.choices[two]);
            if a == b {
                self.choices.push(a);
            }
            one += usize::from(a <= b);
            two += usize::from(b <= a);
        }
        if self.choices.len() == start {
            self.merge(low, high);
        }
        start..self.choices.len()
    }

    /// Appends two sets that have nothing in common, in order.
    fn merge(&mut self, low: Range<usize>, high: Range<usize>) {
        let (mut one, mut two) = (low.start, high.start);
        while one < low.end || two < high.end {
            let from_low = two == high.end || one < low.end && self.choices[one] < self.choices[two];
            let next = if from_low { &mut one } else { &mut two };
            let choice = self.choices[*next];
            *next += 1;
            self.choices.push(choice);
        }
    }

    /// Gives a prefix an entry if what is inherited is none of its choices.
    fn choose(&mut self, node: usize, prefix: ServicePrefix, inherited: Candidate) {
        let choices = &self.choices[self.nodes[node].choices.clone()];
        if choices.binary_search(&inherited).is_ok() {
            return self.choose_below(node, prefix, inherited);
        }
        let best = choices[0];
        self.entries.push(Entry { prefix, best });
        self.choose_below(node, prefix, best);
    }

    fn choose_below(&mut self, node: usize, prefix: ServicePrefix, inherited: Candidate) {
        let Some((low, high)) = self.nodes[node].halves else { return };
        let (low_prefix, high_prefix) = prefix.halves();
        self.choose(low, low_prefix, inherited);
        self.choose(high, high_prefix, inherited);
    }
}

#[cfg(test)]
mod tests;
