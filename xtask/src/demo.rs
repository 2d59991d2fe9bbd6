//! `cargo xtask demo`: set-up, build, and the program that shows weft at work (`weft-demo` of `tests/`).

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::setup::{self, Purpose};
use crate::step::{cargo, run, step};

/// Where the demo finds `weftd` and `weft`.
const FOLDER: &str = "WEFT_BIN_DIR";

/// Shows weft at work; `keep` leaves it up.
pub(crate) fn demo(keep: bool) -> Result<ExitCode> {
    setup::ensure(Purpose::Run)?;
    // Without optimisations: a first build takes half the time, and the packets meet only the eBPF programs, which are
    // always optimised.
    step("weftd, weft and the demo built", || {
        let packages = ["-p", "weft-daemon", "-p", "weft-cli", "-p", "weft-tests"];
        run(cargo("build").arg("--locked").args(packages).arg("--bins"))
    })?;

    // Beside this program, wherever cargo was told to put what it builds.
    let xtask = env::current_exe().context("this program's own place")?;
    let folder = xtask.parent().context("this program's folder")?;
    let mut demo = Command::new(folder.join("weft-demo"));
    demo.env(FOLDER, folder).args(keep.then_some("--keep"));
    // In our place, so that Ctrl-C reaches it alone and it can clean up.
    Err(demo.exec()).with_context(|| format!("cannot run {}", folder.join("weft-demo").display()))
}
