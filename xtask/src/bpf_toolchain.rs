//! Which compiler builds the eBPF programs, and with which command. The one place that knows: xtask's set-up and
//! checks use it, and `dataplane/build.rs` includes this file, so it uses nothing but `std`.
//!
//! The kernel's target (`bpfel-unknown-none`) has no `core` in rustup's stable toolchain. Two others have one:
//! a rustup nightly with the component `rust-src` compiles it, Debian's `libstd-rust-web-dev-bpf` brings it ready.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernel's target.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// LLVM of the linker. It reads the bitcode of compilers with this LLVM or an older one. Debian's `rustc-web` has this
/// one, and Debian has its development files.
pub(crate) const LLVM_MAJOR: u32 = 22;

/// Said wherever the tools are missing.
pub(crate) const HINT: &str = "run `cargo xtask setup`";

/// A compiler for the kernel's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// rustup's nightly with `rust-src`, which compiles its own `core`.
    Nightly {
        /// Its folder.
        sysroot: PathBuf,
    },
    /// Debian's `rustc-web` with a ready-made `core`, beside rustup's toolchains in `/usr/bin`.
    Debian,
}

impl Toolchain {
    /// The one to use on this machine, if there is one.
    pub(crate) fn find() -> Option<Self> {
        Self::nightly().ok().or_else(Self::debian)
    }

    /// rustup's nightly.
    ///
    /// # Errors
    /// Why there is none that can be used: it lacks `rust-src`, or the linker could not read what it writes.
    pub(crate) fn nightly() -> Result<Self, String> {
        let sysroot = output(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]))
            .map(PathBuf::from)
            .ok_or("rustup has no nightly")?;
        if !sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
            return Err("rustup's nightly has no rust-src".to_owned());
        }
        match output(Command::new(sysroot.join("bin/rustc")).arg("-vV")).as_deref().and_then(llvm_major) {
            Some(major) if major <= LLVM_MAJOR => Ok(Self::Nightly { sysroot }),
            Some(major) => Err(format!(
                "rustup's nightly has rust-src, but its LLVM {major} is newer than the linker's {LLVM_MAJOR}"
            )),
            None => Err("rustup's nightly does not name its LLVM".to_owned()),
        }
    }

    /// Debian's, if it has `core` for the kernel's target.
    pub(crate) fn debian() -> Option<Self> {
        let ready = Path::new("/usr/bin/cargo").exists()
            && Path::new("/usr/bin/rustc").exists()
            && Path::new("/usr/lib/rustlib").join(TARGET).join("lib").is_dir();
        ready.then_some(Self::Debian)
    }

    /// The compiler itself.
    pub(crate) fn rustc(&self) -> PathBuf {
        self.folder().join("rustc")
    }

    /// Whether it comes with a program, such as `cargo-clippy`.
    pub(crate) fn has(&self, program: &str) -> bool {
        self.folder().join(program).exists()
    }

    /// Where `cargo` and `rustc` are.
    fn folder(&self) -> PathBuf {
        match self {
            Self::Nightly { sysroot } => sysroot.join("bin"),
            Self::Debian => PathBuf::from("/usr/bin"),
        }
    }

    /// `cargo <subcommand>` of the eBPF crate, to be extended and run. `workspace` is the project's root.
    pub(crate) fn cargo(&self, workspace: &Path, subcommand: &str) -> Command {
        let mut path = vec![tools(workspace).join("bin"), self.folder()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));

        let mut cargo = Command::new(self.folder().join("cargo"));
        for (name, _) in env::vars_os().filter(|(name, _)| is_of_outer_cargo(name)) {
            cargo.env_remove(name);
        }
        cargo
            .current_dir(workspace.join("dataplane-ebpf"))
            .env("PATH", env::join_paths(path).unwrap_or_else(|_| OsString::from("/usr/bin:/bin")))
            .env("RUSTC", self.rustc())
            // aya-ebpf asks for unstable features, which a stable compiler grants to those who say so.
            .env("RUSTC_BOOTSTRAP", "1")
            // BTF, which maps and programs are described by, is made from the debug information.
            .env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf")
            .args([subcommand, "--release", "--locked", "--target", TARGET, "--target-dir"])
            .arg(workspace.join("target/bpf"));
        if matches!(self, Self::Nightly { .. }) {
            cargo.args(["-Z", "build-std=core"]);
        }
        cargo
    }
}

/// The project's own tools, as `cargo install --root` lays them.
pub(crate) fn tools(workspace: &Path) -> PathBuf {
    workspace.join("target/tools")
}

/// The linker for the kernel's target.
pub(crate) fn linker(workspace: &Path) -> PathBuf {
    tools(workspace).join("bin/bpf-linker")
}

/// Major version of the LLVM that `rustc -vV` names.
fn llvm_major(version: &str) -> Option<u32> {
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()?.parse().ok()
}

/// Whether a variable steers the cargo that runs us (flags, wrappers such as clippy's, another rustc, its libraries),
/// and would mislead the one that we run. Where crates come from, and how, stays.
fn is_of_outer_cargo(name: &OsStr) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const DROPPED: [&str; 7] =
        ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CLIPPY_", "LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN"];
    let name = name.to_string_lossy();
    let starts = |prefix: &&str| name.starts_with(*prefix);
    DROPPED.iter().any(starts) && !KEPT.iter().any(starts)
}

/// What a command prints, if it is there and succeeds.
fn output(command: &mut Command) -> Option<String> {
    let done = command.output().ok().filter(|done| done.status.success())?;
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_read_from_what_rustc_says() {
        assert_eq!(llvm_major("rustc 1.96.0\nhost: x86_64\nLLVM version: 22.1.8"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\nhost: x86_64"), None);
    }

    #[test]
    fn the_outer_cargos_variables_go_and_the_users_stay() {
        for dropped in ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"] {
            assert!(is_of_outer_cargo(OsStr::new(dropped)), "{dropped}");
        }
        for kept in ["CARGO_HOME", "CARGO_HTTP_CAINFO", "CARGO_REGISTRIES_X_INDEX", "RUST_BACKTRACE", "HOME"]
        {
            assert!(!is_of_outer_cargo(OsStr::new(kept)), "{kept}");
        }
    }
}
