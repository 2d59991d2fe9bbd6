//! What the programs log: rare failures of the kernel's helpers, as events of weftd's own log.
//!
//! The ring buffer behind it is not pinned: it belongs to the programs of one load, which the next weftd replaces with
//! its own. What they log while no weftd runs is lost, and counted all the same.

use aya_log::EbpfLogger;
use log::{Level, Log, Metadata, Record};

/// Reads what the loaded programs log.
pub(crate) type KernelLog = EbpfLogger<ToTracing>;

/// Turns the programs' log records into events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToTracing;

impl Log for ToTracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // The programs pad names.
        let words = record.args().to_string();
        let words = words.trim_end();
        match record.level() {
            Level::Error => tracing::error!(target: "weft_dataplane::programs", "{words}"),
            Level::Warn => tracing::warn!(target: "weft_dataplane::programs", "{words}"),
            Level::Info => tracing::info!(target: "weft_dataplane::programs", "{words}"),
            Level::Debug | Level::Trace => tracing::debug!(target: "weft_dataplane::programs", "{words}"),
        }
    }

    fn flush(&self) {}
}
