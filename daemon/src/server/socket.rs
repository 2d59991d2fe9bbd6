//! The unix socket that the API listens on.
//!
//! Its mode is 0660 and its group the first of `api.allow_gids`, so that the file system keeps strangers out too. Where
//! the config file names users, or several groups, no mode can say that: it is then 0666, and the peer's credentials
//! alone decide.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::config::Api;

/// Why the socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone answers there.
    #[error("socket {}: another weftd answers on it; stop that one, or set api.socket to another path", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("{}: there is a file that is no socket; move it away, or set api.socket to another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("socket {}: {cause}; weftd must be able to write its folder (api.socket)", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// Whether someone answers on a socket.
#[must_use]
pub fn answers(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

/// Removes a socket that nobody answers on. Whether there was one; a file that is no socket stays.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_stale(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path).map(|()| true),
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Listens on the config file's socket; replaces one that nobody answers on.
///
/// # Errors
/// [`SocketError`]
pub fn bind(config: &Api) -> Result<UnixListener, SocketError> {
    let path = config.socket.as_path();
    check_free(path)?;
    prepare(config).map_err(|cause| SocketError::Io { path: path.to_owned(), cause })
}

fn check_free(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(SocketError::NotASocket { path: path.to_owned() })
        }
        Ok(_) if answers(path) => Err(SocketError::InUse { path: path.to_owned() }),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes the socket beside its place and moves it there once its mode is right: nobody ever sees it half made.
fn prepare(config: &Api) -> io::Result<UnixListener> {
    let path = config.socket.as_path();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&beside)?;
    let mode = match (config.allow_uids.as_slice(), config.allow_gids.as_slice()) {
        ([], []) => 0o660,
        ([], [gid]) => {
            std::os::unix::fs::chown(&beside, None, Some(*gid))?;
            0o660
        }
        _ => 0o666,
    };
    std::fs::set_permissions(&beside, Permissions::from_mode(mode))?;
    std::fs::rename(&beside, path)?;
    Ok(listener)
}
