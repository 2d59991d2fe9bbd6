//! Maps get another size, or longer or shorter values, while packets flow: beside each pinned map that is not as this
//! weftd makes it a new one is made and filled, pinned in the folder `resized`; the programs that use the new ones take
//! the place of those that use the old; then each new pin takes the place of the old one, in one step.
//!
//! Nobody writes entries meanwhile, so old and new say the same, and whatever interrupts this, every map in `maps`
//! is whole, the one or the other. Which programs run then does not matter: the next open removes what is left in
//! `resized`, goes on from `maps`, and replaces the program of every link before it writes an entry. Only counters, limits and
//! connections go on being written, by the programs: what they count between the copying and their being replaced is lost,
//! and so is what programs count whose maps an interrupted open left in `resized`. A connection that is opened in between
//! has to be opened again.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use aya::maps::MapError;
use weft_dataplane_abi::{Flow, FlowKey, HalfOpenKey, RuleKey, maps};

use super::elements::Walk;
use super::maps::{EntryTable, Maps, Plain, Table, size_key};
use super::pins::PinFolder;
use super::untyped::{Entries, Keys};
use crate::error::{OpenError, chain};

/// Maps from a slot to what belongs to it, which must have room for the highest slot in use.
const BY_SLOT: [&str; 2] = [maps::COUNTERS, maps::LIMITS];

/// What passes: events that nobody has read yet, and parts of packets. And how many connections there were, by slot and by
/// tenant: that the connections themselves say, to whoever sweeps them.
const BEGIN_ANEW: [&str; 4] = [maps::EVENTS, maps::FRAGMENTS, maps::FLOW_COUNTS, maps::FLOWS_OVER];

/// What programs write and remove meanwhile: copied as it is met, as far as there is room.
const WRITTEN: [&str; 4] = [maps::FLOWS, maps::HALF_OPEN, maps::ASKED, maps::HITS];

/// Where the new maps wait. Gone with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    names: BTreeSet<&'static str>,
}

impl Staging {
    /// An empty one for the new maps of these names, in the place of one that an open left that was cut short.
    pub(super) fn prepare(folder: &PinFolder, names: BTreeSet<&'static str>) -> Result<Self, OpenError> {
        let staging = Self { folder: folder.staging(), names };
        staging.remove()?;
        if !staging.names.is_empty() {
            let made = fs::DirBuilder::new().mode(0o700).create(&staging.folder);
            made.map_err(|source| failed(&staging.folder, source))?;
        }
        Ok(staging)
    }

    /// Where the new map `name` is pinned; `None` if it has no new one.
    pub(super) fn map(&self, name: &str) -> Option<PathBuf> {
        self.names.contains(name).then(|| self.folder.join(name))
    }

    /// Copies the entries of the old maps. `new` are the maps that will be in use, the new ones among them.
    pub(super) fn fill(&self, folder: &PinFolder, new: &Maps) -> Result<(), OpenError> {
        let with_entries = self.names.iter().filter(|name| !BEGIN_ANEW.contains(name));
        let (written, still): (Vec<&str>, Vec<&str>) =
            with_entries.copied().partition(|name| WRITTEN.contains(name));
        for name in written {
            self.copy_written(folder, name);
        }
        let (by_slot, tables): (Vec<_>, Vec<_>) = still.into_iter().partition(|name| BY_SLOT.contains(name));
        for name in tables {
            self.copy(folder, name, Keys::count)?;
        }
        // The endpoints, which name the slots, are there by now.
        let endpoints = new.endpoints.read().map_err(|error| broken(maps::ENDPOINTS, &error))?;
        let used = endpoints.values().map(|endpoint| endpoint.slot()).max().unwrap_or(0);
        for name in by_slot {
            // Slot 0 belongs to no port, so there is one more than the highest.
            self.copy(folder, name, |_| used.saturating_add(1))?;
        }
        Ok(())
    }

    /// Copies what programs write. What cannot be copied is a connection that has to be opened again, or a count: no reason
    /// to go on with the old sizes.
    fn copy_written(&self, folder: &PinFolder, name: &'static str) {
        let (old, new) = (folder.map(name), self.folder.join(name));
        let copied = match name {
            maps::FLOWS | maps::HALF_OPEN => copy_all::<FlowKey, Flow>(&old, &new, name),
            maps::ASKED => copy_all::<HalfOpenKey, FlowKey>(&old, &new, name),
            _ => copy_all::<RuleKey, u64>(&old, &new, name),
        };
        match copied {
            Ok(0) => {}
            Ok(lost) => tracing::warn!(map = name, lost, "not all entries fit into the map of another size"),
            Err(error) => {
                tracing::warn!(map = name, error = chain(&error), "the map of another size begins empty");
            }
        }
    }

    /// Copies one map, which must have room for as many entries as `needed` says.
    fn copy(
        &self,
        folder: &PinFolder,
        name: &'static str,
        needed: impl Fn(&Keys) -> u32,
    ) -> Result<(), OpenError> {
        let old = Entries::at(&folder.map(name)).map_err(|error| broken(name, &error))?;
        let mut new = Entries::at(&self.folder.join(name)).map_err(|error| broken(name, &error))?;
        let keys = old.keys().map_err(|error| broken(name, &error))?;
        require_room(name, new.capacity(), needed(&keys))?;
        // An array has a key for each of its slots, also for those beyond what the new one needs to have.
        let count = keys.iter().len().min(usize::try_from(new.capacity()).unwrap_or(usize::MAX));
        for key in keys.iter().take(count) {
            new.take(&old, key).map_err(|error| broken(name, &error))?;
        }
        Ok(())
    }

    /// Puts the pins of the new maps in the place of the old ones.
    pub(super) fn put_in_place(self, folder: &PinFolder) -> Result<(), OpenError> {
        for name in &self.names {
            let pin = self.folder.join(name);
            fs::rename(&pin, folder.map(name)).map_err(|source| failed(&pin, source))?;
            tracing::info!(map = name, "the map has its new size and layout");
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), OpenError> {
        // Also those of a weftd that has maps which this one does not know.
        for pin in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let pin = pin.path();
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

/// Copies all entries; returns how many were refused.
fn copy_all<K: Plain + Ord + Hash, V: Plain + Eq>(
    old: &Path,
    new: &Path,
    name: &'static str,
) -> Result<usize, MapError> {
    let old = EntryTable::<K, V>::at(old, name)?;
    let mut new = EntryTable::<K, V>::at(new, name)?;
    let (mut walk, mut refused) = (Walk::new(), 0);
    loop {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let more = old.step(&mut walk, |key, value| {
            keys.push(key);
            values.push(value);
        })?;
        refused += new.write(&keys, &values).len();
        if !more {
            return Ok(refused);
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

fn require_room(map: &'static str, capacity: u32, needed: u32) -> Result<(), OpenError> {
    if needed <= capacity {
        return Ok(());
    }
    // Of the maps by slot, slot 0 is none that is configured.
    let beyond = u32::from(BY_SLOT.contains(&map));
    let (configured, needed) = (capacity - beyond, needed - beyond);
    Err(OpenError::TooSmall { key: size_key(map).unwrap_or("sizes"), map, configured, needed })
}

fn broken(map: &'static str, error: &dyn std::error::Error) -> OpenError {
    OpenError::Copy { map, cause: chain(error) }
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Folder { path: path.to_owned(), source }
}
