//! The rules of a policy, by the peer that they name.

use std::sync::Arc;

use ipnet::IpNet;

use super::rules::RuleChanges;
use crate::profile::Spec;
use crate::{Candidate, Family, GroupId, Peer, Rule, RuleNumber};

/// A peer that rules name. A prefix of length 0 is any peer of its family: it costs the classes within it nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKey {
    Any(Family),
    Prefix(IpNet),
    Group(GroupId),
}

/// The rules of a peer.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: PeerKey,
    /// None if the last one was just removed.
    pub(super) specs: Arc<[Spec]>,
    /// Whether they are other ones than in the tables before.
    pub(super) touched: bool,
}

struct Edit {
    key: PeerKey,
    added: bool,
    spec: Spec,
}

impl PeerKey {
    /// Where a rule belongs. One about any peer is one of both families, unless its protocol is not.
    fn of(rule: &Rule) -> impl Iterator<Item = Self> + use<> {
        let (one, two) = match (rule.peer(), rule.protocol().family()) {
            (Peer::Group(group), _) => (Self::Group(group), None),
            (Peer::Prefix(prefix), _) if prefix.prefix_len() > 0 => (Self::Prefix(prefix), None),
            (Peer::Prefix(prefix), _) => (Self::Any(Family::of_prefix(&prefix)), None),
            (Peer::Any, Some(family)) => (Self::Any(family), None),
            (Peer::Any, None) => (Self::Any(Family::V4), Some(Self::Any(Family::V6))),
        };
        std::iter::once(one).chain(two)
    }
}

/// The rows after some rules were added and removed, in the order of their keys; those without a rule left are among
/// them.
pub(super) fn edited(old: &[Row], changes: &RuleChanges) -> Vec<Row> {
    let edits = edits(changes);
    let mut rows = Vec::with_capacity(old.len() + edits.len());
    let mut old = old.iter().map(|row| Row { touched: false, ..row.clone() }).peekable();
    for edits in edits.chunk_by(|a, b| a.key == b.key) {
        let key = edits[0].key;
        while let Some(row) = old.next_if(|row| row.key < key) {
            rows.push(row);
        }
        let row = old.next_if(|row| row.key == key);
        rows.push(Row { key, specs: edit(row.as_ref().map_or(&[], |row| &row.specs), edits), touched: true });
    }
    rows.extend(old);
    rows
}

/// By key, then by rule.
fn edits(changes: &RuleChanges) -> Vec<Edit> {
    let edit = |added| {
        move |(rule, number): &(Rule, RuleNumber)| {
            let (first, last) = rule.services();
            let spec = Spec { first, last, candidate: Candidate::new(rule, *number) };
            PeerKey::of(rule).map(move |key| Edit { key, added, spec })
        }
    };
    let mut edits: Vec<_> = changes.removed.iter().flat_map(edit(false)).collect();
    edits.extend(changes.added.iter().flat_map(edit(true)));
    edits.sort_unstable_by_key(|edit| (edit.key, edit.spec.candidate));
    edits
}

fn edit(specs: &[Spec], edits: &[Edit]) -> Arc<[Spec]> {
    // No number is given anew in the step that frees it, so what an edit names is removed.
    let stays =
        |spec: &&Spec| edits.binary_search_by_key(&spec.candidate, |edit| edit.spec.candidate).is_err();
    let added = edits.iter().filter(|edit| edit.added).map(|edit| &edit.spec);
    specs.iter().filter(stays).chain(added).copied().collect()
}
