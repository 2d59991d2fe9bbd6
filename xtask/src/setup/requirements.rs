//! What can be installed, as data: name, reason, who needs it, how to see that it is there, how to get it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::Purpose;
use crate::bpf_toolchain::{LLVM_MAJOR, Toolchain, linker, tools};
use crate::step::{cargo, run, step};

/// Version of the linker; the one that the programs were tested with.
const LINKER_VERSION: &str = "0.13.0";
/// Version of cargo-deny.
const DENY_VERSION: &str = "0.20.2";
/// Where bpffs belongs.
const BPFFS: &str = "/sys/fs/bpf";

/// All of them, in the order in which they are installed.
pub(crate) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        name: "a Rust compiler for the kernel",
        why: "rustup's stable has no core for the eBPF target; these live in /usr/bin and leave rustup's alone",
        purpose: Purpose::Build,
        present: || Toolchain::find().is_some(),
        install: Install::Packages(&["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"]),
        by_hand: "a Debian 12 with its security updates has them; elsewhere use a rustup nightly with rust-src",
    },
    Requirement {
        name: "LLVM 22 with its headers",
        why: "the eBPF linker is built on it",
        purpose: Purpose::Build,
        present: || linker_works() || llvm_is_there(),
        install: Install::Packages(&["llvm-22-dev", "libzstd-dev"]),
        by_hand: "set LLVM_PREFIX to where it is, if not in /usr/lib/llvm-22",
    },
    Requirement {
        name: "ip and ping",
        why: "the commands to try by hand, of the README and of a demo that is kept, are made of them",
        purpose: Purpose::Run,
        present: || is_on_path("ip") && is_on_path("ping"),
        install: Install::Packages(&["iproute2", "iputils-ping"]),
        by_hand: "install iproute2 and iputils-ping, so that ip and ping are on the PATH",
    },
    Requirement {
        name: "bpf-linker",
        why: "makes one eBPF object with BTF from what the compiler emits; into target/tools, not into your ~/.cargo",
        purpose: Purpose::Build,
        present: linker_works,
        install: Install::Crate {
            name: "bpf-linker",
            version: LINKER_VERSION,
            // The default is an LLVM that Debian does not have yet.
            options: &["--no-default-features", "--features", "llvm-22"],
        },
        by_hand: "remove target/tools and ~/.cache/weft, and try again",
    },
    Requirement {
        name: "bpffs at /sys/fs/bpf",
        why: "weft's programs and maps are pinned there, so that they outlive the daemon",
        purpose: Purpose::Run,
        present: || statfs(BPFFS).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC),
        install: Install::Bpffs,
        by_hand: "mount -t bpf bpf /sys/fs/bpf",
    },
    Requirement {
        name: "FRR, GoBGP, ExaBGP and BIRD",
        why: "the BGP speakers that weft is tested with; the tests start them, and nothing else does",
        purpose: Purpose::Test,
        present: || {
            let daemons = ["gobgpd", "gobgp", "exabgp", "bird", "birdcl", "vtysh"];
            let frr = ["/usr/lib/frr", "/usr/libexec/frr"].map(|folder| Path::new(folder).join("bgpd"));
            daemons.iter().all(|daemon| is_on_path(daemon) || Path::new("/usr/sbin").join(daemon).is_file())
                && frr.iter().any(|bgpd| bgpd.is_file())
        },
        install: Install::Services {
            packages: &["frr", "gobgpd", "exabgp", "bird2"],
            units: &["frr", "gobgpd", "exabgp", "bird"],
        },
        by_hand: "install frr, gobgp, exabgp and bird 2, with FRR's daemons in /usr/lib/frr",
    },
    Requirement {
        name: "tshark",
        why: "reads the BGP messages that weft writes, and says what is wrong with them",
        purpose: Purpose::Test,
        present: || runs("tshark"),
        // Its package asks who may capture packets; nobody need, for a file is read.
        install: Install::Packages(&["tshark"]),
        by_hand: "install Wireshark's tshark, 4.0 or later, so that it is on the PATH",
    },
    Requirement {
        name: "nft",
        why: "a firewall that weft is measured beside",
        purpose: Purpose::Bench,
        present: || runs("nft"),
        install: Install::Packages(&["nftables"]),
        by_hand: "install nftables, so that nft is on the PATH",
    },
    Requirement {
        name: "QEMU, busybox, binutils and xz",
        why: "tests run on older kernels in a machine of their own: QEMU is the machine, the others make its image",
        purpose: Purpose::Vm,
        present: || {
            let programs = ["qemu-system-x86_64", "strip", "xz"].map(|name| Path::new("/usr/bin").join(name));
            programs.iter().all(|program| program.exists()) && Path::new("/bin/busybox").exists()
        },
        install: Install::Packages(&["qemu-system-x86", "busybox-static", "binutils", "xz-utils"]),
        by_hand: "they belong in /usr/bin, and busybox, linked statically, in /bin",
    },
    Requirement {
        name: "clippy for the kernel's compiler",
        why: "lints the eBPF programs; rustup's cannot, for want of their core",
        purpose: Purpose::Ci,
        present: || Toolchain::find().is_some_and(|toolchain| toolchain.has("cargo-clippy")),
        install: Install::Packages(&["rust-web-clippy"]),
        by_hand: "where a rustup nightly builds the programs: rustup component add clippy --toolchain nightly",
    },
    Requirement {
        name: "cargo-deny",
        why: "checks licences and sources of dependencies; into target/tools",
        purpose: Purpose::Ci,
        present: || says(&tools(crate::workspace()).join("bin/cargo-deny"), DENY_VERSION),
        // It runs for two seconds either way, and is built in half the time without optimisation.
        install: Install::Crate { name: "cargo-deny", version: DENY_VERSION, options: &["--debug"] },
        by_hand: "remove target/tools and ~/.cache/weft, and try again",
    },
];

