//! Workloads' network namespaces. A thread that enters one is thrown away afterwards, so that no other work can
//! find itself in the wrong place.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::{fs, io, thread};

use nix::sched::{CloneFlags, setns};

use crate::error::chain;
use crate::netlink::Netlink;

/// The calling thread's own namespace.
const OWN: &str = "/proc/thread-self/ns/net";

/// Why a namespace cannot be worked in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetnsError {
    #[error("network namespace {0} does not exist: create it, or detach the port")]
    Missing(String),
    #[error("{0} is not a network namespace: {1}")]
    NotOne(String, String),
    #[error("{0} is the host's own network namespace: a port belongs to a workload in one of its own")]
    Own(String),
    #[error("network namespace {0}: {1}")]
    Netlink(String, String),
}

/// An open namespace and a socket into it.
pub(crate) struct Netns {
    pub(crate) file: File,
    pub(crate) netlink: Netlink,
}

impl Netns {
    /// Opens the namespace at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, NetnsError> {
        let name = || path.display().to_string();
        let not_one = |error: io::Error| NetnsError::NotOne(name(), error.to_string());
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let file = File::open(path)
            .map_err(|error| if missing(&error) { NetnsError::Missing(name()) } else { not_one(error) })?;
        if is_own(&file).map_err(not_one)? {
            return Err(NetnsError::Own(name()));
        }
        let entered = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|errno| not_one(errno.into()))?;
                Netlink::open().map_err(|error| NetnsError::Netlink(name(), chain(&error)))
            });
            inside.join()
        });
        let netlink =
            entered.unwrap_or_else(|_| Err(NetnsError::Netlink(name(), "its thread panicked".to_owned())))?;
        Ok(Self { file, netlink })
    }
}

fn is_own(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (theirs, ours) = (file.metadata()?, fs::metadata(OWN)?);
    Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
}
