//! The one task that owns store, model and data plane: every change goes through here, one at a time.
//!
//! It waits for a command, for a change of the kernel, or for its own deadline. Callers hold a [`Handle`]: a channel of
//! [`command::QUEUE`] commands, each with a oneshot for the answer, so a caller that goes away cancels nothing. The task
//! ends when the last handle is dropped or after a teardown; the kernel then goes on forwarding.
//!
//! What takes long, the kernel, the disk, and checking a million addresses, is done by other threads. Meanwhile the
//! engine answers questions; what would change something waits its turn, up to as many as the channel holds.
//!
//! A change is validated as a whole, committed, and then made in the kernel; what the kernel refuses stays intended and
//! is tried again. An attachment is the other way round: somebody waits for a NIC that works, so it is made in the
//! kernel first and committed only then.

mod change;
mod command;
mod history;
mod learn;
mod make;
mod schedule;
mod self_test;
mod status;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tracing::{error, info};
use weft_api::kind::{Kind, Reference};
use weft_api::view::{Problem, Stored};
use weft_dataplane::{Dataplane, DropReader, Flow, FlowReader, ObserveError, Options, Owner};

use crate::config::Config;
use crate::desired;
use crate::intent::Intent;
use crate::model::{Host, Model};
use crate::names::Names;
use crate::store::{Store, StoreError};
pub use command::{EngineError, Handle, Listing};
pub use history::{Gone, Subscription};

use command::{Command, QUEUE, Reply};
use history::History;
use learn::Learned;
use schedule::{Schedule, Work};
use self_test::SelfTest;
use status::Observed;

/// Owner of everything that changes.
#[derive(Debug)]
pub struct Engine {
    name: String,
    host: Host,
    options: Options,
    store: Arc<Mutex<Store>>,
    intent: Arc<Intent>,
    revisions: BTreeMap<Reference, u64>,
    revision: u64,
    model: Arc<Model>,
    dataplane: Dataplane,
    observed: Observed,
    history: History,
    schedule: Schedule,
    names: watch::Sender<Arc<Names>>,
    models: watch::Sender<Arc<Model>>,
    learned: Learned,
    self_test: SelfTest,
    started: Instant,
    commands: mpsc::Receiver<Command>,
    /// Commands that came while another one was worked on.
    waiting: VecDeque<Command>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored does not fit what the config file now says.
    #[error(
        "the stored resources do not fit the config file:\n{}\nput the config file back as it was and start weftd; \
         then change these resources with `weft apply` or `weft delete`, and the config file after that",
        lines(.0)
    )]
    Unfit(Vec<Problem>),
    /// The data plane cannot be opened.
    #[error(transparent)]
    Dataplane(#[from] weft_dataplane::OpenError),
}

/// Why [`Engine::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nobody can ask any more. The kernel goes on as it was.
    Released,
    /// Everything in the kernel was removed, as asked for.
    TornDown,
    /// The data plane died. The kernel goes on as it was.
    Died,
}

enum Input {
    Command(Option<Command>),
    KernelChanged,
    Due(Work),
    Died,
}

