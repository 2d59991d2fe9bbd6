//! `cargo xtask ci`: what must hold before a change lands, from the cheapest to the dearest. `.ci/run` runs this and
//! nothing else.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::bpf_toolchain::{HINT, Toolchain, tools};
use crate::setup::{self, Purpose};
use crate::step::{cargo, run, step};
use crate::test::{Machine, run_tests};
use crate::vm;

/// The eBPF programs, which are a workspace of their own.
const EBPF: &str = "dataplane-ebpf/Cargo.toml";

/// Runs every check.
pub(crate) fn ci() -> Result<ExitCode> {
    step("format", || {
        run(cargo("fmt").args(["--all", "--check"]))?;
        run(cargo("fmt").args(["--check", "--manifest-path", EBPF]))
    })?;
    setup::ensure(Purpose::Ci)?;
    step("licences and sources of dependencies", || {
        run(&mut deny("Cargo.toml", &[]))?;
        // It has fewer dependencies than deny.toml allows licences for.
        run(&mut deny(EBPF, &["--allow", "license-not-encountered"]))
    })?;
    step("lints of the eBPF programs", || {
        let toolchain = Toolchain::find().context(HINT)?;
        run(toolchain.cargo(crate::workspace(), "clippy").args(["--", "-D", "warnings"]))
    })?;
    step("lints", || {
        run(cargo("clippy").args(["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    })?;
    let mut counts = run_tests(&[], Machine::HasAll)?;
    counts += vm::run(&vm::Options::core())?;
    Ok(counts.conclude())
}

/// `cargo deny`, but for known vulnerabilities: their list is a git repository, and what lands must not depend on more
/// than the crates registry, nor on what was found since yesterday.
fn deny(manifest: &str, options: &[&str]) -> Command {
    let mut deny = Command::new(tools(crate::workspace()).join("bin/cargo-deny"));
    deny.current_dir(crate::workspace())
        .args(["--locked", "--config", "deny.toml", "--manifest-path", manifest, "check"])
        .args(options)
        .args(["licenses", "bans", "sources"]);
    deny
}
