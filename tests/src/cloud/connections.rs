//! The connections that a host's kernel holds for its ports: what the firewall goes by, whatever weftd says of it.

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, Map, MapData};
use weft_dataplane_abi::{Flow, FlowCounts, FlowKey, maps};
use zerocopy::FromBytes as _;

use super::Cloud;

const KEY: usize = size_of::<FlowKey>();
const VALUE: usize = size_of::<Flow>();
const COUNTS: usize = size_of::<FlowCounts>();

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Entries of open ones, also of those that are over.
    pub open: usize,
    /// Entries of those that are asked for.
    pub half_open: usize,
    /// How many were asked for, ever.
    pub asked: u64,
    /// How many of these had to go because their port asked for too many.
    pub displaced: u64,
}

impl Cloud<'_> {
    /// Those of the host with this number.
    ///
    /// # Errors
    /// The host has no such tables, or the kernel does not answer.
    pub fn connections(&self, host: usize) -> Result<Connections> {
        let folder = self.daemon(host).settings().pin_folder.join("maps");
        let table = |name: &str| MapData::from_pin(folder.join(name)).with_context(|| name.to_owned());
        let entries = |name: &str| -> Result<usize> {
            let table: HashMap<_, [u8; KEY], [u8; VALUE]> = HashMap::try_from(Map::HashMap(table(name)?))?;
            // A walk begins anew when the entry that it is at goes.
            Ok(table.keys().filter(Result::is_ok).count())
        };
        let counts: Array<_, [u8; COUNTS]> = Array::try_from(Map::Array(table(maps::FLOW_COUNTS)?))?;
        let (mut asked, mut displaced) = (0, 0);
        for bytes in counts.iter() {
            let bytes = bytes?;
            let (counts, _) = FlowCounts::read_from_prefix(&bytes).ok().context("counts of connections")?;
            asked += counts.asked;
            displaced += counts.displaced;
        }
        Ok(Connections {
            open: entries(maps::FLOWS)?,
            half_open: entries(maps::HALF_OPEN)?,
            asked,
            displaced,
        })
    }
}
