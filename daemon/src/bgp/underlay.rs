//! Learned routes of the underlay, brought into the kernel.

use std::net::IpAddr;

use ipnet::IpNet;
use tokio::task::block_in_place;
use tracing::warn;
use weft_dataplane::{Failure, ObserveError, UnderlayRoutes};

/// The routes, as far as the kernel lets them be seen.
pub(super) struct Underlay {
    routes: Option<UnderlayRoutes>,
    /// What failed when it was last told of.
    told: Vec<String>,
}

impl Underlay {
    /// Without `installs` what an earlier weftd brought in goes at once.
    pub(super) fn open(installs: bool) -> Self {
        let mut this = Self { routes: None, told: Vec::new() };
        match block_in_place(UnderlayRoutes::open) {
            Ok(routes) => this.routes = Some(routes),
            Err(error) => this.tell(Err(error)),
        }
        if !installs {
            this.sweep();
        }
        this
    }

    pub(super) fn change(&mut self, routes: Vec<(IpNet, Vec<IpAddr>)>) {
        self.ask(|known| Ok(known.change(routes)));
    }

    pub(super) fn sweep(&mut self) {
        self.ask(UnderlayRoutes::sweep);
    }

    pub(super) fn reconcile(&mut self) {
        self.ask(UnderlayRoutes::reconcile);
    }

    fn ask(&mut self, work: impl FnOnce(&mut UnderlayRoutes) -> Result<Vec<Failure>, ObserveError>) {
        let Some(routes) = &mut self.routes else { return };
        let done = block_in_place(|| work(routes));
        self.tell(done);
    }

    /// Says what failed, once as long as it is the same.
    fn tell(&mut self, done: Result<Vec<Failure>, ObserveError>) {
        let failures = match done {
            Ok(failures) => failures.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        for failure in failures.iter().filter(|failure| !self.told.contains(failure)) {
            warn!(failure, "a learned route of the underlay is not in the kernel; trying again");
        }
        self.told = failures;
    }
}
