//! The handle that the daemon holds.
//!
//! One thread does the work ([`Kernel`]), command after command, in the order in which they were given, but that questions about
//! rules wait until there is nothing to change: many may be asked at once, and each takes a while. Giving a command does
//! not wait: the future is the answer, and who drops it stops waiting, not the work. The thread ends when the handle is
//! dropped, after the commands that it was given; nothing is left half done. A thread of its own removes connections that are
//! over, and ends with it. A task passes on what the programs log; it only reads, and is aborted with the handle.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::{fmt, io};

use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle as Task;
use weft_dataplane_abi::PortCounters;

use crate::bpf::KernelLog;
use crate::change::Change;
use crate::counters::CounterReader;
use crate::desired::{Desired, Update};
use crate::error::{ObserveError, OpenError, chain};
use crate::events::DropReader;
use crate::flows::{DecidedBy, EndedLog, Flow, FlowReader, RuleHits, RuleId};
use crate::kernel::Kernel;
use crate::path_mtu::PathMtuWatch;
use crate::trial::{Trial, TrialError, Verdict};
use crate::watch::Watch;
use crate::{Failure, Hook, NoRoom, Options, Owner, Report, teardown};

/// The data plane of one host.
pub struct Dataplane {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    pin_folder: PathBuf,
    counters: CounterReader,
    watch: Watch,
    path_mtu: PathMtuWatch,
    hook: Hook,
    adopted: bool,
    log: Task<()>,
    flows: FlowReader,
    ended: EndedLog,
    /// Closed when the thread ends, whatever the reason.
    alive: watch::Receiver<()>,
}

type Planned = Result<Vec<Change>, ObserveError>;

/// What the thread is asked to do, and where the answer goes.
enum Command {
    Reconcile(Box<Desired>, oneshot::Sender<Report>),
    RefreshNextHops(oneshot::Sender<Report>),
    Update(Update, oneshot::Sender<Report>),
    Resync(oneshot::Sender<Report>),
    Sweep(oneshot::Sender<Report>),
    Plan(Box<Desired>, oneshot::Sender<Planned>),
    Preview(Update, oneshot::Sender<Planned>),
    RequireRoom(Box<Desired>, oneshot::Sender<Result<Vec<NoRoom>, ObserveError>>),
    Question(Question),
}

/// What it is asked about rules.
enum Question {
    Hits(oneshot::Sender<Result<Vec<RuleHits>, ObserveError>>),
    Rules(Vec<RuleId>, oneshot::Sender<Vec<Option<DecidedBy>>>),
    Trial(Trial, oneshot::Sender<Result<Verdict, TrialError>>),
}

impl Dataplane {
    /// Loads the programs, creates or adopts the pinned maps, and replaces the programs on every pinned link.
    ///
    /// Must be called within a tokio runtime whose threads are in the network namespace to work in.
    ///
    /// # Errors
    /// [`OpenError`]; the kernel is then as it was.
    pub async fn open(options: Options, owner: Owner) -> Result<Self, OpenError> {
        let kernel_watch = Watch::open().map_err(socket)?;
        let (commands, inbox) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let folder = options.pin_folder.clone();
        let ended = EndedLog::default();
        let told = ended.clone();
        let (lives, alive) = watch::channel(());
        let thread = Builder::new()
            .name("weft-dataplane".to_owned())
            .spawn(move || {
                let _lives = lives;
                match Kernel::open(&options, &owner, told) {
                    Ok((kernel, log)) => {
                        // Whoever opened may have gone; then the inbox is closed too.
                        let _ = opened.send(Ok((kernel.hook(), kernel.adopted(), log)));
                        serve(kernel, inbox);
                    }
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                }
            })
            .map_err(socket)?;
        let (hook, adopted, log) = answer.await.map_err(|_| OpenError::from(ObserveError::Gone))??;
        let counters = CounterReader::open(&folder)?;
        let path_mtu = PathMtuWatch::open(&folder)?;
        let flows = FlowReader::open(&folder)?;
        let log = tokio::spawn(pass_on(log));
        let (commands, thread) = (Some(commands), Some(thread));
        Ok(Self {
            commands,
            thread,
            pin_folder: folder,
            counters,
            watch: kernel_watch,
            path_mtu,
            hook,
            adopted,
            log,
            flows,
            ended,
            alive,
        })
    }

    /// How programs are attached.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Whether packets were forwarded before it opened, and went on being forwarded.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// Makes the kernel as `desired`. Goes on past failures and reports them all; doing it again repairs. Runs to
    /// its end even if the future is dropped.
    pub fn reconcile(&mut self, desired: &Desired) -> impl Future<Output = Report> + Send + use<> {
        let desired = Box::new(desired.clone());
        report(self.ask(|answer| Command::Reconcile(desired, answer)))
    }

