//! Learned routes of the underlay, brought into the kernel.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use tokio::task::block_in_place;
use tracing::{error, warn};
use weft_dataplane::{Failure, ObserveError, UnderlayRoutes};

/// The routes, as far as the kernel lets them be seen.
pub(super) struct Underlay {
    routes: Option<UnderlayRoutes>,
    /// What has failed since all of the kernel was looked at.
    told: BTreeSet<String>,
}

impl Underlay {
    /// What an earlier weftd brought in stays until a sweep, or goes at once if it is not `kept`.
    pub(super) fn open(kept: bool) -> Self {
        let mut this = Self { routes: None, told: BTreeSet::new() };
        match block_in_place(UnderlayRoutes::open) {
            Ok(routes) => this.routes = Some(routes),
            Err(error) => error!(%error, "routes of the underlay do not come into the kernel; restart weftd"),
        }
        if !kept {
            this.sweep();
        }
        this
    }

    pub(super) fn change(&mut self, routes: Vec<(IpNet, Vec<IpAddr>)>) {
        self.ask(|known| Ok(known.change(routes)), false);
    }

    pub(super) fn sweep(&mut self) {
        self.ask(UnderlayRoutes::sweep, true);
    }

    pub(super) fn reconcile(&mut self) {
        self.ask(UnderlayRoutes::reconcile, true);
    }

    fn ask(
        &mut self,
        work: impl FnOnce(&mut UnderlayRoutes) -> Result<Vec<Failure>, ObserveError>,
        is_whole: bool,
    ) {
        let Some(routes) = &mut self.routes else { return };
        let done = block_in_place(|| work(routes));
        self.tell(done, is_whole);
    }

    /// Says what failed, once as long as it is the same. `is_whole`: what does not fail now fails no more.
    fn tell(&mut self, done: Result<Vec<Failure>, ObserveError>, is_whole: bool) {
        let failures: BTreeSet<_> = match done {
            Ok(failures) => failures.iter().map(ToString::to_string).collect(),
            Err(error) => BTreeSet::from([error.to_string()]),
        };
        for failure in failures.iter().filter(|failure| !self.told.contains(*failure)) {
            warn!(failure, "the kernel's routes of the underlay are not as learned; trying again");
        }
        if is_whole {
            self.told.clear();
        }
        self.told.extend(failures);
    }
}
