//! `cargo xtask fuzz`: the mutation loop of bgp/tests/fuzz, with stable Rust, for as long as wanted.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

/// What can be fuzzed: the loops in bgp/tests/fuzz.
pub(crate) const TARGETS: [&str; 1] = ["decode"];

/// Runs one; fails if it finds something.
pub(crate) fn fuzz(target: &str, seconds: u64, keep: bool) -> Result<ExitCode> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(crate::workspace())
        .args(["test", "-p", "weft-bgp", "--test", "fuzz", "--"])
        .args(["--ignored", "--nocapture", "--exact", &format!("mutate::{target}")])
        .env("WEFT_FUZZ_SECONDS", seconds.to_string());
    if keep {
        cargo.env("WEFT_FUZZ_KEEP", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
