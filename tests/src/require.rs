//! What the machine must have, and what to say if it has not.

use std::path::Path;

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::unistd::Uid;

/// Says why a test is skipped.
///
/// # Panics
/// Where `CI` is set: a test that is skipped there would be missed by nobody.
#[expect(clippy::print_stderr, reason = "cargo test has no other way to tell why a test was skipped")]
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot run in CI, because {reason}");
    eprintln!("skipped, because {reason}");
}

/// Why no lab can be set up here, if so.
pub(crate) fn missing() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("network namespaces and BPF need root: run it with sudo".to_owned());
    }
    let bpffs = Path::new("/sys/fs/bpf");
    match statfs(bpffs) {
        Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => {}
        Ok(_) | Err(_) => {
            return Some("no bpffs at /sys/fs/bpf: run `cargo xtask setup`, or mount one there".to_owned());
        }
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux): one that is built with CONFIG_DEBUG_INFO_BTF is needed".to_owned(),
        );
    }
    None
}
