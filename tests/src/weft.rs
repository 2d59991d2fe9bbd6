//! The `weft` command, as a person or a script uses it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use weft_api::client::Client;
use weft_api::view::bgp::{Neighbor, RibRoute};
use weft_api::view::{Counters, Route, Status};
use weft_dataplane_abi::DropReason;

use crate::process::{Lifetime, binary, start};
use crate::{Namespace, PATIENCE, wait_for};

/// `weft --socket …`
#[derive(Debug, Clone)]
pub struct Weft {
    program: PathBuf,
    socket: PathBuf,
    namespace: Arc<File>,
}

/// How a call ended and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whether it ended with success.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Weft {
    /// The command for the weftd behind `socket`, run in `namespace` as on the host itself.
    ///
    /// # Errors
    /// It was not built.
    pub fn new(socket: &Path, namespace: &Namespace) -> Result<Self> {
        let namespace = Arc::new(namespace.file().try_clone()?);
        Ok(Self { program: binary("weft")?, socket: socket.to_owned(), namespace })
    }

    /// Its path, to show to people.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The same questions without a process for each: for what is looked at every millisecond.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Errors
    /// It could not be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let output = self
            .begin(arguments)?
            .wait_with_output()
            .with_context(|| format!("running {}", self.program.display()))?;
        Ok(Output {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts it, its output piped.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("--socket").arg(&self.socket).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        start(command, &self.namespace, Lifetime::Ours)
    }

    /// Runs it and gives what it printed.
    ///
    /// # Errors
    /// It failed; what it complained about.
    pub fn must(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.success, "weft {}: {}{}", arguments.join(" "), output.stdout, output.stderr);
        Ok(output.stdout)
    }

    /// `weft status -o json`
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn status(&self) -> Result<Status> {
        let text = self.must(&["status", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the status {text}"))
    }

    /// `weft counters -o json`
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn counters(&self) -> Result<Vec<Counters>> {
        let text = self.must(&["counters", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the counters {text}"))
    }

    /// `weft bgp neighbors -o json`
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn neighbors(&self) -> Result<Vec<Neighbor>> {
        let text = self.must(&["bgp", "neighbors", "-o", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the neighbours {text}"))
    }

    /// `weft bgp rib -o json`, with further arguments.
    ///
    /// # Errors
    /// weftd does not answer, or knows no such peer.
    pub fn rib(&self, more: &[&str]) -> Result<Vec<RibRoute>> {
        let text = self.must(&[&["bgp", "rib", "-o", "json"], more].concat())?;
        serde_json::from_str(&text).context("reading the routes")
    }

    /// `weft routes -o json`
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn routes(&self) -> Result<Vec<Route>> {
        let text = self.must(&["routes", "-o", "json"])?;
        serde_json::from_str(&text).context("reading the routes")
    }

    /// Drops for `reason`, of all ports and of none.
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn drops(&self, reason: DropReason) -> Result<u64> {
        Ok(self.all_drops()?.get(reason.name()).copied().unwrap_or_default())
    }

    /// Waits until more than `before` packets were dropped for `reason`; how many more.
    ///
    /// # Errors
    /// That does not happen in time; what was dropped instead.
    pub fn wait_for_drop(&self, reason: DropReason, before: u64) -> Result<u64> {
        wait_for(PATIENCE, reason.name(), || {
            let drops = self.all_drops().map_err(|error| format!("{error:#}"))?;
            let now = drops.get(reason.name()).copied().unwrap_or_default();
            now.checked_sub(before).filter(|more| *more > 0).ok_or_else(|| format!("{drops:?}"))
        })
    }

    /// Drops by reason, of all ports and of none.
    ///
    /// # Errors
    /// weftd does not answer.
    pub fn all_drops(&self) -> Result<BTreeMap<String, u64>> {
        let mut drops = BTreeMap::new();
        for (reason, count) in self.counters()?.into_iter().flat_map(|port| port.drops) {
            *drops.entry(reason).or_default() += count;
        }
        Ok(drops)
    }
}
