//! The pin folder: a folder of weft's own on a bpffs, with `maps/NAME`, `links/PROGRAM-IFINDEX`,
//! `owner/STORE`, `namespace/COOKIE` and `clsacts/IFINDEX`.
//!
//! One weftd at a time manages it: a lock (flock) on the folder itself, which needs no other file, holds across
//! network and mount namespaces, and ends with the process.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use weft_dataplane_abi::{maps, programs};

use super::links::{self, Attachment};
use super::{clsact, mark, strangers, sys};
use crate::error::OpenError;
use crate::patience::look_until;
use crate::{Hook, Owner, names};

/// How long the kernel may take to forget a program that nothing uses any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// An existing pin folder, locked.
#[derive(Debug)]
pub(crate) struct PinFolder {
    root: PathBuf,
    lock: File,
    /// Whether programs may be attached by filters too, which are looked for on all devices.
    filters: bool,
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
        Ok(is_same.then(|| Self { root: root.to_owned(), lock, filters: true }))
    }

    /// Removes the folder as far as nothing is in it: for an open that fails.
    pub(crate) fn remove_if_empty(&self) {
        if !self.is_complete() {
            for mark in self.marks() {
                let _ = fs::remove_dir(mark);
            }
        }
        for folder in [self.links(), self.maps(), self.owner(), self.namespace(), self.root.clone()] {
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

    /// Where the devices are marked whose clsact we made.
    pub(crate) fn clsacts(&self) -> PathBuf {
        self.root.join(names::CLSACTS)
    }

    /// Where the owner is marked.
    pub(crate) fn owner(&self) -> PathBuf {
        self.root.join(names::OWNER)
    }

    /// Where the network namespace is marked.
    pub(crate) fn namespace(&self) -> PathBuf {
        self.root.join(names::NAMESPACE)
    }

    /// The marks that there are.
    pub(crate) fn marks(&self) -> impl Iterator<Item = PathBuf> {
        [self.owner(), self.namespace()].into_iter().filter_map(|kind| mark::path(&kind))
    }

    /// Refuses another network namespace than the one that the links are in: their devices are not to be found there,
    /// and the links would be taken for leftovers. Links whose devices have gone are in none.
    pub(crate) fn check_namespace(&self, cookie: &str) -> Result<(), OpenError> {
        let failed = |source| OpenError::Folder { path: self.root.clone(), source };
        match mark::read(&self.namespace()).map_err(failed)? {
            Some(other) if other != cookie && self.is_attached_anywhere().map_err(failed)? => {
                Err(OpenError::OtherNamespace { path: self.root.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_attached_anywhere(&self) -> io::Result<bool> {
        if self.attachments()?.iter().any(|attachment| attachment.attached_to != 0) {
            return Ok(true);
        }
        // The kernel forgets a program a little after its last filter, or its daemon, has gone.
        look_until(PATIENCE, || clsact::is_anywhere(self), |seen| matches!(seen, Ok(false)))
    }

    /// Marks the network namespace that the links will be in.
    pub(crate) fn mark_namespace(&self, cookie: &str) -> Result<(), OpenError> {
        let path = self.namespace();
        mark::write(&path, cookie).map_err(|source| OpenError::Folder { path, source })
    }

    /// Refuses an owner that the maps do not follow, unless it takes over. Maps that are not complete follow nobody.
    pub(super) fn check_owner(&self, owner: &Owner) -> Result<(), OpenError> {
        if !names::is_mark(&owner.store) {
            return Err(OpenError::NoStore { store: owner.store.clone() });
        }
        if !self.is_complete() {
            return Ok(());
        }
        let path = self.owner();
        match mark::read(&path).map_err(|source| OpenError::Folder { path, source })? {
            Some(pinned) if pinned != owner.store && !owner.take_over => {
                Err(OpenError::OtherOwner { path: self.root.clone(), pinned, ours: owner.store.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Makes `owner` the one that the maps follow.
    pub(super) fn record_owner(&self, owner: &Owner) -> Result<(), OpenError> {
        let path = self.owner();
        mark::write(&path, &owner.store).map_err(|source| OpenError::Folder { path, source })
    }

    /// Whether all maps are pinned: their ABI is the last.
    pub(crate) fn is_complete(&self) -> bool {
        self.map(maps::ABI).exists()
    }

    /// Where the link of `program` on the device `ifindex` is pinned.
    pub(crate) fn link(&self, program: &str, ifindex: u32) -> PathBuf {
        self.links().join(names::link_pin(program, ifindex))
    }

    /// Our programs on devices: those that pinned links hold, and those that filters do.
    pub(crate) fn attachments(&self) -> io::Result<Vec<Attachment>> {
        let mut attachments = match links::pinned(&self.links()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            pinned => pinned?,
        };
        if self.filters {
            attachments.extend(clsact::attached(self)?);
        }
        Ok(attachments)
    }

    /// From here on, filters are looked for only if there are some, or are going to be.
    pub(crate) fn settle(&mut self, hook: Hook) -> io::Result<()> {
        self.filters = hook == Hook::Clsact || !clsact::attached(self)?.is_empty();
        Ok(())
    }

    /// Detaches a program from a device. A link of XDP is detached first: by its pin alone the device would be free for
    /// another program only a little later.
    pub(crate) fn detach(&self, program: &str, ifindex: u32) -> io::Result<()> {
        if programs::XDP.contains(&program) {
            match sys::detach_link_at(&self.link(program, ifindex)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        match fs::remove_file(self.link(program, ifindex)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if self.filters { clsact::detach(self, program, ifindex) } else { Ok(()) }
    }

    /// Ids of the programs that the pinned links hold.
    pub(crate) fn linked_programs(&self) -> io::Result<BTreeSet<u32>> {
        strangers::held(&self.links())
    }

    /// Refuses a device that carries programs of weft's from another pin folder.
    pub(crate) fn require_no_stranger_on(&self, device: &str, ifindex: u32) -> Result<(), OpenError> {
        let device = || device.to_owned();
        match strangers::stranger(&device(), ifindex, self) {
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