    /// Makes the kernel as it was desired before, with `update`. Where routes alone change, nothing but these is looked
    /// at. In all else as [`Dataplane::reconcile`].
    pub fn update(&mut self, update: Update) -> impl Future<Output = Report> + Send + use<> {
        report(self.ask(|answer| Command::Update(update, answer)))
    }

    /// Makes the kernel as it was desired before, as [`Dataplane::reconcile`] does.
    pub fn resync(&mut self) -> impl Future<Output = Report> + Send + use<> {
        report(self.ask(Command::Resync))
    }

    /// Removes the routes that were kept from before ([`Options::keep_routes`]) and that no update has confirmed.
    pub fn sweep(&mut self) -> impl Future<Output = Report> + Send + use<> {
        report(self.ask(Command::Sweep))
    }

    /// Makes the next hops of VTEPs as the kernel's routes and neighbours now say: the part of
    /// [`Dataplane::reconcile`] that traffic waits for when a way has moved, and which takes a few milliseconds. The
    /// report tells nothing else.
    pub fn refresh_next_hops(&mut self) -> impl Future<Output = Report> + Send + use<> {
        report(self.ask(Command::RefreshNextHops))
    }

    /// What [`Dataplane::reconcile`] would change. The next hops of VTEPs that are not resolved yet count as such.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn plan(&mut self, desired: &Desired) -> impl Future<Output = Planned> + Send + use<> {
        let desired = Box::new(desired.clone());
        planned(self.ask(|answer| Command::Plan(desired, answer)))
    }

    /// What [`Dataplane::update`] would change, as [`Dataplane::plan`].
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn preview(&mut self, update: Update) -> impl Future<Output = Planned> + Send + use<> {
        planned(self.ask(|answer| Command::Preview(update, answer)))
    }

    /// Counters of each port by its name, summed over CPUs; those of no port under the empty name.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn counters(&self) -> Result<BTreeMap<String, PortCounters>, ObserveError> {
        self.counters.read()
    }

    /// Rules of `desired` for which the kernel's tables have no room, if it were made next. What was compiled for this answer is
    /// not compiled again then.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn require_room(
        &mut self,
        desired: &Desired,
    ) -> impl Future<Output = Result<Vec<NoRoom>, ObserveError>> + Send + use<> {
        let desired = Box::new(desired.clone());
        let answer = self.ask(|answer| Command::RequireRoom(desired, answer));
        async move { answer.await.map_err(|_| ObserveError::Gone)? }
    }

    /// Reads the connections of this host's ports.
    #[must_use]
    pub fn flows(&self) -> FlowReader {
        self.flows.clone()
    }

    /// Connections that ended, as they are removed, within seconds. There is one listener: `None` if there is already. One
    /// that does not keep up misses some.
    #[must_use]
    pub fn ended_flows(&self) -> Option<tokio::sync::mpsc::Receiver<Vec<Flow>>> {
        self.ended.listen()
    }

    /// How often each rule decided. Those that never did are missing.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn rule_hits(&self) -> impl Future<Output = Result<Vec<RuleHits>, ObserveError>> + Send + use<> {
        let answer = self.ask(|answer| Command::Question(Question::Hits(answer)));
        async move { answer.await.map_err(|_| ObserveError::Gone)? }
    }

    /// What the programs called so: for each of `ids` the rule or default; `None` for one that has gone, or that is of no
    /// policy.
    pub fn rules(&self, ids: Vec<RuleId>) -> impl Future<Output = Vec<Option<DecidedBy>>> + Send + use<> {
        let unknown = vec![None; ids.len()];
        let answer = self.ask(|answer| Command::Question(Question::Rules(ids, answer)));
        async move { answer.await.unwrap_or(unknown) }
    }

    /// What the loaded programs say of a packet that nobody sent, by the rules that are in the kernel now.
    ///
    /// # Errors
    /// [`TrialError`] if the port is not there, or the kernel does not run the program.
    pub fn trial(&self, trial: Trial) -> impl Future<Output = Result<Verdict, TrialError>> + Send + use<> {
        let answer = self.ask(|answer| Command::Question(Question::Trial(trial, answer)));
        async move { answer.await.map_err(|_| TrialError::Gone)? }
    }

    /// Opens the buffer of drops that are told one by one. It has one reader: what one has read no other gets.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not give it.
    pub fn drops(&self) -> Result<DropReader, ObserveError> {
        DropReader::open(&self.pin_folder)
    }

    /// Waits until a link, address, route or neighbour of the kernel changed in a way that may call for
    /// [`Dataplane::reconcile`], or a router of the underlay called a packet of ours too big. Cancel safe. A reconciliation that changes something wakes it too; one that finds
    /// nothing to change does not, so that a loop of the two comes to rest.
    pub async fn kernel_changed(&mut self) {
        tokio::select! {
            () = self.watch.changed() => {}
            () = self.path_mtu.changed() => {}
        }
    }

    /// Waits until the data plane's thread has ended, which it does by a defect only. Nothing can be changed any more then, and
    /// what is in the kernel goes on.
    pub fn died(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Removes everything that weft made in this network namespace and its pins, and nothing else. Returns what
    /// was removed. Needs no open data plane, and refuses while one is open.
    ///
    /// # Errors
    /// All failures; what could be removed was.
    pub async fn teardown(options: &Options) -> Result<Vec<String>, Vec<Failure>> {
        let folder = options.pin_folder.clone();
        let failed = |cause: String| vec![Failure::new("teardown".to_owned(), cause)];
        let (sender, answer) = oneshot::channel();
        Builder::new()
            .name("weft-teardown".to_owned())
            .spawn(move || {
                let _ = sender.send(teardown::teardown(&folder));
            })
            .map_err(|error| failed(error.to_string()))?;
        answer.await.unwrap_or_else(|_| Err(failed("its thread panicked: see the log".to_owned())))
    }

    /// If the thread has gone, the command is dropped, and with it the sender that its caller waits on.
    fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> oneshot::Receiver<T> {
        let (sender, answer) = oneshot::channel();
        if let Some(commands) = &self.commands {
            let _ = commands.send(command(sender));
        }
        answer
    }
}

