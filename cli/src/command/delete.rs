//! `weft delete`: takes resources out of the store.

use anyhow::Result;
use clap::Args;
use weft_api::client::Client;
use weft_api::document;
use weft_api::kind::Reference;

use crate::args::KindArg;
use crate::exit::Failure;
use crate::input::{Files, locate};
use crate::output::Output;
use crate::plan;

const AFTER_HELP: &str = "\
Kinds: networks (network, net), subnets (subnet, sub), ports (port, po), remotes (remote, rem).
A resource that others need is refused unless they are deleted by the same command. Of a file, only
the kinds and names count.

Examples:
  weft delete port web-1 web-2
  weft delete -f red.yaml --dry-run";

/// Delete resources, named here or in files: all of them, or none
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, mut_arg("files", |arg| arg.conflicts_with("kind")))]
pub(crate) struct Delete {
    /// Their kind
    #[arg(value_enum, hide_possible_values = true, required_unless_present = "files", requires = "names")]
    kind: Option<KindArg>,

    /// Their names
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    files: Files,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

impl Delete {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let outcome = match self.kind {
            Some(KindArg(kind)) => {
                let references: Vec<_> =
                    self.names.iter().map(|name| Reference { kind, name: name.clone() }).collect();
                client.delete_all(&references, self.dry_run)?
            }
            None if self.files.files.is_empty() => {
                return Err(
                    Failure::Usage("name a kind and its resources, or files with -f".to_owned()).into()
                );
            }
            None => {
                let documents = document::read_references(&self.files.read()?)?;
                let references: Vec<_> = documents.iter().map(|document| document.value.clone()).collect();
                client
                    .delete_all(&references, self.dry_run)
                    .map_err(|error| locate(error, &documents, Clone::clone))?
            }
        };
        plan::print(output, &outcome)
    }
}
