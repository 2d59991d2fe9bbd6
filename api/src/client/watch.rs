//! A stream of what happens: a line of JSON for each.

use std::io::{BufRead, BufReader};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use ureq::BodyReader;

use super::ClientError;
use crate::view::Event;

/// Lines as they come, such as changes to resources; ends when the daemon ends the stream.
pub struct Watch<T = Event> {
    lines: BufReader<BodyReader<'static>>,
    request: String,
    broken: bool,
    of: PhantomData<T>,
}

impl<T> std::fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Watch<T> {
    pub(super) fn new(body: BodyReader<'static>, request: String) -> Self {
        Self { lines: BufReader::new(body), request, broken: false, of: PhantomData }
    }

    fn read(&mut self) -> Option<Result<T, ClientError>> {
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
            let cause = format!("a line of the stream is not what was asked for: {error}");
            ClientError::Protocol { request: self.request.clone(), cause }
        }))
    }
}

impl<T: DeserializeOwned> Iterator for Watch<T> {
    type Item = Result<T, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let event = self.read()?;
        self.broken = event.is_err();
        Some(event)
    }
}
