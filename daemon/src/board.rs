//! A board: where a task writes lines that those who ask read. It has the last [`REMEMBERED`] lines, and a channel of as many
//! that a slow reader may lag behind before lines are lost to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

/// Lines that are remembered, and that a reader may lag behind.
const REMEMBERED: usize = 1024;

/// Lines of one kind. Cheap to clone.
#[derive(Debug)]
pub struct Board<T>(Arc<Mutex<Lines<T>>>);

/// The sender is within, so that a subscription neither misses nor repeats a line.
#[derive(Debug)]
struct Lines<T> {
    last: VecDeque<Arc<T>>,
    sender: broadcast::Sender<Arc<T>>,
}

/// What somebody who asks gets.
#[derive(Debug)]
pub struct Subscription<T> {
    /// The last lines, the oldest first.
    pub last: Vec<Arc<T>>,
    /// What comes from now on.
    pub live: broadcast::Receiver<Arc<T>>,
}

impl<T> Board<T> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let (sender, _) = broadcast::channel(REMEMBERED);
        Self(Arc::new(Mutex::new(Lines { last: VecDeque::new(), sender })))
    }

    /// The last lines, and those to come.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<T> {
        let lines = self.lines();
        Subscription { last: lines.last.iter().cloned().collect(), live: lines.sender.subscribe() }
    }

    /// Writes a line.
    pub fn tell(&self, line: T) {
        let mut lines = self.lines();
        let line = Arc::new(line);
        if lines.last.len() == REMEMBERED {
            lines.last.pop_front();
        }
        lines.last.push_back(line.clone());
        // Nobody reads: nobody to tell.
        let _ = lines.sender.send(line);
    }

    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        // Whoever panicked had pushed a line or not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Board<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Board<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_memory_and_no_gap() {
        let board = Board::new();
        (0..2000).for_each(|number| board.tell(number));
        let mut subscription = board.subscribe();
        assert_eq!(subscription.last.len(), REMEMBERED);
        assert_eq!(**subscription.last.last().unwrap(), 1999);
        board.tell(2000);
        assert_eq!(*subscription.live.try_recv().unwrap(), 2000);
    }
}
