//! Debian's packages: what is installed, and installing more in one go, without the services that come with some.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{line, step};

/// Whether this machine has Debian's package manager.
pub(crate) fn is_there() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// What asks Debian's packages whether they may start services (invoke-rc.d(8), deb-systemd-invoke(1p)).
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Ours: they may not. Its second line tells it from others'.
const NO_SERVICES: &str =
    "#!/bin/sh\n# weft's set-up: no service starts while packages are installed\nexit 101\n";

/// Installs packages. Of `services`, which come with them, none is started, now or with the machine.
pub(crate) fn install(packages: &[&str], services: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    update()?;
    let policy = if services.is_empty() { None } else { Policy::set()? };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend_from_slice(packages);
    step(&format!("apt-get install {}", packages.join(" ")), || apt_get(&install))?;
    drop(policy);
    services.iter().try_for_each(|service| disable(service))
}

/// Has a service not start with the machine.
fn disable(service: &str) -> Result<()> {
    let output = Command::new("update-rc.d").args([service, "disable"]).output();
    let output = output.context("cannot run update-rc.d")?;
    // One that has no script for the boot of old is systemd's alone.
    if output.status.success() || !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    let status = Command::new("systemctl").args(["disable", service]).status();
    let status = status.context("cannot run systemctl")?;
    if !status.success() {
        bail!(
            "the service {service} starts with the machine: `systemctl disable {service}` failed ({status})"
        );
    }
    Ok(())
}

/// The policy of no services, as long as this lives.
struct Policy;

impl Policy {
    /// Sets it; nothing if somebody has a policy already, which is a container's, as ours.
    fn set() -> Result<Option<Self>> {
        match fs::read_to_string(POLICY) {
            // Of a set-up that was killed.
            Ok(found) if found == NO_SERVICES => return Ok(Some(Self)),
            Ok(_) => return Ok(None),
            Err(_) => {}
        }
        let policy = Self;
        fs::write(POLICY, NO_SERVICES).with_context(|| POLICY.to_owned())?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).with_context(|| POLICY.to_owned())?;
        Ok(Some(policy))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        // What is left is found by the next set-up.
        drop(fs::remove_file(POLICY));
    }
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