/// One thing that weft needs on a machine.
#[derive(Debug)]
pub(crate) struct Requirement {
    /// What it is.
    pub(crate) name: &'static str,
    /// What weft needs it for.
    pub(crate) why: &'static str,
    /// Who needs it.
    pub(crate) purpose: Purpose,
    /// Whether it is there and works.
    present: fn() -> bool,
    /// How to get it.
    pub(crate) install: Install,
    /// What to do if that does not help.
    pub(crate) by_hand: &'static str,
}

/// How something is installed.
#[derive(Debug)]
pub(crate) enum Install {
    /// With Debian's packages.
    Packages(&'static [&'static str]),
    /// With Debian's packages, which bring services that must neither start now nor with the machine.
    Services {
        /// The packages.
        packages: &'static [&'static str],
        /// Their services.
        units: &'static [&'static str],
    },
    /// From the crates registry into the project's own folder.
    Crate {
        /// Its name, and its binary's.
        name: &'static str,
        /// Its version.
        version: &'static str,
        /// More words for `cargo install`.
        options: &'static [&'static str],
    },
    /// By mounting it.
    Bpffs,
}

impl PartialEq for Requirement {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Requirement {
    pub(crate) fn is_present(&self) -> bool {
        (self.present)()
    }

    /// The packages that it is made of; none if it is something else.
    pub(crate) fn packages(&self) -> &'static [&'static str] {
        match self.install {
            Install::Packages(packages) | Install::Services { packages, .. } => packages,
            Install::Crate { .. } | Install::Bpffs => &[],
        }
    }

    pub(crate) fn needs_root(&self) -> bool {
        match self.install {
            Install::Packages(_) | Install::Services { .. } | Install::Bpffs => true,
            Install::Crate { .. } => false,
        }
    }

    /// A line that says whether it is there, and if not, what it is for.
    pub(crate) fn report(&self, present: bool) -> impl fmt::Display {
        if present {
            format!("have     {}", self.name)
        } else {
            format!("missing  {}: {}", self.name, self.why)
        }
    }

    /// What is going to be installed, and why.
    pub(crate) fn announcement(&self) -> String {
        let what = match self.install {
            Install::Packages(packages) | Install::Services { packages, .. } => {
                format!("Debian's {}", packages.join(", "))
            }
            Install::Crate { name, version, .. } => format!("the crate {name} {version}"),
            Install::Bpffs => "the mount".to_owned(),
        };
        format!("missing  {}: {}. Installing {what}.", self.name, self.why)
    }

