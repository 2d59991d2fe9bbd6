//! The commands, each in its file.

mod apply;
mod bgp;
mod completion;
mod counters;
mod delete;
mod drops;
mod flows;
mod get;
mod policy;
mod port;
mod routes;
mod sg;
mod status;
mod teardown;
mod version;
mod watch;

use anyhow::Result;
use clap::Subcommand;
use weft_api::client::{Client, DEFAULT_SOCKET};

use crate::args::Args;
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Status(status::Status),
    Get(get::Get),
    Apply(apply::Apply),
    Delete(delete::Delete),
    Port(port::Port),
    Sg(sg::Sg),
    Routes(routes::Routes),
    Bgp(bgp::Bgp),
    Counters(counters::Counters),
    Drops(drops::Drops),
    Flows(flows::Show),
    Policy(policy::Policy),
    Watch(watch::Watch),
    Teardown(teardown::Teardown),
    Completion(completion::Completion),
    Version(version::Version),
}

/// Carries out a command line.
pub(crate) fn run(args: Args) -> Result<()> {
    let named = args.socket.is_some();
    let client = Client::new(args.socket.unwrap_or_else(|| DEFAULT_SOCKET.into()));
    let mut output = Output::new(args.output);
    match args.command {
        Command::Status(command) => command.run(&client, &mut output),
        Command::Get(command) => command.run(&client, &mut output),
        Command::Apply(command) => command.run(&client, &mut output),
        Command::Delete(command) => command.run(&client, &mut output),
        Command::Port(command) => command.run(&client, &mut output),
        Command::Sg(command) => command.run(&client, &mut output),
        Command::Routes(command) => command.run(&client, &mut output),
        Command::Bgp(command) => command.run(&client, &mut output),
        Command::Counters(command) => command.run(&client, &mut output),
        Command::Drops(command) => command.run(&client, &mut output),
        Command::Flows(command) => command.run(&client, &mut output),
        Command::Policy(command) => command.run(&client, &mut output),
        Command::Watch(command) => command.run(&client, &mut output),
        Command::Teardown(command) => command.run(&client, named, &mut output),
        Command::Completion(command) => command.run(&mut output),
        Command::Version(command) => command.run(&client, &mut output),
    }
}
