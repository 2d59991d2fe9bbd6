//! `cargo xtask fuzz`: the mutation loops of bgp/tests, with stable Rust, for as long as wanted.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

/// What can be fuzzed: the codec alone, and beside two others.
pub(crate) const TARGETS: [&str; 2] = ["decode", "differ"];

/// Runs one; fails if it finds something.
pub(crate) fn fuzz(target: &str, seconds: u64, keep: bool) -> Result<ExitCode> {
    // The test binary and the loop in it.
    let (binary, test) =
        if target == "differ" { ("wire", "peers::differ::differ") } else { ("fuzz", "mutate::decode") };
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(crate::workspace())
        .args(["test", "-p", "weft-bgp", "--test", binary, "--"])
        .args(["--ignored", "--nocapture", "--exact", test])
        .env("WEFT_FUZZ_SECONDS", seconds.to_string());
    if keep {
        cargo.env("WEFT_FUZZ_KEEP", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
