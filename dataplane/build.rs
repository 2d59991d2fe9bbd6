//! Builds the eBPF programs of `dataplane-ebpf/` for the kernel's target, with a compiler that has it, and tells this
//! crate where the object is: `env!("WEFT_BPF_OBJECT")`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use bpf_toolchain::{HINT, TARGET, Toolchain};

// xtask installs and checks what is used here. It must build before this crate can, so it cannot be asked.
#[expect(dead_code, reason = "xtask uses the rest")]
#[path = "../xtask/src/bpf_toolchain.rs"]
mod bpf_toolchain;

/// The eBPF crate's binary.
const BINARY: &str = "weft-dataplane";

/// What the object is made from.
const SOURCES: [&str; 7] = [
    "dataplane-ebpf/src",
    "dataplane-ebpf/Cargo.toml",
    "dataplane-ebpf/Cargo.lock",
    "dataplane-abi/src",
    "dataplane-abi/Cargo.toml",
    "vxlan/src",
    "vxlan/Cargo.toml",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let workspace = folder("CARGO_MANIFEST_DIR")?.join("..");
    let workspace = workspace.canonicalize().map_err(|error| format!("{}: {error}", workspace.display()))?;
    for source in SOURCES {
        rerun_if_changed(&workspace.join(source));
    }

    let missing = |what: &str| format!("the eBPF programs need {what}: {HINT}");
    let toolchain =
        Toolchain::find().ok_or_else(|| missing(&format!("a rustc that has core for {TARGET}")))?;
    let linker = bpf_toolchain::linker(&workspace);
    if !linker.exists() {
        return Err(missing(&format!("the linker {}", linker.display())));
    }
    rerun_if_changed(&toolchain.rustc());
    rerun_if_changed(&linker);

    let mut cargo = toolchain.cargo(&workspace, "build");
    let status = cargo.status().map_err(|error| format!("{cargo:?}: {error}"))?;
    if !status.success() {
        return Err(format!("the eBPF programs do not build ({status}): see what the compiler says"));
    }

    // A copy, because the original is overwritten when another profile of this crate is built.
    let built = workspace.join("target/bpf").join(TARGET).join("release").join(BINARY);
    let object = folder("OUT_DIR")?.join(BINARY);
    fs::copy(&built, &object)
        .map_err(|error| format!("{} to {}: {error}", built.display(), object.display()))?;
    println!("cargo::rustc-env=WEFT_BPF_OBJECT={}", object.display());
    Ok(())
}

/// A folder that cargo names to build scripts.
fn folder(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| format!("{variable} is not set: run by cargo only"))
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
