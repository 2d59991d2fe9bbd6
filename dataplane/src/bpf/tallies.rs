//! The maps that say of connections how many there are, and by which rules they were judged.

use std::path::{Path, PathBuf};

use aya::maps::{Array, MapData, MapError};
use weft_dataplane_abi::{FlowCounts, maps};

use super::maps::{Raw, pinned};

/// The generation of all that connections are judged by.
pub(crate) struct Generation {
    map: Array<MapData, u32>,
}

impl Generation {
    /// The one that is pinned at `path`.
    pub(crate) fn at(path: &Path) -> Result<Self, MapError> {
        Ok(Self { map: pinned(path)?.try_into()? })
    }

    pub(crate) fn read(&self) -> Result<u32, MapError> {
        self.map.get(&0, 0)
    }

    /// Has every connection judged again.
    pub(crate) fn raise(&mut self) -> Result<(), MapError> {
        let next = self.read()?.wrapping_add(1);
        self.map.set(0, next, 0)
    }
}

/// How many connections there have been, and how many of them are over: by slot, and behind all slots by tenant.
pub(crate) struct FlowTallies {
    counts: Array<MapData, Raw<FlowCounts>>,
    over: Array<MapData, u64>,
}

impl FlowTallies {
    /// Those that are pinned at `path` of their names.
    pub(crate) fn at(path: impl Fn(&str) -> PathBuf) -> Result<Self, MapError> {
        let counts = pinned(&path(maps::FLOW_COUNTS))?.try_into()?;
        Ok(Self { counts, over: pinned(&path(maps::FLOWS_OVER))?.try_into()? })
    }

    /// What was counted at an index.
    pub(crate) fn read(&self, index: u32) -> Result<FlowCounts, MapError> {
        self.counts.get(&index, 0).map(|raw| raw.0)
    }

    /// How many of them are over.
    pub(crate) fn set_over(&mut self, index: u32, over: u64) -> Result<(), MapError> {
        self.over.set(index, over, 0)
    }

    /// Nothing was counted at an index.
    pub(crate) fn clear(&mut self, index: u32) -> Result<(), MapError> {
        self.counts.set(index, Raw(FlowCounts::default()), 0)?;
        self.over.set(index, 0, 0)
    }
}
