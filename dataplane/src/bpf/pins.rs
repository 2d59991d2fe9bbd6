//! The pin folder: a folder of weft's own on a bpffs, with `maps/NAME`, `links/PROGRAM-IFINDEX` and `owner/STORE`.
//!
//! One weftd at a time manages it: a lock (flock) on the folder itself, which needs no other file, holds across
//! network and mount namespaces, and ends with the process.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use weft_dataplane_abi::maps;

use super::links::{self, Attachment};
use super::{owner, strangers};
use crate::error::OpenError;
use crate::{Owner, names};

/// An existing pin folder, locked.
#[derive(Debug)]
pub(crate) struct PinFolder {
    root: PathBuf,
    lock: File,
}

impl Drop for PinFolder {
    /// Closing would do, but for a process that is just being started from this one: until it executes its
    /// program, it holds a copy of every descriptor.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl PinFolder {
    /// Creates what is missing of the folder and locks it.
    pub(crate) fn create(root: &Path) -> Result<Self, OpenError> {
        require_bpffs(root)?;
        loop {
            for folder in [root.to_owned(), root.join(names::MAPS), root.join(names::LINKS)] {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&folder)
                    .map_err(|source| OpenError::Folder { path: folder, source })?;
            }
            if let Some(folder) = Self::lock(root)? {
                return Ok(folder);
            }
        }
    }

    /// Locks the folder. `None` if it does not exist.
    pub(crate) fn lock(root: &Path) -> Result<Option<Self>, OpenError> {
        let failed = |source| OpenError::Folder { path: root.to_owned(), source };
        let lock = match File::open(root) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: root.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // A teardown may have removed the folder between our opening and our locking it.
        let locked = lock.metadata().map_err(failed)?.ino();
        let is_same = fs::metadata(root).is_ok_and(|now| now.ino() == locked);
        Ok(is_same.then(|| Self { root: root.to_owned(), lock }))
    }

    /// Removes the folder as far as nothing is in it: for an open that fails.
    pub(crate) fn remove_if_empty(&self) {
        if !self.is_complete() {
            for record in self.owner_records().unwrap_or_default() {
                let _ = fs::remove_dir(record);
            }
        }
        for folder in [self.links(), self.maps(), self.owner(), self.root.clone()] {
            // What is not empty was there before.
            let _ = fs::remove_dir(folder);
        }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the map `name` is pinned.
    pub(crate) fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// Where the maps are pinned.
    pub(crate) fn maps(&self) -> PathBuf {
        self.root.join(names::MAPS)
    }

    /// Where the links are pinned.
    pub(crate) fn links(&self) -> PathBuf {
        self.root.join(names::LINKS)
    }

    /// Where maps that take the place of others are pinned, until they do.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join(names::RESIZED)
    }

    /// Where the owner is recorded.
    pub(crate) fn owner(&self) -> PathBuf {
        self.root.join(names::OWNER)
    }

    /// The record of the owner, if there is one.
    pub(crate) fn owner_records(&self) -> io::Result<Vec<PathBuf>> {
        owner::records(&self.owner())
    }

    /// Refuses an owner that the maps do not follow, unless it takes over. Maps that are not complete follow nobody.
    pub(super) fn check_owner(&self, owner: &Owner) -> Result<(), OpenError> {
        if !names::is_store(&owner.store) {
            return Err(OpenError::NoStore { store: owner.store.clone() });
        }
        if self.is_complete() { owner::check(&self.owner(), owner) } else { Ok(()) }
    }

    /// Makes `owner` the one that the maps follow.
    pub(super) fn record_owner(&self, owner: &Owner) -> Result<(), OpenError> {
        owner::record(&self.owner(), &owner.store)
    }

    /// Whether all maps are pinned: their ABI is the last.
    pub(super) fn is_complete(&self) -> bool {
        self.map(maps::ABI).exists()
    }

    /// Where the link of `program` on the device `ifindex` is pinned.
    pub(crate) fn link(&self, program: &str, ifindex: u32) -> PathBuf {
        self.links().join(names::link_pin(program, ifindex))
    }

    /// The pinned links.
    pub(crate) fn attachments(&self) -> io::Result<Vec<Attachment>> {
        match links::pinned(&self.links()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Refuses a device that carries programs of weft's from another pin folder.
    pub(crate) fn require_no_stranger_on(&self, device: &str) -> Result<(), OpenError> {
        let device = || device.to_owned();
        match strangers::stranger(&device(), &self.links()) {
            Ok(None) => Ok(()),
            Ok(Some(program)) => {
                Err(OpenError::OtherFolder { path: self.root.clone(), program, device: device() })
            }
            Err(cause) => Err(OpenError::Programs { device: device(), cause }),
        }
    }
}

/// Refuses a folder that no pin can be in.
fn require_bpffs(root: &Path) -> Result<(), OpenError> {
    let existing = root.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let failed = |errno: nix::Error| OpenError::Folder { path: existing.to_owned(), source: errno.into() };
    if statfs(existing).map_err(failed)?.filesystem_type() == BPF_FS_MAGIC {
        Ok(())
    } else {
        Err(OpenError::NotBpffs { path: root.to_owned() })
    }
}

/// Pins that were just made, removed again unless [`Fresh::keep`] is called.
#[derive(Debug, Default)]
pub(super) struct Fresh(Vec<PathBuf>);

impl Fresh {
    pub(super) fn made(&mut self, path: PathBuf) {
        self.0.push(path);
    }

    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        for path in self.0.drain(..).rev() {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "could not remove a pin just made");
            }
        }
    }
}