async fn report(answer: oneshot::Receiver<Report>) -> Report {
    answer.await.unwrap_or_else(|_| {
        let gone = Failure::new("data plane".to_owned(), ObserveError::Gone.to_string());
        Report { failures: vec![gone], ..Report::default() }
    })
}

async fn planned(answer: oneshot::Receiver<Planned>) -> Planned {
    answer.await.map_err(|_| ObserveError::Gone)?
}

impl fmt::Debug for Dataplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataplane").finish_non_exhaustive()
    }
}

impl Drop for Dataplane {
    /// Waits for the thread, so that the pin folder is free when the handle has gone.
    fn drop(&mut self) {
        self.log.abort();
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the data plane's thread panicked");
        }
    }
}

fn serve(mut kernel: Kernel, inbox: mpsc::Receiver<Command>) {
    let mut questions = VecDeque::new();
    loop {
        let next = if questions.is_empty() { inbox.recv().ok() } else { inbox.try_recv().ok() };
        let Some(command) = next else {
            // There is nothing to change now; or nobody any more who would ask.
            let Some(question) = questions.pop_front() else { return };
            answer(&mut kernel, question);
            continue;
        };
        // An answer that nobody waits for any more is dropped.
        match command {
            Command::Question(question) => questions.push_back(question),
            Command::Reconcile(desired, answer) => {
                let _ = answer.send(kernel.reconcile(*desired));
            }
            Command::Update(update, answer) => {
                let _ = answer.send(kernel.update(update));
            }
            Command::Resync(answer) => {
                let _ = answer.send(kernel.resync());
            }
            Command::Sweep(answer) => {
                let _ = answer.send(kernel.sweep());
            }
            Command::RefreshNextHops(answer) => {
                let _ = answer.send(kernel.refresh_next_hops());
            }
            Command::Plan(desired, answer) => {
                let _ = answer.send(kernel.plan(*desired));
            }
            Command::Preview(update, answer) => {
                let _ = answer.send(kernel.preview(update));
            }
            Command::RequireRoom(desired, answer) => {
                let _ = answer.send(kernel.require_room(&desired));
            }
        }
    }
}

/// Answers a question, if somebody still waits.
fn answer(kernel: &mut Kernel, question: Question) {
    match question {
        Question::Hits(answer) if !answer.is_closed() => {
            let _ = answer.send(kernel.rule_hits());
        }
        Question::Rules(ids, answer) if !answer.is_closed() => {
            let _ = answer.send(kernel.rules(&ids));
        }
        Question::Trial(trial, answer) if !answer.is_closed() => {
            let _ = answer.send(kernel.trial(&trial));
        }
        Question::Hits(_) | Question::Rules(..) | Question::Trial(..) => {}
    }
}

/// Passes on what the programs log, until it is aborted.
async fn pass_on(log: KernelLog) {
    // SAFETY: the descriptor is that of the log's map, which lives and dies with it.
    let mut log = match unsafe { AsyncFd::register(log) } {
        Ok(log) => log,
        Err(error) => return tracing::warn!(%error, "what the programs log will not be seen"),
    };
    loop {
        match log.readable_mut().await {
            Ok(mut ready) => {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
            Err(error) => return tracing::warn!(%error, "what the programs log will not be seen any more"),
        }
    }
}

fn socket(error: io::Error) -> OpenError {
    ObserveError::Netlink { what: "socket", cause: chain(&error) }.into()
}
