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
pub(super) struct Mounts(File);

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
        let make = || -> Result<File> {
            unshare(CloneFlags::CLONE_NEWNS).context("a new mount namespace")?;
            // What others unmount goes here too, so that no network namespace of theirs is held; ours stays here.
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
            for (name, namespace) in vrfs {
                bind(namespace.path(), &run.join("netns").join(name))?;
            }
            bind(&temporary, Path::new("/var/tmp"))?;
            bind(&run, Path::new("/run"))?;
            File::open("/proc/thread-self/ns/mnt").context("the new mount namespace")
        };
        let made = std::thread::scope(|scope| scope.spawn(make).join());
        let made = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Self(made.with_context(|| format!("mounts for {}", folder.display()))?))
    }

    /// Has a command start in it.
    pub(super) fn enter(&self, command: &mut Command) -> Result<()> {
        let file = self.0.try_clone()?;
        let enter = move || {
            // SAFETY: setns is a system call without memory arguments: safe between fork and exec.
            Errno::result(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNS) })?;
            Ok(())
        };
        // SAFETY: the closure makes a system call only; it takes no lock and allocates nothing.
        unsafe { command.pre_exec(enter) };
        Ok(())
    }
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let recursive = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, recursive, None::<&str>)
        .with_context(|| format!("mounting {} on {}", from.display(), to.display()))
}
