//! The recent changes to the intent, and those who watch them.
//!
//! A watcher first gets what it missed, from a bounded ring, then what happens. Both are taken at one point of the
//! engine's time, so that there is neither a gap nor a repetition.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;
use weft_api::view::Event;

/// Changes that are remembered. A watcher that reconnects after a pause of seconds finds its place.
const REMEMBERED: usize = 4096;
/// Changes that a slow watcher may lag behind before its stream ends; it then connects again.
const LAG: usize = 4096;

/// Recent changes.
#[derive(Debug)]
pub(super) struct History {
    ring: VecDeque<Arc<Event>>,
    /// All changes after this revision are in the ring.
    complete_after: u64,
    /// The latest revision.
    revision: u64,
    remembered: usize,
    sender: broadcast::Sender<Arc<Event>>,
}

/// What a watcher gets.
#[derive(Debug)]
pub struct Subscription {
    /// What it missed, in order.
    pub missed: Vec<Arc<Event>>,
    /// What happens from now on.
    pub live: broadcast::Receiver<Arc<Event>>,
}

/// A revision whose following changes are not all known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "what followed revision {since} is not known any more, only what followed {complete_after} up to {revision}; \
     list the resources, then watch from the revision of the list"
)]
pub struct Gone {
    /// The revision asked for.
    pub since: u64,
    /// The oldest that can be asked for.
    pub complete_after: u64,
    /// The store's revision.
    pub revision: u64,
}

impl History {
    /// Begins with nothing known of what led to `revision`.
    pub(super) fn new(revision: u64) -> Self {
        Self::with_room(revision, REMEMBERED)
    }

    fn with_room(revision: u64, remembered: usize) -> Self {
        let (sender, _) = broadcast::channel(LAG);
        Self { ring: VecDeque::new(), complete_after: revision, revision, remembered, sender }
    }

    /// Takes in the changes of one commit.
    pub(super) fn handle_commit(&mut self, revision: u64, events: impl IntoIterator<Item = Event>) {
        self.revision = revision;
        for event in events.into_iter().map(Arc::new) {
            // Nobody watches: nobody to tell.
            let _ = self.sender.send(event.clone());
            self.ring.push_back(event);
        }
        while self.ring.len() > self.remembered {
            let Some(oldest) = self.ring.front().map(|event| event.revision) else { break };
            // A commit is remembered whole or not at all.
            while self.ring.front().is_some_and(|event| event.revision == oldest) {
                self.ring.pop_front();
            }
            self.complete_after = oldest;
        }
    }

    /// Everything after `since`, or from now on.
    pub(super) fn subscribe(&self, since: Option<u64>) -> Result<Subscription, Gone> {
        let since = since.unwrap_or(self.revision);
        if !(self.complete_after..=self.revision).contains(&since) {
            let (complete_after, revision) = (self.complete_after, self.revision);
            return Err(Gone { since, complete_after, revision });
        }
        let missed = self.ring.iter().filter(|event| event.revision > since).cloned().collect();
        Ok(Subscription { missed, live: self.sender.subscribe() })
    }
}

#[cfg(test)]
mod tests {
    use weft_api::view::Action;

    use super::*;
    use crate::model::tests::{GOOD, resource};

    fn event(revision: u64) -> Event {
        Event { revision, action: Action::Create, resource: resource(GOOD[0]) }
    }

    #[test]
    fn no_gap_and_no_repetition() {
        let mut history = History::with_room(10, 4);
        for revision in 11..=13 {
            history.handle_commit(revision, [event(revision), event(revision)]);
        }
        // Six changes do not fit: the first commit went whole.
        let missed = |since| {
            let subscription = history.subscribe(since)?;
            Ok(subscription.missed.iter().map(|event| event.revision).collect::<Vec<_>>())
        };
        assert_eq!(missed(Some(11)), Ok(vec![12, 12, 13, 13]));
        assert_eq!(missed(Some(12)), Ok(vec![13, 13]));
        assert_eq!(missed(None), Ok(vec![]));
        assert_eq!(missed(Some(10)), Err(Gone { since: 10, complete_after: 11, revision: 13 }));
        assert!(missed(Some(14)).is_err());
        let mut subscription = history.subscribe(Some(13)).unwrap();
        history.handle_commit(14, [event(14)]);
        assert_eq!(subscription.live.try_recv().unwrap().revision, 14);
        assert!(subscription.live.try_recv().is_err());
    }
}
