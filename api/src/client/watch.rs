//! The stream of changes: a line of JSON for each.

use std::io::{BufRead, BufReader};

use ureq::BodyReader;

use super::ClientError;
use crate::view::Event;

/// Changes as they happen; ends when the daemon ends the stream.
pub struct Watch {
    lines: BufReader<BodyReader<'static>>,
    request: String,
    broken: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn new(body: BodyReader<'static>, request: String) -> Self {
        Self { lines: BufReader::new(body), request, broken: false }
    }

    fn read(&mut self) -> Option<Result<Event, ClientError>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.lines.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                // An empty line says no more than that the daemon is alive.
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => break,
                Err(error) => {
                    let cause = format!("the stream broke: {error}");
                    return Some(Err(ClientError::Interrupted { request: self.request.clone(), cause }));
                }
            }
        }
        Some(serde_json::from_slice(&line).map_err(|error| {
            let cause = format!("a line of the stream is no change: {error}");
            ClientError::Protocol { request: self.request.clone(), cause }
        }))
    }
}

impl Iterator for Watch {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let event = self.read()?;
        self.broken = event.is_err();
        Some(event)
    }
}
