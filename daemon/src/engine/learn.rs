//! Learned routes into the kernel, and what follows from the VTEPs that they lead to: the ways to these are tested too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use weft_dataplane::desired::{RouteDelta, Update};
use weft_vxlan::{Vni, Vtep};

use super::Engine;
use crate::desired;

/// Who takes part in subnets, as far as it was learned.
#[derive(Debug, Default)]
pub(super) struct Learned(BTreeMap<Vtep, BTreeSet<Vni>>);

impl Learned {
    fn note(&mut self, routes: &RouteDelta) {
        for ((subnet, vtep), wants) in &routes.flood {
            let subnets = self.0.entry(*vtep).or_default();
            if wants.is_some() {
                subnets.insert(*subnet);
            } else {
                subnets.remove(subnet);
            }
            if subnets.is_empty() {
                self.0.remove(vtep);
            }
        }
    }

    fn vteps(&self) -> BTreeSet<Vtep> {
        self.0.keys().copied().collect()
    }
}

impl Engine {
    /// Brings learned routes into the kernel.
    pub(super) async fn learn(&mut self, routes: RouteDelta) {
        let before = self.host.clone();
        if !routes.flood.is_empty() {
            self.learned.note(&routes);
            self.host.learned_vteps = self.learned.vteps();
        }
        // Packets wait for routes; the test of the ways that these lead to can wait for them.
        let routes = desired::without_static(routes, &self.model, &self.host);
        self.make(Update { local: None, routes }).await;
        if let Some(tests) = desired::test_others(&self.model, &before, &self.host) {
            self.make(tests).await;
        }
    }

    /// Removes routes from before the start that nobody has confirmed.
    pub(super) async fn sweep(&mut self) {
        let start = Instant::now();
        let work = self.dataplane.sweep();
        let report = self.attend(work).await;
        self.observe(&report, start.elapsed());
    }
}
