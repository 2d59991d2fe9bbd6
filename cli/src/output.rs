//! How answers are printed: a table for people, the API's JSON for programs, YAML for files.

pub(crate) mod table;
pub(crate) mod yaml;

use std::io::{self, Write};

use anyhow::{Result, bail};
use serde::Serialize;
use weft_api::client::ClientError;

/// The form of an answer: aligned columns, the API's own JSON, or the same as YAML.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// Standard output in a format.
pub(crate) struct Output {
    pub(crate) format: Format,
    out: Box<dyn Write>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, out: Box::new(io::stdout().lock()) }
    }

    /// Prints a whole answer; `table` makes the text for people.
    pub(crate) fn print<T: Serialize>(&mut self, answer: &T, table: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.format {
            Format::Table => table(answer),
            Format::Json => serde_json::to_string_pretty(answer)? + "\n",
            Format::Yaml => yaml::render(&serde_json::to_value(answer)?),
        };
        self.text(&text)
    }

    /// Prints one item of a stream: JSON on a line of its own, YAML as a document.
    pub(crate) fn print_next<T: Serialize>(
        &mut self,
        item: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let text = match self.format {
            Format::Table => table(item),
            Format::Json => serde_json::to_string(item)? + "\n",
            Format::Yaml => format!("---\n{}", yaml::render(&serde_json::to_value(item)?)),
        };
        self.text(&text)
    }

    /// Prints a stream item by item, until it is interrupted or weftd ends it, which is an error.
    pub(crate) fn follow<T: Serialize>(
        &mut self,
        header: &str,
        lines: impl Iterator<Item = Result<T, ClientError>>,
        table: impl Fn(&T) -> String,
    ) -> Result<()> {
        if self.format == Format::Table {
            self.text(header)?;
        }
        for next in lines {
            match next {
                Err(ClientError::Interrupted { cause, .. }) => bail!("no more from weftd ({cause})"),
                next => self.print_next(&next?, &table)?,
            }
        }
        bail!("weftd ended the stream: it is stopping; follow again when it is back")
    }

    /// Prints text as it is. An error of the output itself stays bare, so that a closed pipe is recognised.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }
}
