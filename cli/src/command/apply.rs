//! `weft apply`: makes the store hold what files say.

use anyhow::Result;
use clap::Args;
use weft_api::client::Client;
use weft_api::document;
use weft_api::resource::Resource;

use crate::input::{Files, locate};
use crate::output::Output;
use crate::plan;

const AFTER_HELP: &str = "\
Everything is checked first: if one document is wrong, nothing changes, and every error is told with
its file, line and column. Resources that the files do not mention stay as they are.

Examples:
  weft apply -f red.yaml --dry-run
  weft apply -f networks.yaml -f ports/
  weft get ports -o json | weft apply -f -

A document:
  kind: subnet
  name: red-a
  network: red
  vni: 5001
  ipv4: 10.0.0.0/24";

/// Create or replace resources from files: all of them, or none
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, mut_arg("files", |arg| arg.required(true)))]
pub(crate) struct Apply {
    #[command(flatten)]
    files: Files,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let documents = document::read(&self.files.read()?)?;
        let resources: Vec<_> = documents.iter().map(|document| document.value.clone()).collect();
        let outcome = client
            .apply(&resources, self.dry_run)
            .map_err(|error| locate(error, &documents, Resource::reference))?;
        plan::print(output, &outcome)
    }
}
