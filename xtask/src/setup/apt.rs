//! Debian's packages: what is installed, and installing more in one go.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{line, step};

/// Whether this machine has Debian's package manager.
pub(crate) fn is_there() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// Installs packages.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    update()?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend_from_slice(packages);
    step(&format!("apt-get install {}", packages.join(" ")), || apt_get(&install))
}

/// Gets the lists of packages anew: the machine's may be old or, on a new machine, not there at all.
pub(crate) fn update() -> Result<()> {
    step("apt-get update", || apt_get(&["update"]))
}

/// Runs apt-get without questions. What it says goes to a file, of which the end is shown if it fails.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let path = crate::workspace().join("target/apt-get.log");
    let log = File::create(&path).with_context(|| format!("{}", path.display()))?;
    let mut apt_get = Command::new("apt-get");
    apt_get
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another one that is at work, such as the daily upgrade, is waited for.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone().context("the log's second handle")?)
        .stderr(log);
    let status = apt_get.status().context("cannot run apt-get")?;
    if !status.success() {
        let said = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        bail!(
            "`{}` failed ({status}); its last words:\n{}",
            line(&apt_get),
            lines[lines.len().saturating_sub(10)..].join("\n")
        );
    }
    Ok(())
}
