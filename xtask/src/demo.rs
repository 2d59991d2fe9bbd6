//! `cargo xtask demo`: set-up, build, and the program that shows weft at work (`weft-demo` of `tests/`).

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::build::executables;
use crate::setup::{self, Purpose};

/// Tells the demo, and the tests, where `weftd` and `weft` are.
pub(crate) const FOLDER: &str = "WEFT_BIN_DIR";

/// Route reflectors that the demo can have.
pub(crate) const REFLECTORS: [&str; 3] = [OWN, "frr", "gobgp"];
/// weft's.
const OWN: &str = "weft";

/// Shows weft at work; `keep` leaves it up. `reflector` says whose route reflectors it has.
pub(crate) fn demo(keep: bool, reflector: &str) -> Result<ExitCode> {
    // Other people's are installed for the tests.
    setup::ensure(if reflector == OWN { Purpose::Run } else { Purpose::Test })?;
    let keep = keep.then_some("--keep");
    become_demo(&["--rr", reflector].into_iter().chain(keep).collect::<Vec<_>>())
}

/// Removes the demo that was left up.
pub(crate) fn clean() -> Result<ExitCode> {
    setup::ensure(Purpose::Build)?;
    become_demo(&["--clean"])
}

fn become_demo(options: &[&str]) -> Result<ExitCode> {
    let folder = executables()?;
    let program = folder.join("weft-demo");
    let mut demo = Command::new(&program);
    demo.env(FOLDER, folder).args(options);
    // In our place, so that Ctrl-C reaches it alone and it can clean up.
    Err(demo.exec()).with_context(|| format!("cannot run {}", program.display()))
}
