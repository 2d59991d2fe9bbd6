//! `weft watch`: changes to resources as they happen.

use anyhow::{Result, bail};
use clap::Args;
use weft_api::client::Client;
use weft_api::view::{Action, Event};

use crate::output::Output;

const AFTER_HELP: &str = "\
Runs until it is interrupted. With -o json, each change is a line of JSON with the whole resource.

Examples:
  weft watch
  weft watch --since 120 -o json";

/// Show changes to resources as they happen
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Watch {
    /// Start with the changes after this revision of the store, instead of now
    #[arg(long, value_name = "REVISION")]
    since: Option<u64>,
}

impl Watch {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let mut last = self.since;
        for event in client.watch(self.since)? {
            let event = event?;
            output.print_next(&event, line)?;
            last = Some(event.revision);
        }
        match last {
            Some(revision) => bail!("weftd ended the stream: go on with `weft watch --since {revision}`"),
            None => bail!("weftd ended the stream: it has stopped, or restarts"),
        }
    }
}

fn line(event: &Event) -> String {
    let action = match event.action {
        Action::Create => "create",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Unchanged => "unchanged",
    };
    format!("{:<8}  {action:<7}  {}\n", event.revision, event.resource.reference())
}
