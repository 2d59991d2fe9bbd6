//! `cargo xtask setup`: brings a machine that has rustup's stable to where weft builds and runs, and says what is
//! missing where it cannot. Doing it again does nothing.
//!
//! `conditions` is what a machine has or has not; `requirements` is what can be installed.

pub(crate) mod apt;
mod conditions;
mod kernel;
mod requirements;

use std::fs::{self, File};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;

use crate::bpf_toolchain::{LLVM_MAJOR, Toolchain};
use conditions::{Condition, Outcome};
use requirements::{REQUIREMENTS, Requirement};

/// What a machine is set up for; the later ones include the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building.
    Build,
    /// Running, and all tests but those with others.
    Run,
    /// Testing with others.
    Test,
    /// Measuring beside others.
    Bench,
    /// Running tests on other kernels.
    Vm,
    /// Checking what lands.
    Ci,
}

/// Says what is there and what is missing, and changes nothing.
pub(crate) fn check() -> Result<ExitCode> {
    let conditions = conditions::observe();
    let missing = missing(Purpose::Run);
    for condition in &conditions {
        println!("{condition}");
    }
    for requirement in needed(Purpose::Run) {
        println!("{}", requirement.report(!missing.contains(&requirement)));
    }
    let apt = apt_complaint(&missing);
    if let Some(complaint) = &apt {
        println!("missing  {complaint}");
    }
    println!("{}", compiler());

    let met = conditions.iter().all(|condition| condition.outcome == Outcome::Met);
    if met && missing.is_empty() {
        println!("This machine is set up for weft.");
        return Ok(ExitCode::SUCCESS);
    }
    if !missing.is_empty() && apt.is_none() {
        println!("`cargo xtask setup` installs what is missing.");
    }
    Ok(ExitCode::FAILURE)
}

/// Sets the machine up, and says what was there already.
pub(crate) fn setup() -> Result<ExitCode> {
    let missing = missing(Purpose::Run);
    for requirement in needed(Purpose::Run).filter(|requirement| !missing.contains(requirement)) {
        println!("{}", requirement.report(true));
    }
    ensure(Purpose::Run)?;
    println!("{}", compiler());
    println!("This machine is set up for weft.");
    Ok(ExitCode::SUCCESS)
}

/// Sets the machine up for a purpose, and says nothing where nothing is missing.
///
/// # Errors
/// What is missing that cannot be installed, all of it, before anything is installed.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    let missing = missing(purpose);
    let mut unmet = Vec::new();
    if purpose >= Purpose::Run {
        unmet.extend(conditions::observe().iter().filter_map(Condition::complaint));
    } else if missing.iter().any(|requirement| requirement.needs_root()) && !geteuid().is_root() {
        unmet.push(conditions::ROOT.to_owned());
    }
    unmet.extend(apt_complaint(&missing));
    if !unmet.is_empty() {
        bail!("this machine lacks what weft needs:\n  - {}", unmet.join("\n  - "));
    }
    if missing.is_empty() {
        return Ok(());
    }

    let _alone = lock()?;
    // Another set-up may have installed it meanwhile.
    let missing: Vec<_> = missing.into_iter().filter(|requirement| !requirement.is_present()).collect();
    for requirement in &missing {
        println!("{}", requirement.announcement());
    }
    let services: Vec<_> = missing.iter().flat_map(|requirement| requirement.services()).copied().collect();
    apt::install(&packages(&missing), &services)?;
    // In order: a tool is built with the packages that were just installed.
    for requirement in missing {
        requirement.install().with_context(|| format!("{} not installed", requirement.name))?;
        if !requirement.is_present() {
            bail!("{} was installed, but does not work: {}", requirement.name, requirement.by_hand);
        }
    }
    Ok(())
}

/// What to say where packages are missing and there is no Debian to get them from.
fn apt_complaint(missing: &[&Requirement]) -> Option<String> {
    let packages = packages(missing);
    (!packages.is_empty() && !apt::is_there()).then(|| {
        format!(
            "apt-get: this is no Debian, so install by hand what Debian calls {}; or, in place of its Rust packages, \
             rustup's nightly by `rustup toolchain install nightly --component rust-src`; and set LLVM_PREFIX to \
             where LLVM {LLVM_MAJOR} is",
            packages.join(", ")
        )
    })
}

/// The packages of all of them.
fn packages(requirements: &[&Requirement]) -> Vec<&'static str> {
    requirements.iter().flat_map(|requirement| requirement.packages()).copied().collect()
}

/// Lets one set-up at a time work on this folder, until dropped.
fn lock() -> Result<File> {
    let folder = crate::bpf_toolchain::tools(crate::workspace());
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let path = folder.join("setup.lock");
    let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    file.lock().with_context(|| format!("{}", path.display()))?;
    Ok(file)
}

fn needed(purpose: Purpose) -> impl Iterator<Item = &'static Requirement> {
    REQUIREMENTS.iter().filter(move |requirement| requirement.purpose <= purpose)
}

fn missing(purpose: Purpose) -> Vec<&'static Requirement> {
    needed(purpose).filter(|requirement| !requirement.is_present()).collect()
}

/// Which compiler builds the eBPF programs, and why not the other.
fn compiler() -> String {
    match Toolchain::nightly() {
        Ok(nightly) => {
            format!("The eBPF programs are built by {} with its rust-src.", nightly.rustc().display())
        }
        Err(reason) => format!("The eBPF programs are built by Debian's rustc, because {reason}."),
    }
}

#[cfg(test)]
mod tests {
    use super::requirements::Install;
    use super::*;

    #[test]
    fn a_purpose_includes_the_earlier_ones() {
        let names = |purpose| needed(purpose).map(|requirement| requirement.name).collect::<Vec<_>>();
        let (build, run, ci) = (names(Purpose::Build), names(Purpose::Run), names(Purpose::Ci));
        assert!(build.iter().all(|name| run.contains(name)));
        assert!(run.iter().all(|name| ci.contains(name)));
        assert!(build.len() < run.len() && run.len() < ci.len());
    }

    #[test]
    fn packages_come_before_the_tools_that_need_them() {
        let order = |requirement: &&Requirement| match requirement.install {
            Install::Packages(_) | Install::Services { .. } => 0,
            Install::Crate { .. } | Install::Bpffs => 1,
        };
        assert!(needed(Purpose::Run).collect::<Vec<_>>().is_sorted_by_key(order));
    }
}
