//! `cargo xtask test`: set-up, then the tests of the workspace, closing with a line that counts them.

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::build::{self, executables};
use crate::counts::Counts;
use crate::demo::FOLDER;
use crate::other_build::other_build;
use crate::setup::{self, Purpose};
use crate::step::{cargo, line};

/// The crate whose tests run real daemons.
const TOPOLOGIES: &str = "weft-tests";

/// Runs tests; `arguments` are those of `cargo test`.
pub(crate) fn test(arguments: &[String]) -> Result<ExitCode> {
    setup::ensure(Purpose::Test)?;
    Ok(run_tests(arguments, Machine::AsItIs)?.conclude())
}

/// What is asked of the machine that runs tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// A test that needs more than it has is skipped.
    AsItIs,
    /// A test that needs more than it has fails.
    HasAll,
}

/// Runs tests and counts them. A run that fails without a failed test, as when one does not build, counts as one.
pub(crate) fn run_tests(arguments: &[String], machine: Machine) -> Result<Counts> {
    let (ours, theirs) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let mut cargo = cargo("test");
    let whole = !ours.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    if whole {
        cargo.arg("--workspace");
    }
    // The topologies run weftd and weft, which cargo does not build for the tests of another crate.
    if whole || ours.iter().any(|argument| argument.ends_with(TOPOLOGIES)) {
        let executables = if whole { build::tests()? } else { executables()? };
        other_build(&executables, whole)?;
        cargo.env(FOLDER, executables);
    }
    // What passing tests print is shown too: it says which were skipped, and why.
    cargo.args(["--locked", "--no-fail-fast"]).args(ours).args(["--", "--show-output"]).args(theirs);
    if machine == Machine::HasAll {
        cargo.env("CI", "true");
    }

    let mut tests = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", line(&cargo)))?;
    let mut counts = Counts::default();
    let output = tests.stdout.take().context("the tests' output")?;
    for output in BufReader::new(output).split(b'\n') {
        let output = output.context("the tests' output")?;
        let output = String::from_utf8_lossy(&output);
        println!("{output}");
        counts.handle_line(&output);
    }
    let status = tests.wait().context("the tests' end")?;
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}