    /// Services that come with its packages and are not wanted.
    pub(crate) fn services(&self) -> &'static [&'static str] {
        match self.install {
            Install::Services { units, .. } => units,
            Install::Packages(_) | Install::Crate { .. } | Install::Bpffs => &[],
        }
    }

    /// Installs it, packages excepted, which are installed together.
    pub(crate) fn install(&self) -> Result<()> {
        match self.install {
            Install::Packages(_) | Install::Services { .. } => Ok(()),
            Install::Crate { name, version, options } => {
                step(&format!("cargo install {name} {version}"), || install_crate(name, version, options))
            }
            Install::Bpffs => step("mount -t bpf bpf /sys/fs/bpf", || {
                fs::create_dir_all(BPFFS).context(BPFFS)?;
                mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), None::<&str>).context(BPFFS)
            }),
        }
    }
}

/// Installs a crate's binary into the project's own folder. It takes minutes to build, so it is kept for the user's other
/// checkouts, and what one of them has kept is taken.
fn install_crate(name: &str, version: &str, options: &[&str]) -> Result<()> {
    let tools = tools(crate::workspace());
    let (binary, kept) = (tools.join("bin").join(name), kept(name, version));
    if let Some(kept) = kept.as_ref().filter(|kept| says(kept, version)) {
        return copy(kept, &binary);
    }
    build_crate(name, version, options, &tools)?;
    // Without a cache it is built again by the next.
    kept.map_or(Ok(()), |kept| copy(&binary, &kept).or(Ok(())))
}

/// Where a built binary is kept: in the user's cache.
fn kept(name: &str, version: &str) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    Some(cache.join("weft/tools").join(format!("{name}-{version}")))
}

/// Copies a file into a folder that need not be there. Who looks meanwhile finds nothing or all of it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("the folder of a file")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let part = to.with_extension(format!("{}.part", std::process::id()));
    fs::copy(from, &part).with_context(|| part.display().to_string())?;
    fs::rename(&part, to).with_context(|| to.display().to_string())
}

fn build_crate(name: &str, version: &str, options: &[&str], tools: &Path) -> Result<()> {
    let mut path = vec![tools.join("bin"), llvm().join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    run(cargo("install")
        .args([name, "--version", version, "--locked", "--force", "--root"])
        .arg(tools)
        .args(options)
        .env("PATH", env::join_paths(path).context("PATH")?)
        .env("LLVM_PREFIX", llvm()))
}

/// Where the linker's LLVM is.
fn llvm() -> PathBuf {
    env::var_os("LLVM_PREFIX")
        .map_or_else(|| PathBuf::from(format!("/usr/lib/llvm-{LLVM_MAJOR}")), PathBuf::from)
}

fn llvm_is_there() -> bool {
    let headers = ["/usr/include/zstd.h", "/usr/local/include/zstd.h"];
    says(&llvm().join("bin/llvm-config"), &format!("{LLVM_MAJOR}."))
        && llvm().join("include/llvm-c/Core.h").exists()
        && headers.iter().any(|header| Path::new(header).exists())
}

fn linker_works() -> bool {
    says(&linker(crate::workspace()), LINKER_VERSION)
}

/// Whether a program is on the PATH and runs.
fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success())
}

/// Whether there is such a program, for those that do not know `--version`.
fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether a program runs and names this version, or one that begins so.
fn says(program: &Path, version: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|said| names(&String::from_utf8_lossy(&said.stdout), version))
}

/// Whether what a program says of itself names a version, or one that begins so.
fn names(said: &str, version: &str) -> bool {
    said.split_whitespace().last().is_some_and(|said| said.starts_with(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_says_why_and_what_else_to_do() {
        for requirement in REQUIREMENTS {
            assert!(!requirement.why.is_empty() && !requirement.by_hand.is_empty(), "{}", requirement.name);
            let shown = requirement.report(false).to_string();
            assert!(shown.contains(requirement.name) && shown.contains(requirement.why), "{shown}");
            assert!(!requirement.report(true).to_string().contains("missing"));
        }
    }

    #[test]
    fn texts_name_the_llvm_that_is_used() {
        let llvm = LLVM_MAJOR.to_string();
        let named =
            REQUIREMENTS.iter().flat_map(Requirement::packages).any(|package| package.contains(&llvm));
        assert!(named);
    }

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert!(names("bpf-linker 0.13.0\n", "0.13.0"));
        assert!(names("22.1.8", "22."));
        assert!(!names("bpf-linker 0.12.0", "0.13.0"));
        assert!(!names("", "22."));
    }
}
