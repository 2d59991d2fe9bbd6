//! What the programs log by aya-log, as lines.

use std::sync::{Arc, Mutex};

use aya::Ebpf;
use aya_log::EbpfLogger;

/// What the programs log.
pub struct ProgramLog {
    log: EbpfLogger<Lines>,
    lines: Lines,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

impl ProgramLog {
    /// Of these programs, from now on and what they have logged.
    pub fn of(ebpf: &mut Ebpf) -> Self {
        let lines = Lines::default();
        Self { log: EbpfLogger::init_with_logger(ebpf, lines.clone()).unwrap(), lines }
    }

    /// The lines since the last call.
    pub fn lines(&mut self) -> Vec<String> {
        self.log.flush();
        std::mem::take(&mut *self.lines.0.lock().unwrap())
    }
}
