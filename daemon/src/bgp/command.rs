//! How the API server speaks to the task that owns the speaker: a command with a place for its answer.

use tokio::sync::{mpsc, oneshot};
use weft_api::view::Route;
use weft_api::view::bgp::{Explanation, Neighbor, RibRoute, Summary};
use weft_bgp::wire::Family;

use super::subject::Subject;

/// Commands that wait for the task. More callers than this wait in their own tasks.
const QUEUE: usize = 16;

/// Where an answer goes. A caller that does not wait any more is no error.
pub type Reply<T> = oneshot::Sender<Result<T, BgpError>>;

/// What the speaker can be asked.
#[derive(Debug)]
pub enum Command {
    /// Its peers at a glance.
    Summary {
        /// Gets the answer.
        reply: Reply<Summary>,
    },
    /// All about every peer.
    Neighbors {
        /// Gets the answer.
        reply: Reply<Vec<Neighbor>>,
    },
    /// All about one.
    Neighbor {
        /// Its name.
        name: String,
        /// Gets the answer.
        reply: Reply<Neighbor>,
    },
    /// Routes.
    Rib {
        /// Which ones.
        wanted: RibQuery,
        /// Gets the answer.
        reply: Reply<Vec<RibRoute>>,
    },
    /// Where packets to addresses and prefixes elsewhere go.
    Routes {
        /// Only in this network.
        network: Option<String>,
        /// Gets the answer.
        reply: Reply<Vec<Route>>,
    },
    /// Why something is where it is.
    Explain {
        /// What.
        subject: Subject,
        /// In this network; in every one unless given.
        network: Option<String>,
        /// Gets the answer.
        reply: Reply<Vec<Explanation>>,
    },
    /// Sessions end and begin anew.
    Clear {
        /// Only this one; all unless given.
        peer: Option<String>,
        /// The session stays, and routes are exchanged anew.
        soft: bool,
        /// Gets the names of the peers.
        reply: Reply<Vec<String>>,
    },
    /// Sessions end for good, and so does the task.
    Leave {
        /// Gets the answer when the peers know.
        reply: Reply<()>,
    },
}

/// Which routes to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RibQuery {
    /// Whose.
    pub table: RibTable,
    /// Only of this family.
    pub family: Option<Family>,
    /// Only those that this network or its subnets use.
    pub network: Option<String>,
}

/// Whose routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RibTable {
    /// All, with the paths of all peers.
    Local,
    /// Those that a peer sent.
    In(String),
    /// Those that a peer was sent.
    Out(String),
}

/// Why the speaker did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BgpError {
    /// There is no such peer.
    #[error("peer/{0} does not exist")]
    NoPeer(String),
    /// It has no session.
    #[error("peer/{0} has no session")]
    NoSession(String),
    /// There is no such network.
    #[error("network/{0} does not exist")]
    NoNetwork(String),
    /// The task has ended, or never began.
    #[error("the speaker does not run; weftd's log says why")]
    Stopped,
}

/// Asks the speaker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::Sender<Command>);

/// A handle, and what the task reads that answers.
#[must_use]
pub fn channel() -> (Handle, mpsc::Receiver<Command>) {
    let (sender, commands) = mpsc::channel(QUEUE);
    (Handle(sender), commands)
}

impl Handle {
    /// The peers at a glance.
    ///
    /// # Errors
    /// [`BgpError`], as for all of these.
    pub async fn summary(&self) -> Result<Summary, BgpError> {
        self.ask(|reply| Command::Summary { reply }).await
    }

    /// All about every peer.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn neighbors(&self) -> Result<Vec<Neighbor>, BgpError> {
        self.ask(|reply| Command::Neighbors { reply }).await
    }

    /// All about one peer.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn neighbor(&self, name: String) -> Result<Neighbor, BgpError> {
        self.ask(|reply| Command::Neighbor { name, reply }).await
    }

    /// Routes.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn rib(&self, wanted: RibQuery) -> Result<Vec<RibRoute>, BgpError> {
        self.ask(|reply| Command::Rib { wanted, reply }).await
    }

    /// Where packets to addresses and prefixes elsewhere go: in all networks, or in one.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn routes(&self, network: Option<String>) -> Result<Vec<Route>, BgpError> {
        self.ask(|reply| Command::Routes { network, reply }).await
    }

    /// Why something is where it is.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn explain(
        &self,
        subject: Subject,
        network: Option<String>,
    ) -> Result<Vec<Explanation>, BgpError> {
        self.ask(|reply| Command::Explain { subject, network, reply }).await
    }

    /// Ends sessions, which then begin anew; softly, routes are exchanged anew. Tells the peers.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn clear(&self, peer: Option<String>, soft: bool) -> Result<Vec<String>, BgpError> {
        self.ask(|reply| Command::Clear { peer, soft, reply }).await
    }

    /// Ends all sessions for good: peers forget this host's routes at once. The task ends.
    ///
    /// # Errors
    /// [`BgpError`]
    pub async fn leave(&self) -> Result<(), BgpError> {
        self.ask(|reply| Command::Leave { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, BgpError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| BgpError::Stopped)?;
        answer.await.unwrap_or(Err(BgpError::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_is_answered_or_told_that_nobody_answers() {
        let (handle, mut commands) = channel();
        let task = tokio::spawn(async move {
            match commands.recv().await {
                Some(Command::Clear { peer: Some(name), soft: true, reply }) => {
                    reply.send(Err(BgpError::NoPeer(name))).unwrap();
                }
                other => panic!("{other:?}"),
            }
            // The next one is asked, and goes unanswered with the task.
            drop(commands.recv().await);
        });
        assert_eq!(handle.clear(Some("x".to_owned()), true).await, Err(BgpError::NoPeer("x".to_owned())));
        assert_eq!(handle.summary().await, Err(BgpError::Stopped));
        task.await.unwrap();
        assert_eq!(handle.neighbors().await, Err(BgpError::Stopped));
    }
}
