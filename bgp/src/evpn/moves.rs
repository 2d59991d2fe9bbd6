//! How often addresses moved of late, and which moved too often (RFC 7432 section 15.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::config::DuplicateDetection;
use super::forwarding::Subject;

/// Addresses that moved.
#[derive(Debug, Default)]
pub(super) struct Moves {
    records: BTreeMap<Subject, Record>,
    /// When each record with a deadline is looked at.
    deadlines: BTreeSet<(Instant, Subject)>,
}

#[derive(Debug)]
enum Record {
    /// When it moved, the oldest first, and when that is forgotten.
    Counting(VecDeque<Instant>, Instant),
    /// It stays where it is until its deadline, or until it is told otherwise.
    Frozen,
}

impl Moves {
    /// Whether the address has to stay where it is.
    pub(super) fn is_frozen(&self, subject: &Subject) -> bool {
        matches!(self.records.get(subject), Some(Record::Frozen))
    }

    /// Notes a move. If that is one too many: until when the address has to stay.
    pub(super) fn note(
        &mut self,
        subject: Subject,
        rule: &DuplicateDetection,
        now: Instant,
    ) -> Option<Option<Instant>> {
        let forgotten = now + rule.window;
        let record =
            self.records.entry(subject).or_insert_with(|| Record::Counting(VecDeque::new(), forgotten));
        let Record::Counting(times, deadline) = record else { return None };
        self.deadlines.remove(&(*deadline, subject));
        *deadline = forgotten;
        times.push_back(now);
        while times.front().is_some_and(|time| now.duration_since(*time) > rule.window) {
            times.pop_front();
        }
        if times.len() < rule.moves {
            self.deadlines.insert((forgotten, subject));
            return None;
        }
        let until = rule.recovery.map(|recovery| now + recovery);
        *record = Record::Frozen;
        self.deadlines.extend(until.map(|until| (until, subject)));
        Some(until)
    }

    /// Lets the address move again. Whether it could not.
    pub(super) fn clear(&mut self, subject: &Subject) -> bool {
        self.deadlines.retain(|(_, of)| of != subject);
        matches!(self.records.remove(subject), Some(Record::Frozen))
    }

    /// Forgets what is long ago. Returns the addresses that may move again.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Subject> {
        let mut freed = Vec::new();
        while let Some((deadline, subject)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            match self.records.remove(&subject) {
                Some(Record::Frozen) => freed.push(subject),
                Some(Record::Counting(..)) | None => {}
            }
        }
        freed
    }

    /// When [`Moves::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
