//! `weft watch`: changes to resources as they happen.

use anyhow::{Result, bail};
use clap::Args;
use weft_api::client::{Client, ClientError};
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
        // Asked for first, so that there is a revision to go on with even if nothing happens before the end.
        let mut last = match self.since {
            Some(revision) => revision,
            None => client.status()?.revision,
        };
        for event in client.watch(Some(last))? {
            let event = match event {
                Err(ClientError::Interrupted { cause, .. }) => {
                    bail!("no more from weftd ({cause}): {}", go_on(last));
                }
                event => event?,
            };
            output.print_next(&event, line)?;
            last = event.revision;
        }
        bail!("weftd ended the stream: {}", go_on(last))
    }
}

fn go_on(last: u64) -> String {
    format!("the last revision seen is {last}; watch again with `weft watch --since {last}`")
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
