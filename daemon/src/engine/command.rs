//! How the API server speaks to the engine: a command with a place for its answer.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::Attachment;
use weft_api::view::{Counters, Outcome, Problem, Route, Status, Stored};
use weft_dataplane::desired::RouteDelta;
use weft_dataplane::{DecidedBy, RuleHits, RuleId, Trial, TrialError, Verdict};
use weft_vxlan::Vtep;

use super::history::{Gone, Subscription};
use crate::change::{Change, Refused};
use crate::store::StoreError;

/// Commands that wait for the engine. One is worked on at a time; more callers than this wait in their own tasks.
pub(super) const QUEUE: usize = 64;

pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// What the engine can be asked.
#[derive(Debug)]
pub(super) enum Command {
    Change {
        changes: Vec<Change>,
        dry_run: bool,
        reply: Reply<Outcome>,
    },
    Attach {
        port: String,
        attachment: Attachment,
        may_move: bool,
        reply: Reply<Outcome>,
    },
    List {
        kind: Kind,
        reply: Reply<Listing>,
    },
    Get {
        id: Reference,
        reply: Reply<Stored>,
    },
    Status {
        reply: Reply<Status>,
    },
    Routes {
        network: Option<String>,
        reply: Reply<Vec<Route>>,
    },
    Counters {
        reply: Reply<Vec<Counters>>,
    },
    Rules {
        ids: Vec<RuleId>,
        reply: Reply<Vec<Option<DecidedBy>>>,
    },
    RuleHits {
        reply: Reply<Vec<RuleHits>>,
    },
    Trial {
        trial: Trial,
        reply: Reply<Result<Verdict, TrialError>>,
    },
    Watch {
        since: Option<u64>,
        reply: Reply<Subscription>,
    },
    Revision {
        reply: Reply<u64>,
    },
    /// From the self-test.
    ComputeChecksums {
        vteps: BTreeSet<Vtep>,
        reply: Reply<()>,
    },
    /// From the speaker.
    Learn {
        routes: RouteDelta,
        reply: Reply<()>,
    },
    /// From the speaker.
    Sweep {
        reply: Reply<()>,
    },
    Teardown {
        reply: Reply<Vec<String>>,
    },
}

/// The resources of a kind, and the revision of the store that they are of: a watch from there on misses nothing.
#[derive(Debug)]
pub struct Listing {
    /// Revision of the store.
    pub revision: u64,
    /// The resources, by name.
    pub resources: Vec<Stored>,
}

/// Why the engine did not do it. Nothing was changed unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The change is not possible.
    #[error("refused")]
    Refused(Refused),
    /// There is no such object.
    #[error("{0} does not exist")]
    Missing(Reference),
    /// The kernel did not do it, and what was begun was undone.
    #[error("the kernel refused")]
    Kernel(Vec<Problem>),
    /// A watch from too long ago.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel could not be asked.
    #[error(transparent)]
    Observe(#[from] weft_dataplane::ObserveError),
    /// Some of what weft made is still there.
    #[error("not everything could be removed")]
    Teardown(Vec<Problem>),
    /// The engine has ended.
    #[error("weftd is stopping; ask again when it is back")]
    Stopped,
}

/// Asks the engine. Cheap to clone; the engine ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Handle(pub(super) mpsc::Sender<Command>);

impl Handle {
    /// Makes all of `changes` or none; on a dry run, only says what would happen.
    ///
    /// # Errors
    /// [`EngineError`], as for all of these.
    pub async fn change(&self, changes: Vec<Change>, dry_run: bool) -> Result<Outcome, EngineError> {
        self.ask(|reply| Command::Change { changes, dry_run, reply }).await
    }

    /// Attaches a port, wholly or not at all. One that is attached elsewhere is refused unless it `may_move`.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn attach(
        &self,
        port: String,
        attachment: Attachment,
        may_move: bool,
    ) -> Result<Outcome, EngineError> {
        self.ask(|reply| Command::Attach { port, attachment, may_move, reply }).await
    }

    /// The resources of a kind.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn list(&self, kind: Kind) -> Result<Listing, EngineError> {
        self.ask(|reply| Command::List { kind, reply }).await
    }

    /// One resource.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn get(&self, id: Reference) -> Result<Stored, EngineError> {
        self.ask(|reply| Command::Get { id, reply }).await
    }

    /// How the host is.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn status(&self) -> Result<Status, EngineError> {
        self.ask(|reply| Command::Status { reply }).await
    }

    /// All routes or those of a network.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn routes(&self, network: Option<String>) -> Result<Vec<Route>, EngineError> {
        self.ask(|reply| Command::Routes { network, reply }).await
    }

    /// Counters of all ports.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn counters(&self) -> Result<Vec<Counters>, EngineError> {
        self.ask(|reply| Command::Counters { reply }).await
    }

    /// What the kernel calls so, for each of `ids`; `None` for what has gone.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn rules(&self, ids: Vec<RuleId>) -> Result<Vec<Option<DecidedBy>>, EngineError> {
        self.ask(|reply| Command::Rules { ids, reply }).await
    }

    /// How often each rule decided.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn rule_hits(&self) -> Result<Vec<RuleHits>, EngineError> {
        self.ask(|reply| Command::RuleHits { reply }).await
    }

    /// What the programs in the kernel say of a packet that nobody sent.
    ///
    /// # Errors
    /// [`EngineError`]; within, [`TrialError`] if there is no verdict.
    pub async fn trial(&self, trial: Trial) -> Result<Result<Verdict, TrialError>, EngineError> {
        self.ask(|reply| Command::Trial { trial, reply }).await
    }

    /// Changes after a revision, or from now on.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn watch(&self, since: Option<u64>) -> Result<Subscription, EngineError> {
        self.ask(|reply| Command::Watch { since, reply }).await
    }

    /// Revision of the store; shows that the engine lives.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn revision(&self) -> Result<u64, EngineError> {
        self.ask(|reply| Command::Revision { reply }).await
    }

    /// Has packets to `vteps`, and to no other, leave with checksums that this host computed.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]; what the kernel refuses is tried again as all else is.
    pub async fn compute_checksums(&self, vteps: BTreeSet<Vtep>) -> Result<(), EngineError> {
        self.ask(|reply| Command::ComputeChecksums { vteps, reply }).await
    }

    /// Brings learned routes into the kernel. What is given by hand comes first.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]; what the kernel refuses is tried again as all else is.
    pub async fn learn(&self, routes: RouteDelta) -> Result<(), EngineError> {
        self.ask(|reply| Command::Learn { routes, reply }).await
    }

    /// Removes routes from before weftd's start that nobody has confirmed.
    ///
    /// # Errors
    /// [`EngineError::Stopped`]; what the kernel refuses is tried again as all else is.
    pub async fn sweep(&self) -> Result<(), EngineError> {
        self.ask(|reply| Command::Sweep { reply }).await
    }

    /// Removes everything that weft made in the kernel; the engine then ends.
    ///
    /// # Errors
    /// [`EngineError`]; the engine has ended all the same.
    pub async fn teardown(&self) -> Result<Vec<String>, EngineError> {
        self.ask(|reply| Command::Teardown { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| EngineError::Stopped)?;
        answer.await.unwrap_or(Err(EngineError::Stopped))
    }
}
