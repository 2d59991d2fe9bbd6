//! `cargo xtask demo`: set-up, build, and the program that shows weft at work (`weft-demo` of `tests/`).

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::build::executables;
use crate::setup::{self, Purpose};

/// Tells the demo, and the tests, where `weftd` and `weft` are.
pub(crate) const FOLDER: &str = "WEFT_BIN_DIR";

/// Shows weft at work; `keep` leaves it up.
pub(crate) fn demo(keep: bool) -> Result<ExitCode> {
    setup::ensure(Purpose::Run)?;
    become_demo(keep.then_some("--keep"))
}

/// Removes the demo that was left up.
pub(crate) fn clean() -> Result<ExitCode> {
    setup::ensure(Purpose::Build)?;
    become_demo(Some("--clean"))
}

fn become_demo(option: Option<&str>) -> Result<ExitCode> {
    let folder = executables()?;
    let program = folder.join("weft-demo");
    let mut demo = Command::new(&program);
    demo.env(FOLDER, folder).args(option);
    // In our place, so that Ctrl-C reaches it alone and it can clean up.
    Err(demo.exec()).with_context(|| format!("cannot run {}", program.display()))
}
