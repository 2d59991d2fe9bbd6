//! The flow log: a line of JSON for each connection that ended, in a file and on a [`Board`].
//!
//! One task, [`run`], takes what the data plane tells. Of the file there are two: when it is full it becomes `FILE.1`, in the
//! place of the one before. A file that was moved away is begun anew. What cannot be written is lost to the file alone. The
//! task is aborted: a batch is in the file wholly or not yet.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio::task::block_in_place;
use tracing::{info, warn};
use weft_api::view::security::FlowEvent;
use weft_dataplane::Flow;

use super::views;
use crate::board::Board;
use crate::engine::Handle;
use crate::names::Names;
use crate::time;

/// Where the log goes, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub file: PathBuf,
    /// Of so many connections one is written. It is the same one on both hosts, and in both directions.
    pub sample: u32,
    /// Bytes of the file at which another one is begun.
    pub max_bytes: u64,
}

/// Tells of connections that ended, until the data plane is gone. Without `settings` there is no file.
pub async fn run(
    mut ended: mpsc::Receiver<Vec<Flow>>,
    board: Board<FlowEvent>,
    names: watch::Receiver<Arc<Names>>,
    engine: Handle,
    settings: Option<Settings>,
) {
    let mut log = settings.map(Log::new);
    while let Some(flows) = ended.recv().await {
        let names = names.borrow().clone();
        let time = time::rfc3339(SystemTime::now());
        let views = views(&engine, &names, &flows).await;
        let mut lines = Vec::new();
        for (flow, view) in flows.iter().zip(views) {
            let event = FlowEvent { time: time.clone(), flow: view };
            if log.as_ref().is_some_and(|log| log.samples(flow))
                && serde_json::to_writer(&mut lines, &event).is_ok()
            {
                lines.push(b'\n');
            }
            board.tell(event);
        }
        if let Some(log) = &mut log {
            block_in_place(|| log.write(&lines));
        }
    }
}

/// The file, if it could be opened.
#[derive(Debug)]
struct Log {
    settings: Settings,
    open: Option<File>,
    /// Whether the last attempt failed: said once.
    failed: bool,
}

impl Log {
    const fn new(settings: Settings) -> Self {
        Self { settings, open: None, failed: false }
    }

    /// Whether a connection is one of those that are written.
    fn samples(&self, flow: &Flow) -> bool {
        let mut ends = [flow.own, flow.peer];
        ends.sort_unstable();
        // Without a key: the same number on all hosts that run this version.
        let mut hasher = DefaultHasher::new();
        (ends, flow.protocol).hash(&mut hasher);
        hasher.finish().is_multiple_of(u64::from(self.settings.sample))
    }

    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let file = self.settings.file.display();
        match append(&self.settings, &mut self.open, lines) {
            Ok(()) if self.failed => info!(%file, "the flow log is written again"),
            Ok(()) => {}
            Err(error) if !self.failed => {
                warn!(%file, %error, "the flow log cannot be written; connections that end meanwhile are missing from it");
            }
            Err(_) => {}
        }
        self.failed = self.open.is_none();
    }
}

/// Writes at the end of the file that has the name now.
fn append(settings: &Settings, open: &mut Option<File>, lines: &[u8]) -> io::Result<()> {
    let mut file = match open.take() {
        Some(file) if is_named(&file, &settings.file) => file,
        Some(_) | None => create(&settings.file)?,
    };
    let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut held = file.metadata()?.len();
    if held > 0 && held.saturating_add(length) > settings.max_bytes {
        let mut before = settings.file.clone().into_os_string();
        before.push(".1");
        std::fs::rename(&settings.file, before)?;
        file = create(&settings.file)?;
        held = file.metadata()?.len();
    }
    if let Err(error) = file.write_all(lines) {
        // No half line, which the next one would be glued to. If that fails too, the first error is what counts.
        let _ = file.set_len(held);
        return Err(error);
    }
    *open = Some(file);
    Ok(())
}

/// Whether the name still leads to the file: whoever keeps logs may have moved it.
fn is_named(file: &File, name: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(name)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Who talks to whom is not for everybody to read.
fn create(name: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::flow;
    use super::*;

    fn log(folder: &Path, sample: u32) -> Log {
        Log::new(Settings { file: folder.join("flows.jsonl"), sample, max_bytes: 10 })
    }

    #[test]
    fn a_full_file_makes_way_and_one_that_was_moved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        let mut log = log(folder.path(), 1);
        for line in ["one\n", "two\n", "three\n"] {
            log.write(line.as_bytes());
        }
        assert_eq!(
            (file("flows.jsonl"), file("flows.jsonl.1")),
            ("three\n".to_owned(), "one\ntwo\n".to_owned())
        );
        std::fs::rename(folder.path().join("flows.jsonl"), folder.path().join("moved")).unwrap();
        log.write(b"four\n");
        assert_eq!((file("flows.jsonl"), file("moved")), ("four\n".to_owned(), "three\n".to_owned()));
        let mode = std::fs::metadata(folder.path().join("flows.jsonl")).unwrap().mode();
        assert_eq!(mode & 0o007, 0);
    }

    #[test]
    fn what_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(&folder.path().join("missing"), 1);
        log.write(b"lost\n");
        assert!(log.failed);
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        log.write(b"kept\n");
        assert!(!log.failed);
        assert_eq!(std::fs::read_to_string(folder.path().join("missing/flows.jsonl")).unwrap(), "kept\n");
    }

    #[test]
    fn a_sample_is_the_same_from_both_sides() {
        let log = log(Path::new("/"), 4);
        let mut taken = 0;
        for port in 1..=1000_u16 {
            let one = flow("web", &format!("10.0.0.9:{port}"), false);
            let other = Flow { own: one.peer, peer: one.own, ..one.clone() };
            assert_eq!(log.samples(&one), log.samples(&other));
            taken += u32::from(log.samples(&one));
        }
        assert!((150..350).contains(&taken), "{taken}");
    }
}
