//! Maps get another size while packets flow: beside each pinned map of the old size a new one is made and filled,
//! pinned in the folder `resized`; the programs that use the new ones take the place of those that use the old;
//! then each new pin takes the place of the old one, in one step.
//!
//! Nobody writes entries meanwhile, so old and new hold the same, and whatever interrupts this, every map in `maps`
//! is whole, of the one size or of the other. The next open removes what is left in `resized`, and goes on from
//! there. Only counters go on being written, by the programs: what they count between the copying and their being
//! replaced is lost.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::maps::MapError;
use weft_dataplane_abi::maps;

use super::maps::{Counters, Maps, Table, size_key};
use super::pins::PinFolder;
use crate::error::{OpenError, chain};

/// Where the new maps wait. Gone with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    resized: BTreeSet<&'static str>,
}

impl Staging {
    /// An empty one for the new maps of these names, in the place of one that an open left that was cut short.
    pub(super) fn prepare(folder: &PinFolder, resized: BTreeSet<&'static str>) -> Result<Self, OpenError> {
        let staging = Self { folder: folder.staging(), resized };
        staging.remove()?;
        if !staging.resized.is_empty() {
            let made = fs::DirBuilder::new().mode(0o700).create(&staging.folder);
            made.map_err(|source| failed(&staging.folder, source))?;
        }
        Ok(staging)
    }

    /// Where the new map `name` is pinned; `None` if it has no new one.
    pub(super) fn map(&self, name: &str) -> Option<PathBuf> {
        self.resized.contains(name).then(|| self.folder.join(name))
    }

    /// Copies the entries of the old maps.
    pub(super) fn fill(&self, old: &Maps, new: &mut Maps) -> Result<(), OpenError> {
        self.copy(&old.endpoints, &mut new.endpoints)?;
        self.copy(&old.hosts, &mut new.hosts)?;
        self.copy(&old.prefixes, &mut new.prefixes)?;
        self.copy(&old.fdb, &mut new.fdb)?;
        self.copy(&old.vnis, &mut new.vnis)?;
        self.copy(&old.vtep_vnis, &mut new.vtep_vnis)?;
        self.copy(&old.vteps, &mut new.vteps)?;
        self.copy(&old.flood, &mut new.flood)?;
        if self.resized.contains(maps::COUNTERS) {
            let broken = |error: MapError| broken(maps::COUNTERS, &error);
            let endpoints = old.endpoints.read().map_err(broken)?;
            // Slot 0 belongs to no port.
            let used = endpoints.values().map(|endpoint| endpoint.slot()).max().unwrap_or(0);
            require_room(maps::COUNTERS, new.counters.slots().saturating_sub(1), used)?;
            copy_counters(&old.counters, &mut new.counters).map_err(broken)?;
        }
        Ok(())
    }

    fn copy<T: Table>(&self, old: &T, new: &mut T) -> Result<(), OpenError> {
        let name = old.name();
        if !self.resized.contains(name) {
            return Ok(());
        }
        let entries = old.read().map_err(|error| broken(name, &error))?;
        let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX);
        require_room(name, count(new.capacity()), count(entries.len()))?;
        let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        match new.write(&keys, &values).pop() {
            Some((_, error)) => Err(broken(name, &MapError::IoError(error))),
            None => Ok(()),
        }
    }

    /// Puts the pins of the new maps in the place of the old ones.
    pub(super) fn put_in_place(self, folder: &PinFolder) -> Result<(), OpenError> {
        for name in &self.resized {
            let pin = self.folder.join(name);
            fs::rename(&pin, folder.map(name)).map_err(|source| failed(&pin, source))?;
            tracing::info!(map = name, "the map has its new size");
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), OpenError> {
        for name in maps::ALL {
            let pin = self.folder.join(name);
            ignore_missing(fs::remove_file(&pin)).map_err(|source| failed(&pin, source))?;
        }
        ignore_missing(fs::remove_dir(&self.folder)).map_err(|source| failed(&self.folder, source))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "could not remove what was prepared");
        }
    }
}

/// What is gone is removed.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn copy_counters(old: &Counters, new: &mut Counters) -> Result<(), MapError> {
    for slot in 0..old.slots().min(new.slots()) {
        new.copy_slot(old, slot)?;
    }
    Ok(())
}

fn require_room(map: &'static str, configured: u32, needed: u32) -> Result<(), OpenError> {
    if needed <= configured {
        return Ok(());
    }
    Err(OpenError::TooSmall { key: size_key(map).unwrap_or("sizes"), map, configured, needed })
}

fn broken(map: &'static str, error: &MapError) -> OpenError {
    OpenError::Resize { map, cause: chain(error) }
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Folder { path: path.to_owned(), source }
}