impl Engine {
    /// Opens store and data plane and makes the kernel as stored. With `take_over`, also a kernel that follows another
    /// store: what only that one knows is removed.
    ///
    /// # Errors
    /// [`StartError`]; the kernel is then as it was.
    pub async fn start(config: &Config, take_over: bool) -> Result<(Self, Handle), StartError> {
        let started = Instant::now();
        let mut host = Host::of(config);
        let mut store = Store::open(config.state.folder.as_path())?;
        let (revision, stored) = store.load()?;
        let revisions = stored.iter().map(|stored| (stored.resource.reference(), stored.revision)).collect();
        let intent: Intent = stored.into_iter().map(|stored| stored.resource).collect();
        let model = Model::build(&intent, &host, &[]).map_err(StartError::Unfit)?;
        let self_test = SelfTest::prepare(config, &mut host);
        let options = config.dataplane_options();
        let owner = Owner { store: store.id(), take_over };
        let dataplane = Dataplane::open(options.clone(), owner).await?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let mut engine = Self {
            name: config.host_name(),
            host,
            options,
            store: Arc::new(Mutex::new(store)),
            intent: Arc::new(intent),
            revisions,
            revision,
            model: Arc::new(model),
            dataplane,
            observed: Observed::nothing(started),
            history: History::new(revision),
            schedule: Schedule::default(),
            names: watch::Sender::default(),
            models: watch::Sender::default(),
            learned: Learned::default(),
            self_test,
            started,
            commands,
            waiting: VecDeque::new(),
        };
        let all = desired::update(&Model::default(), &engine.model, &engine.host);
        engine.make(all).await;
        engine.publish();
        info!(revision, resources = engine.revisions.len(), elapsed = ?started.elapsed(), "engine started");
        Ok((engine, Handle(sender)))
    }

    /// The reader of the drops that the kernel tells.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not give it.
    pub fn drops(&self) -> Result<DropReader, ObserveError> {
        self.dataplane.drops()
    }

    /// The reader of the connections that there are.
    #[must_use]
    pub fn flows(&self) -> FlowReader {
        self.dataplane.flows()
    }

    /// Connections that ended. There is one listener: `None` if there is already.
    #[must_use]
    pub fn ended_flows(&self) -> Option<mpsc::Receiver<Vec<Flow>>> {
        self.dataplane.ended_flows()
    }

    /// What the kernel's numbers are called, now and after each change.
    #[must_use]
    pub fn names(&self) -> watch::Receiver<Arc<Names>> {
        self.names.subscribe()
    }

    /// What is intended, now and after each change, once the kernel is so.
    #[must_use]
    pub fn models(&self) -> watch::Receiver<Arc<Model>> {
        self.models.subscribe()
    }

    /// Who this host is.
    #[must_use]
    pub fn host(&self) -> Host {
        self.host.clone()
    }

