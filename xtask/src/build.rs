//! `cargo xtask build`: the compilers, then the workspace. `dataplane/build.rs` builds the eBPF programs.

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::step::{cargo, run};

/// Builds the workspace.
pub(crate) fn build(release: bool) -> Result<ExitCode> {
    setup::ensure(Purpose::Build)?;
    run(cargo("build").args(["--workspace", "--locked"]).args(release.then_some("--release")))?;
    Ok(ExitCode::SUCCESS)
}
