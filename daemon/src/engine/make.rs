//! What the engine has the data plane do, and what it remembers of the answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};
use weft_dataplane::Report;
use weft_dataplane::desired::Update;

use super::Engine;
use crate::names::Names;

impl Engine {
    /// Makes a change in the kernel.
    pub(super) async fn make(&mut self, update: Update) -> Report {
        let (report, took) = self.update(update).await;
        self.observe(&report, took);
        report
    }

    /// The same, and how long it took; what the report tells is not heeded yet.
    pub(super) async fn update(&mut self, update: Update) -> (Report, Duration) {
        let start = Instant::now();
        let work = self.dataplane.update(update);
        (self.attend(work).await, start.elapsed())
    }

    /// Makes the kernel as intended.
    pub(super) async fn reconcile(&mut self) {
        let start = Instant::now();
        let work = self.dataplane.resync();
        let report = self.attend(work).await;
        self.observe(&report, start.elapsed());
    }

    /// Makes the next hops as the kernel's routes are. What fails is left to the reconciliation that follows.
    pub(super) async fn refresh_next_hops(&mut self) {
        let start = Instant::now();
        let work = self.dataplane.refresh_next_hops();
        let report = self.attend(work).await;
        for change in &report.changes {
            info!(%change, "kernel changed");
        }
        for failure in &report.failures {
            warn!(
                object = failure.object,
                cause = failure.cause,
                "next hops are not as the kernel's routes are"
            );
        }
        let now = Instant::now();
        self.schedule.handle_next_hops(now, now.duration_since(start));
        self.observed.handle_next_hops(report);
        self.tell_self_test();
    }

    /// Remembers what a reconciliation that `took` so long found, and when to try again.
    pub(super) fn observe(&mut self, report: &Report, took: Duration) {
        for change in &report.changes {
            info!(%change, "kernel changed");
        }
        for failure in self.observed.news(report) {
            warn!(
                object = failure.object,
                cause = failure.cause,
                "the kernel is not as desired; trying again"
            );
        }
        if report.is_whole && report.failures.is_empty() && self.observed.has_failures() {
            info!("the kernel is as desired again");
        }
        let now = Instant::now();
        // A change of routes says nothing of the rest, and must not put off a look at it.
        if report.is_whole || !report.failures.is_empty() {
            self.schedule.handle_report(now, !report.failures.is_empty(), took);
        }
        if report.is_unsettled {
            self.schedule.handle_kernel_changed(now);
        }
        self.observed.take(now, report);
        if report.is_whole {
            self.names.send_replace(Arc::new(Names::of(Arc::clone(&self.model), &report.ports)));
        }
        self.tell_self_test();
    }
}
