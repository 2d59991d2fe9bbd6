//! One running daemon of a speaker: its process and its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{self, Lifetime, start};
use crate::weftd::end_of;
use crate::{Namespace, PATIENCE, wait_for};

/// A daemon, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    log: PathBuf,
    namespace: File,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon called `name` in `namespace` that logs into `folder`; not started yet.
    pub(super) fn new(name: &str, folder: &Path, namespace: &Namespace) -> Result<Self> {
        let namespace = namespace.file().try_clone()?;
        Ok(Self { name: name.to_owned(), log: folder.join(format!("{name}.log")), namespace, child: None })
    }

    /// Starts it; what it prints is its log.
    pub(super) fn launch(&mut self, mut command: Command) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(start(command, &self.namespace, Lifetime::Ours)?);
        Ok(())
    }

    /// Looks until `look` answers, the daemon ends, or the deadline passes.
    pub(super) fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
        let child = self.child.as_mut().with_context(|| format!("{} was not started", self.name))?;
        let answer = wait_for(PATIENCE, what, || match child.try_wait() {
            Ok(Some(status)) => Ok(Err(status)),
            Ok(None) => look().map(Ok).map_err(|error| format!("{error:#}")),
            Err(error) => Err(error.to_string()),
        });
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(status)) => bail!("{} ended: {status}; its log ends:\n{}", self.name, self.log_end(30)),
            Err(error) => Err(error.context(format!("{}; its log ends:\n{}", self.name, self.log_end(30)))),
        }
    }

    /// The namespace that it is in, for the commands that speak to it.
    pub(super) fn namespace(&self) -> &File {
        &self.namespace
    }

    /// The id of its process, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops it in its tracks (SIGSTOP): its sockets stay, and it says nothing more.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let state = Path::new("/proc").join(self.pid().unwrap_or_default().to_string()).join("stat");
        wait_for(PATIENCE, "a daemon that is paused", || {
            let stat = fs::read_to_string(&state).map_err(|error| error.to_string())?;
            // The state follows the name, which is in brackets.
            let paused = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'));
            if paused { Ok(()) } else { Err(stat) }
        })
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Asks it to stop (SIGTERM) and waits.
    ///
    /// # Errors
    /// It is not running or does not stop in time.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_until_ended()
    }

    /// Kills it (SIGKILL) and waits.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait_until_ended()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid() else { bail!("{} is not running", self.name) };
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    fn wait_until_ended(&mut self) -> Result<ExitStatus> {
        process::wait_until_ended(&mut self.child, &self.name)
    }

    /// The last `lines` of its log.
    #[must_use]
    pub fn log_end(&self, lines: usize) -> String {
        end_of(&self.log, lines)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            // One that cannot be killed is left to the kernel, which kills it at our end.
            drop(self.kill());
        }
    }
}
