//! `weft`: asks the weftd of this host, for people (tables) and for programs (JSON).
//!
//! A command is a file in `command/`: its arguments, what it asks, how it prints the answer.

mod args;
mod command;
mod exit;
mod input;
mod output;
mod plan;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let format = args.output;
    match command::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, format),
    }
}
