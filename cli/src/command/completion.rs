//! `weft completion`: scripts for shells.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::output::Output;

const AFTER_HELP: &str = "\
Examples:
  weft completion bash > /etc/bash_completion.d/weft
  weft completion zsh > ~/.zfunc/_weft
  weft completion fish > ~/.config/fish/completions/weft.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self, output: &mut Output) -> Result<()> {
        // Into memory first: clap_complete panics where a write fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "weft", &mut script);
        output.text(&String::from_utf8_lossy(&script))
    }
}
