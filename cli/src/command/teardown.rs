//! `weft teardown`: removes all that weft made on this host, with the help of weftd or of its program.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use weft_api::client::Client;

use crate::exit::Failure;
use crate::output::Output;

const AFTER_HELP: &str = "\
Removes the programs, maps, devices and routes that weft made on this host, and nothing else. The
workloads lose their network; the stored resources stay, so that the next start of weftd brings all
back, unless --purge is given.

A running weftd does it and then stops. If none answers, `weftd teardown` is run: the weftd beside
this program, or the one in PATH, with the configuration of --config. Where --socket or WEFT_SOCKET
names a weftd, that must be given too: the default may be the configuration of another one.

Examples:
  weft teardown
  weft teardown --yes --purge";

/// Remove all that weft made on this host, and stop weftd
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Teardown {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Delete the stored resources too
    #[arg(long)]
    purge: bool,

    /// weftd's configuration, for when no weftd answers and for --purge [default: /etc/weft/weftd.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// weftd's own default.
const CONFIG: &str = "/etc/weft/weftd.toml";

/// How long weftd may take to stop once it has answered.
const STOP: Duration = Duration::from_secs(15);

impl Teardown {
    /// `named`: whether the user said which weftd is meant.
    pub(crate) fn run(&self, client: &Client, named: bool, output: &mut Output) -> Result<()> {
        let config = match &self.config {
            None if named => None,
            config => Some(config.as_deref().unwrap_or(Path::new(CONFIG))),
        };
        if self.purge && config.is_none() {
            let message = "--purge deletes the store of a configuration: with --socket or WEFT_SOCKET, name that \
                           weftd's with --config";
            return Err(Failure::Usage(message.to_owned()).into());
        }
        self.confirm()?;
        let (mut removed, answered) = match client.teardown() {
            Ok(removed) => (removed, true),
            Err(error) if error.is_unreachable() => (Vec::new(), false),
            Err(error) => return Err(error.into()),
        };
        let socket = client.socket().display();
        let rest = match (answered, config) {
            // The store is weftd's own as long as it runs.
            (true, Some(config)) if self.purge => {
                wait_for_stop(client).and_then(|()| self.run_weftd(config))
            }
            (true, _) => Ok(Vec::new()),
            (false, Some(config)) => {
                let config_name = config.display();
                writeln!(stderr(), "nobody answers on {socket}; running weftd teardown --config {config_name}")?;
                self.run_weftd(config)
            }
            (false, None) => Err(Failure::Unreachable(format!(
                "nobody answers on {socket}; nothing was removed\nto do it without weftd, name the configuration \
                 of the weftd that used this socket with --config"
            ))
            .into()),
        };
        removed.extend(rest.as_deref().unwrap_or_default().iter().cloned());
        if answered || rest.is_ok() {
            output.print(&removed, |removed| render(removed))?;
        }
        rest.map(|_| ())
    }

    fn confirm(&self) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            return Err(Failure::Usage(
                "teardown cuts every workload of this host off: confirm with --yes".to_owned(),
            )
            .into());
        }
        let store = if self.purge { " and deletes the stored resources" } else { "" };
        write!(stderr(), "This cuts every workload of this host off{store}. Type yes to go on: ")?;
        let mut answer = String::new();
        stdin().read_line(&mut answer).context("the answer")?;
        ensure!(answer.trim() == "yes", "not confirmed: nothing was changed");
        Ok(())
    }

    /// What it removed, a line each; its errors go where ours go.
    fn run_weftd(&self, config: &Path) -> Result<Vec<String>> {
        let program = weftd();
        let mut command = Command::new(&program);
        command.arg("teardown").arg("--config").arg(config).stderr(Stdio::inherit());
        if self.purge {
            command.arg("--purge");
        }
        let output = command.output().with_context(|| {
            format!(
                "no weftd answers, and {} cannot be run: install it beside weft or in PATH",
                program.display()
            )
        })?;
        let (program, config) = (program.display(), config.display());
        ensure!(output.status.success(), "{program} teardown --config {config}: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

/// The weftd that was installed with this weft, else whatever PATH has.
fn weftd() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|weft| weft.with_file_name("weftd"));
    beside.filter(|weftd| weftd.is_file()).unwrap_or_else(|| PathBuf::from("weftd"))
}

fn wait_for_stop(client: &Client) -> Result<()> {
    let deadline = Instant::now() + STOP;
    while client.status().is_ok() {
        ensure!(
            Instant::now() < deadline,
            "weftd answered, but still runs: stop it, then `weft teardown --purge` again"
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "the poll loop: a socket does not say when its owner is gone"
        )]
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn render(removed: &[String]) -> String {
    if removed.is_empty() {
        return "nothing of weft was there\n".to_owned();
    }
    removed.iter().map(|thing| format!("{thing}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed() {
        assert_eq!(render(&["link weft0".to_owned()]), "link weft0\n");
        assert_eq!(render(&[]), "nothing of weft was there\n");
    }
}
