//! What is wrong with a config file, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("config file {}: {cause}; name another with --config", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Its text is wrong.
    #[error("{}{place}: {message}{excerpt}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// `:line:column`, or nothing if the text is too short to say.
        place: String,
        /// What is wrong.
        message: String,
        /// The line, underlined.
        excerpt: String,
    },
}

impl ConfigError {
    /// An error at a span of bytes of the text.
    pub(super) fn invalid(file: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> Self {
        let place = span.and_then(|span| Place::of(text, span));
        Self::Invalid {
            file: file.to_owned(),
            place: place
                .as_ref()
                .map(|place| format!(":{}:{}", place.line, place.column))
                .unwrap_or_default(),
            message: message.trim_end().replace('\n', "; "),
            excerpt: place.as_ref().map(Place::excerpt).unwrap_or_default(),
        }
    }
}

/// A place in a text, counted from 1 in lines and characters.
struct Place<'a> {
    line: usize,
    column: usize,
    text: &'a str,
    width: usize,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: Range<usize>) -> Option<Self> {
        let before = text.get(..span.start)?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text.get(start..)?.lines().next().unwrap_or_default();
        let column = before.get(start..)?.chars().count() + 1;
        let inside = text.get(span).and_then(|inside| inside.lines().next()).unwrap_or_default();
        Some(Self {
            line: before.matches('\n').count() + 1,
            column,
            text: line_text,
            width: inside.chars().count().max(1),
        })
    }

    fn excerpt(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(self.column - 1);
        let underline = "^".repeat(self.width);
        format!("\n{gutter} |\n{number} | {}\n{gutter} | {indent}{underline}", self.text)
    }
}
