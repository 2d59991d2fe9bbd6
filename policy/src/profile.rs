//! The best rule for every service, of one kind of peer: a function of the service that is constant piece by piece.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Candidate, Service};

/// A rule without its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) first: Service,
    pub(crate) last: Service,
    pub(crate) candidate: Candidate,
}

/// What a look-up must find, for each service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// For packets that have no service: the best rule about any protocol.
    pub(crate) any: Candidate,
    /// For those that have one. The first piece begins at 0, neighbours differ.
    pub(crate) pieces: Vec<Piece>,
}

/// From this service to the one before the next piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) first: u32,
    pub(crate) best: Candidate,
}

impl Profile {
    /// The profile of some rules.
    pub(crate) fn of(specs: &[Spec]) -> Self {
        let mut by_first: Vec<_> = specs.iter().collect();
        by_first.sort_unstable_by_key(|spec| spec.first);
        let mut edges: Vec<_> =
            specs.iter().flat_map(|spec| [spec.first.get(), spec.last.get() + 1]).collect();
        edges.push(0);
        edges.sort_unstable();
        edges.dedup();
        edges.pop_if(|edge| *edge > Service::LAST.get());

        let mut pieces = Pieces::with_capacity(edges.len());
        let mut coming = by_first.into_iter().peekable();
        let mut active = BinaryHeap::new();
        for edge in edges {
            while let Some(spec) = coming.next_if(|spec| spec.first.get() == edge) {
                active.push(Reverse((spec.candidate, spec.last.get())));
            }
            while active.peek().is_some_and(|Reverse((_, last))| *last < edge) {
                active.pop();
            }
            pieces.push(edge, active.peek().map_or(Candidate::NONE, |Reverse((candidate, _))| *candidate));
        }
        Self { any: best_of_any(specs), pieces: pieces.0 }
    }

    /// The better of both, for each service.
    pub(crate) fn best(&self, other: &Self) -> Self {
        let mut pieces = Pieces::with_capacity(self.pieces.len() + other.pieces.len());
        let (mut one, mut two) = (self.pieces.iter().peekable(), other.pieces.iter().peekable());
        let (mut best_one, mut best_two) = (Candidate::NONE, Candidate::NONE);
        while let Some(first) = next_edge(one.peek(), two.peek()) {
            if let Some(piece) = one.next_if(|piece| piece.first == first) {
                best_one = piece.best;
            }
            if let Some(piece) = two.next_if(|piece| piece.first == first) {
                best_two = piece.best;
            }
            pieces.push(first, best_one.min(best_two));
        }
        Self { any: self.any.min(other.any), pieces: pieces.0 }
    }
}

fn best_of_any(specs: &[Spec]) -> Candidate {
    let any = specs.iter().filter(|spec| spec.first == Service::new(0, 0) && spec.last == Service::LAST);
    any.map(|spec| spec.candidate).min().unwrap_or(Candidate::NONE)
}

fn next_edge(one: Option<&&Piece>, two: Option<&&Piece>) -> Option<u32> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.first.min(two.first)),
        (one, two) => one.or(two).map(|piece| piece.first),
    }
}

/// Pieces in the making, of which neighbours with the same rule become one.
struct Pieces(Vec<Piece>);

impl Pieces {
    fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn push(&mut self, first: u32, best: Candidate) {
        if self.0.last().is_none_or(|last| last.best != best) {
            self.0.push(Piece { first, best });
        }
    }
}

#[cfg(test)]
mod tests;
