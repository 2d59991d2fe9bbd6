//! Reads the counters of the ports, without the data plane's thread: while it works, counters can be read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use aya::maps::MapError;
use weft_dataplane_abi::{Endpoint, PortCounters, maps};

use crate::bpf::{Counters, EntryTable, Table};
use crate::error::{ObserveError, chain};
use crate::names::{self, Owned};
use crate::netlink::Netlink;

/// Slot of what belongs to no port.
const NO_PORT: u32 = 0;

/// Handles of its own on the maps.
pub(crate) struct CounterReader {
    endpoints: EntryTable<u32, Endpoint>,
    counters: Counters,
    netlink: Mutex<Netlink>,
}

impl CounterReader {
    /// Opens the maps that are pinned in the pin folder `root`.
    pub(crate) fn open(root: &Path) -> Result<Self, ObserveError> {
        let folder = root.join(names::MAPS);
        Ok(Self {
            endpoints: EntryTable::at(&folder.join(maps::ENDPOINTS), maps::ENDPOINTS)
                .map_err(|error| failed(maps::ENDPOINTS, &error))?,
            counters: Counters::at(&folder.join(maps::COUNTERS))
                .map_err(|error| failed(maps::COUNTERS, &error))?,
            netlink: Mutex::new(Netlink::open().map_err(|error| asking("socket", &error))?),
        })
    }

    /// As [`Dataplane::counters`](crate::Dataplane::counters).
    pub(crate) fn read(&self) -> Result<BTreeMap<String, PortCounters>, ObserveError> {
        let endpoints = self.endpoints.read().map_err(|error| failed(maps::ENDPOINTS, &error))?;
        // A panic elsewhere leaves at worst answers that nobody reads, which the socket skips.
        let mut netlink = self.netlink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let links = netlink.links().map_err(|error| asking("links", &error))?;
        let mut counters = BTreeMap::from([(String::new(), self.slot(NO_PORT)?)]);
        for link in &links {
            if let Some(Owned::Port(port)) = names::owned(link)
                && let Some(endpoint) = endpoints.get(&link.index)
            {
                counters.insert(port.to_owned(), self.slot(endpoint.slot())?);
            }
        }
        Ok(counters)
    }

    fn slot(&self, slot: u32) -> Result<PortCounters, ObserveError> {
        self.counters.read(slot).map_err(|error| failed(maps::COUNTERS, &error))
    }
}

fn failed(map: &'static str, error: &MapError) -> ObserveError {
    ObserveError::Map { map, cause: chain(error) }
}

fn asking(what: &'static str, error: &crate::netlink::NetlinkError) -> ObserveError {
    ObserveError::Netlink { what, cause: chain(error) }
}
