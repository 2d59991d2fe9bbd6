//! What the pinned maps are to this weftd: as it makes them, of another size or compatible layout, or nothing that it
//! can use.

use std::collections::BTreeSet;
use std::path::Path;

use aya::maps::{Array, Map, MapData, MapError, MapInfo};
use weft_dataplane_abi::{ABI_VERSION, maps};

use super::maps::{Shape, shapes, size_key};
use super::pins::PinFolder;
use crate::Sizes;
use crate::error::{OpenError, chain};

/// The pinned maps by what becomes of them. Those in neither set are made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    /// As this weftd makes them: used as they are.
    pub(super) adopted: BTreeSet<&'static str>,
    /// Of another size than is configured, or with longer or shorter values: their entries move to new ones.
    pub(super) outgrown: BTreeSet<&'static str>,
}

impl Inventory {
    /// Looks at the maps in `folder`, or says why they cannot be used.
    pub(super) fn take(folder: &PinFolder, sizes: &Sizes) -> Result<Self, OpenError> {
        let mut inventory = Self::default();
        if !folder.is_complete() {
            // What lies here without an ABI was left by an open that did not come to its end, and no program uses
            // it. Unless one does.
            return match folder.attachments() {
                Ok(links) if links.is_empty() => Ok(inventory),
                Ok(_) => Err(OpenError::Unmarked { path: folder.root().to_owned() }),
                Err(source) => Err(OpenError::Folder { path: folder.root().to_owned(), source }),
            };
        }
        let abi = folder.map(maps::ABI);
        let pinned = abi_at(&abi).map_err(|error| OpenError::Pin { path: abi, cause: chain(&error) })?;
        if pinned != ABI_VERSION {
            return Err(OpenError::Abi { path: folder.root().to_owned(), pinned, ours: ABI_VERSION });
        }
        for (name, ours) in shapes(sizes) {
            let path = folder.map(name);
            if !path.exists() {
                continue;
            }
            let pinned = MapInfo::from_pin(&path).and_then(|info| Shape::of(&info));
            let pinned =
                pinned.map_err(|error| OpenError::Pin { path: path.clone(), cause: chain(&error) })?;
            if pinned == ours {
                inventory.adopted.insert(name);
            } else if is_replaceable(name, &pinned, &ours) {
                inventory.outgrown.insert(name);
            } else {
                return Err(OpenError::Shape { path, pinned: pinned.to_string(), ours: ours.to_string() });
            }
        }
        Ok(inventory)
    }
}

/// Whether a map of the shape `ours` can take the place of one that is `pinned`.
fn is_replaceable(name: &str, pinned: &Shape, ours: &Shape) -> bool {
    let may_differ =
        name != maps::ABI && (size_key(name).is_some() || pinned.max_entries == ours.max_entries);
    may_differ && ours.takes_entries_of(pinned)
}

/// The ABI version that the map at `path` holds; 0 if the map is none of an ABI's.
fn abi_at(path: &Path) -> Result<u32, MapError> {
    let map = Map::from_map_data(MapData::from_pin(path)?)?;
    Array::<_, u32>::try_from(map).map_or(Ok(0), |abi| abi.get(&0, 0))
}
