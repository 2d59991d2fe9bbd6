//! `cargo xtask build`: the compilers, then the workspace. `dataplane/build.rs` builds the eBPF programs.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::setup::{self, Purpose};
use crate::step::{cargo, run, step};

/// Builds the workspace.
pub(crate) fn build(release: bool) -> Result<ExitCode> {
    setup::ensure(Purpose::Build)?;
    run(cargo("build").args(["--workspace", "--locked"]).args(release.then_some("--release")))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds weft's executables, and returns the folder that they are in.
///
/// Without optimisations: a first build takes half the time, and packets meet only the eBPF programs, which are always
/// optimised.
pub(crate) fn executables() -> Result<PathBuf> {
    step("build of weftd, weft and weft-demo", || {
        let packages = ["-p", "weft-daemon", "-p", "weft-cli", "-p", "weft-tests"];
        run(cargo("build").arg("--locked").args(packages).arg("--bins"))
    })?;
    folder()
}

/// Builds all tests, and the executables that they run; returns the folder of these.
///
/// The whole workspace at once, and as tests: with other packages, or without what only tests depend on, cargo would build most
/// dependencies again, with other features.
pub(crate) fn tests() -> Result<PathBuf> {
    step("build of the tests", || {
        run(cargo("test").args(["--workspace", "--locked", "--no-run", "--quiet"]))
    })?;
    folder()
}

/// Where the executables are: beside this one, wherever cargo was told to put what it builds.
fn folder() -> Result<PathBuf> {
    let xtask = env::current_exe().context("this program's own place")?;
    Ok(xtask.parent().context("this program's folder")?.to_owned())
}
