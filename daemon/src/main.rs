//! weftd: the command line.
//!
//! Exit codes: 0 it did what it was asked for, 1 it failed, 2 the command line or the config file is wrong.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;
use weft_daemon::config::Config;
use weft_daemon::run;

/// weft's daemon: gives the tenants of this host their networks.
#[derive(Debug, Parser)]
#[command(name = "weftd", version)]
struct Cli {
    /// The host's config file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/weft/weftd.toml")]
    config: PathBuf,
    /// How the log looks. RUST_LOG says how much of it there is.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Make this host's kernel follow the stored resources of this weftd although it follows another store's.
    ///
    /// weftd writes into the kernel whose resources it follows, and refuses to start on those of another store, since
    /// an empty or exchanged state folder would remove every port of the host. Where that happened by mistake, put the
    /// right state.folder back. Use this once, by hand, where the store was lost or replaced on purpose: every port
    /// that this store does not have loses its network, until it is applied and attached again.
    #[arg(long)]
    take_over: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum Command {
    /// Check the config file, and do nothing else.
    Check,
    /// Remove everything that weft made in this host's kernel. Needs no running weftd, and refuses if one runs.
    Teardown {
        /// Remove the stored networks, subnets, ports and remotes too.
        #[arg(long)]
        purge: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.take_over && cli.command.is_some() {
        return fail(2, "--take-over is for starting weftd, and goes with no other command");
    }
    log(cli.log_format);
    let config = match Config::read(&cli.config) {
        Ok(config) => config,
        Err(error) => return fail(2, &error.to_string()),
    };
    if cli.command == Some(Command::Check) {
        return say(&[format!("{} is right", cli.config.display())]);
    }
    // The engine, the server, and a netlink listener: none of them computes for long.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("threads cannot be started: {error}")),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Some(Command::Teardown { purge }) => run::teardown(&config, purge).await,
            Some(Command::Check) | None => run::run(&config, cli.take_over).await.map(|()| Vec::new()),
        }
    });
    runtime.shutdown_background();
    match result {
        Ok(lines) => say(&lines),
        Err(error) => fail(1, &in_full(&error)),
    }
}

/// An error and its causes, but those that it already tells itself.
fn in_full(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// To standard error, which systemd's journal reads; standard output is for what was asked for.
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn say(lines: &[String]) -> ExitCode {
    for line in lines {
        println!("{line}");
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the end of the command, whatever the log's level and format")]
fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("weftd: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use anyhow::Context;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("folder /x: {source}; make it")]
    struct TellsItsCause {
        source: Error,
    }

    #[test]
    fn each_cause_is_told_once() {
        let source = || Error::from(ErrorKind::PermissionDenied);
        let error = Err::<(), _>(TellsItsCause { source: source() }).context("no start").unwrap_err();
        assert_eq!(in_full(&error), "no start: folder /x: permission denied; make it");
        let error = Err::<(), _>(source()).context("socket /y").unwrap_err();
        assert_eq!(in_full(&error), "socket /y: permission denied");
    }
}
