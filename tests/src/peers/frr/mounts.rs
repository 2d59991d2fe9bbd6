//! A mount namespace for FRR's daemons, which write below `/run/frr` and `/var/tmp/frr` and, with network namespaces as
//! VRFs, take every namespace under `/run/netns` for one of theirs.
//!
//! There `/run` and `/var/tmp` are folders of the lab, and `/run/netns` has the VRFs only. It goes with the last process
//! in it.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::{Namespace, cleanup};

/// The namespace, to start daemons in.
#[derive(Debug)]
pub(super) struct Mounts {
    namespace: File,
    /// Our root in it, which need not be the namespace's own: we may run in a chroot.
    root: File,
}

impl Mounts {
    /// Makes one, with its files below `folder`, and with these namespaces under the names that FRR knows them by.
    pub(super) fn new(folder: &Path, vrfs: &[(&str, &Namespace)]) -> Result<Self> {
        let (run, temporary) = (folder.join("run"), folder.join("tmp"));
        for folder in [&run.join("frr"), &run.join("netns"), &temporary] {
            fs::create_dir_all(folder)?;
        }
        for (name, _) in vrfs {
            File::create(run.join("netns").join(name))?;
        }
        let _making = cleanup::making();
        let make = || -> Result<Self> {
            unshare(CloneFlags::CLONE_NEWNS).context("a new mount namespace")?;
            // What others unmount goes here too, so that no network namespace of theirs is held; ours stays here.
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
            for (name, namespace) in vrfs {
                bind(namespace.path(), &run.join("netns").join(name))?;
            }
            bind(&temporary, Path::new("/var/tmp"))?;
            bind(&run, Path::new("/run"))?;
            let namespace = File::open("/proc/thread-self/ns/mnt").context("the new mount namespace")?;
            Ok(Self { namespace, root: File::open("/").context("the root in it")? })
        };
        let made = std::thread::scope(|scope| scope.spawn(make).join());
        let made = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        made.with_context(|| format!("mounts for {}", folder.display()))
    }

    /// Has a command start in it.
    pub(super) fn enter(&self, command: &mut Command) -> Result<()> {
        let (namespace, root) = (self.namespace.try_clone()?, self.root.try_clone()?);
        let enter = move || {
            // SAFETY: system calls without memory arguments, but for a constant path: safe between fork and exec.
            Errno::result(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) })?;
            // setns has moved the root to the namespace's.
            // SAFETY: as above.
            Errno::result(unsafe { libc::fchdir(root.as_raw_fd()) })?;
            // SAFETY: as above.
            Errno::result(unsafe { libc::chroot(c".".as_ptr()) })?;
            Ok(())
        };
        // SAFETY: the closure makes system calls only; it takes no lock and allocates nothing.
        unsafe { command.pre_exec(enter) };
        Ok(())
    }
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let recursive = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, recursive, None::<&str>)
        .with_context(|| format!("mounting {} on {}", from.display(), to.display()))
}
