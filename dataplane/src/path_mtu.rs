//! Hears from the programs that a router called an outer packet too big. The kernel's routes learn of it without an
//! event, so the map is looked into now and then.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use weft_dataplane_abi::maps;

use crate::bpf::PathMtuSignal;
use crate::error::{ObserveError, chain};
use crate::names;

/// How often is looked. So often at most is anything done about such errors, however many there are: anybody can forge
/// them.
const PERIOD: Duration = Duration::from_secs(1);

/// Waits for the programs' signal.
pub(crate) struct PathMtuWatch {
    signal: PathMtuSignal,
    heard: u64,
    interval: Interval,
}

impl PathMtuWatch {
    /// Opens the map that is pinned in the pin folder `root`. What was signalled before is no news: whoever opens looks
    /// at everything. Needs a tokio runtime.
    pub(crate) fn open(root: &Path) -> Result<Self, ObserveError> {
        let failed = |error| ObserveError::Map { map: maps::PATH_MTU, cause: chain(&error) };
        let signal = PathMtuSignal::at(&root.join(names::MAPS).join(maps::PATH_MTU)).map_err(failed)?;
        let heard = signal.read().map_err(failed)?;
        let mut interval = interval(PERIOD);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { signal, heard, interval })
    }

    /// Waits for a signal. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            self.interval.tick().await;
            match self.signal.read() {
                Ok(told) if told != self.heard => {
                    self.heard = told;
                    return;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(error = chain(&error), "cannot hear of path MTUs"),
            }
        }
    }
}