    /// Whether packets were forwarded before weftd started, and went on being forwarded.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.dataplane.adopted()
    }

    fn publish(&self) {
        self.models.send_replace(Arc::clone(&self.model));
    }

    /// Works until it is released or torn down.
    pub async fn run(mut self) -> Ended {
        loop {
            let input = match self.waiting.pop_front() {
                Some(command) => Input::Command(Some(command)),
                None => self.next_input().await,
            };
            match input {
                Input::Command(None) => return Ended::Released,
                Input::Died => return Ended::Died,
                Input::Command(Some(Command::Teardown { reply })) => {
                    let _ = reply.send(teardown(self.dataplane, &self.options).await);
                    return Ended::TornDown;
                }
                Input::Command(Some(command)) => self.handle_command(command).await,
                Input::KernelChanged => self.schedule.handle_kernel_changed(Instant::now()),
                Input::Due(Work::NextHops) => self.refresh_next_hops().await,
                Input::Due(Work::Everything) => self.reconcile().await,
            }
        }
    }

    async fn next_input(&mut self) -> Input {
        let due = self.schedule.next_deadline();
        let died = self.dataplane.died();
        tokio::select! {
            () = died => Input::Died,
            command = self.commands.recv() => Input::Command(command),
            () = self.dataplane.kernel_changed() => Input::KernelChanged,
            work = wait_until(due) => Input::Due(work),
        }
    }

    /// Works on one command. A caller that does not wait any more is no error.
    async fn handle_command(&mut self, command: Command) {
        match self.answer(command) {
            Some(Command::Change { changes, dry_run, reply }) => {
                let _ = reply.send(self.change(changes, dry_run).await);
            }
            Some(Command::Attach { port, attachment, may_move, reply }) => {
                let _ = reply.send(self.attach(port, attachment, may_move).await);
            }
            Some(Command::Learn { routes, reply }) => {
                self.learn(routes).await;
                let _ = reply.send(Ok(()));
            }
            Some(Command::Sweep { reply }) => {
                self.sweep().await;
                let _ = reply.send(Ok(()));
            }
            Some(Command::ComputeChecksums { vteps, reply }) => {
                self.compute_checksums(vteps).await;
                let _ = reply.send(Ok(()));
            }
            // The run loop takes a teardown, for it ends the task; the rest was answered.
            Some(_) | None => {}
        }
    }

    /// Answers a question; gives back what is none.
    fn answer(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::List { kind, reply } => drop(reply.send(Ok(self.list(kind)))),
            Command::Get { id, reply } => drop(reply.send(self.get(id))),
            Command::Status { reply } => drop(reply.send(Ok(self.status()))),
            Command::Routes { network, reply } => drop(reply.send(self.routes(network.as_deref()))),
            Command::Counters { reply } => drop(reply.send(self.counters())),
            Command::Rules { ids, reply } => {
                let told = self.dataplane.rules(ids);
                answer_later(reply, async { Ok(told.await) });
            }
            Command::RuleHits { reply } => {
                let hits = self.dataplane.rule_hits();
                answer_later(reply, async { Ok(hits.await?) });
            }
            Command::Trial { trial, reply } => {
                let verdict = self.dataplane.trial(trial);
                answer_later(reply, async { Ok(verdict.await) });
            }
            Command::Watch { since, reply } => {
                let _ = reply.send(self.history.subscribe(since).map_err(EngineError::from));
            }
            Command::Revision { reply } => drop(reply.send(Ok(self.revision))),
            Command::Change { .. }
            | Command::Attach { .. }
            | Command::ComputeChecksums { .. }
            | Command::Learn { .. }
            | Command::Sweep { .. }
            | Command::Teardown { .. } => return Some(command),
        }
        None
    }

    /// Waits for work that others do, and answers questions meanwhile.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let command = tokio::select! {
                done = &mut work => return done,
                command = self.commands.recv(), if self.waiting.len() < QUEUE => command,
            };
            // Nobody can ask any more: what was begun is finished.
            let Some(command) = command else { return work.await };
            let waits = self.answer(command);
            self.waiting.extend(waits);
        }
    }

    fn list(&self, kind: Kind) -> Listing {
        let ids = self.intent.ids().filter(|id| id.kind == kind);
        Listing { revision: self.revision, resources: ids.filter_map(|id| self.get(id).ok()).collect() }
    }

    fn get(&self, id: Reference) -> Result<Stored, EngineError> {
        let revision = self.revisions.get(&id).copied().unwrap_or(self.revision);
        let resource = self.intent.get(&id).ok_or(EngineError::Missing(id))?;
        Ok(Stored { resource: resource.masked(), revision })
    }
}

/// Has a task wait for what the data plane's thread is asked, so that the engine need not.
fn answer_later<T: Send + 'static>(
    reply: Reply<T>,
    answer: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) {
    tokio::spawn(async move {
        let _ = reply.send(answer.await);
    });
}

/// Lets go of the kernel's objects, then removes them.
async fn teardown(dataplane: Dataplane, options: &Options) -> Result<Vec<String>, EngineError> {
    info!("teardown: removing what weft made in the kernel");
    drop(dataplane);
    Dataplane::teardown(options).await.map_err(|failures| {
        let problems = failures.into_iter().map(|failure| {
            error!(object = failure.object, cause = failure.cause, "not removed");
            Problem::new(failure.object, failure.cause)
        });
        EngineError::Teardown(problems.collect())
    })
}

async fn wait_until(due: Option<(Instant, Work)>) -> Work {
    match due {
        Some((at, work)) => {
            tokio::time::sleep_until(at.into()).await;
            work
        }
        None => std::future::pending().await,
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| format!("  {}: {}", problem.object, problem.message));
    lines.collect::<Vec<_>>().join("\n")
}
