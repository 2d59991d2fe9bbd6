//! Whether a path is a network namespace that a port can be attached to.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `NS_GET_NSTYPE` of `linux/nsfs.h`: which kind of namespace a file is.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// Why a port cannot be attached there.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// Nothing is there.
    #[error("network namespace {} does not exist; create it, as by `ip netns add`, or name another", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("network namespace {}: {cause}; name one that weftd may open", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// It is something else.
    #[error(
        "{} is not a network namespace; name one, such as /run/netns/NAME or /proc/PID/ns/net",
        path.display()
    )]
    NotANamespace {
        /// The path.
        path: PathBuf,
    },
    /// It is where weftd runs.
    #[error("{} is the namespace that weftd itself runs in; a port belongs to a workload", path.display())]
    OurOwn {
        /// The path.
        path: PathBuf,
    },
}

/// Checks that `path` is a network namespace, and not weftd's own.
///
/// # Errors
/// [`NetnsError`] with the path.
pub fn check(path: &Path) -> Result<(), NetnsError> {
    let own = File::open("/proc/self/ns/net").and_then(|file| file.metadata());
    let failed = |cause: io::Error| {
        let path = path.to_owned();
        if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            NetnsError::Missing { path }
        } else {
            NetnsError::Unreadable { path, cause }
        }
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // Opening a FIFO or a device could wait or act; a namespace is a regular file.
    if !metadata.is_file() || !is_network_namespace(&File::open(path).map_err(failed)?) {
        return Err(NetnsError::NotANamespace { path: path.to_owned() });
    }
    match own {
        Ok(own) if (own.dev(), own.ino()) == (metadata.dev(), metadata.ino()) => {
            Err(NetnsError::OurOwn { path: path.to_owned() })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_network_namespace(file: &File) -> bool {
    // SAFETY: the descriptor is open while `file` lives, and this request takes no argument. A file that is no
    // namespace answers with an error.
    unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) == libc::CLONE_NEWNET }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_for_a_port() {
        let table = [
            ("/nonexistent/netns", "does not exist; create it"),
            ("/proc/self/ns/uts", "is not a network namespace"),
            ("/proc/self/exe", "is not a network namespace"),
            ("/dev/null", "is not a network namespace"),
            ("/", "is not a network namespace"),
            ("/proc/self/ns/net", "is the namespace that weftd itself runs in"),
        ];
        for (path, expected) in table {
            let error = check(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(path) && error.contains(expected), "{error}");
        }
    }
}
