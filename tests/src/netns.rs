//! A network namespace with a name in `/run/netns`, and ways to do something inside it.
//!
//! No thread of the caller ever enters a namespace: work runs on a thread of its own, which ends there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::cleanup;
use crate::netlink::Netlink;

/// Where named namespaces live, as `ip netns` has it.
pub(crate) const FOLDER: &str = "/run/netns";

/// A named network namespace. Dropping it lets go of it; its name is removed by the [`Lab`](crate::Lab).
#[derive(Debug)]
pub struct Namespace {
    name: String,
    path: PathBuf,
    file: File,
    netlink: Mutex<Netlink>,
}

impl Namespace {
    /// A new namespace named `name` under `/run/netns`; nothing in it is up.
    pub(crate) fn create(name: &str) -> Result<Self> {
        let path = Path::new(FOLDER).join(name);
        let _making = cleanup::making();
        prepare_folder().with_context(|| format!("preparing {FOLDER}"))?;
        File::create_new(&path).with_context(|| format!("creating {}", path.display()))?;
        on_a_thread(|| -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET).context("a new network namespace")?;
            mount(Some("/proc/thread-self/ns/net"), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .with_context(|| format!("giving a network namespace the name {}", path.display()))
        })?;
        Self::open(name, path)
    }

    fn open(name: &str, path: PathBuf) -> Result<Self> {
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        let netlink = enter(&file, Netlink::open)??;
        Ok(Self { name: name.to_owned(), path, file, netlink: Mutex::new(netlink) })
    }

    /// The same namespace once more.
    pub(crate) fn again(&self) -> Result<Self> {
        Self::open(&self.name, self.path.clone())
    }

    /// Its name under `/run/netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, for weft and `nsenter --net=`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The namespace as a file, to enter it with.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn netlink(&self) -> MutexGuard<'_, Netlink> {
        // A panic elsewhere leaves no half-written state here: every request is answered before the lock goes.
        self.netlink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` inside the namespace and waits for it. Sockets made there stay there.
    ///
    /// # Errors
    /// The namespace could not be entered.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R> {
        enter(&self.file, work).with_context(|| format!("entering {}", self.name))
    }

    /// Does `work` on a thread inside the namespace.
    ///
    /// # Errors
    /// No thread, or no file descriptor, is left.
    pub fn spawn<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R> + Send + 'static,
    ) -> Result<JoinHandle<Result<R>>> {
        let file = self.file.try_clone()?;
        let inside = move || {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        // Threads of tests show up in top and in panics by this name.
        Ok(std::thread::Builder::new().name(self.name.clone()).spawn(inside)?)
    }

    /// Sets a variable below `/proc/sys/net`, such as `ipv4/ip_forward`.
    ///
    /// # Errors
    /// The kernel has no such variable or refuses the value.
    pub fn sysctl(&self, variable: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys/net").join(variable);
        self.run(|| fs::write(&path, value))?
            .with_context(|| format!("setting {} to {value} in {}", path.display(), self.name))
    }
}

/// Makes the folder a shared mount point of its own, as `ip netns` does when it first needs it, and under the same
/// lock. Did it do so later, our mounts would lie hidden below its mount and could never be removed.
fn prepare_folder() -> Result<()> {
    fs::create_dir_all(FOLDER)?;
    let folder = File::open(FOLDER)?;
    let _lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let share =
        || mount(None::<&str>, FOLDER, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    if share() == Err(Errno::EINVAL) {
        mount(Some(FOLDER), FOLDER, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        share()?;
    }
    Ok(())
}

/// Does `work` on a thread inside the namespace that `file` is.
fn enter<R: Send>(file: &File, work: impl FnOnce() -> R + Send) -> Result<R> {
    on_a_thread(|| -> Result<R> {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })
}

fn on_a_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
