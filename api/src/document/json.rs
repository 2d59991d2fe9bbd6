//! JSON into [`Node`]s: one value, or several one after another.
//!
//! serde_json says whether the input is JSON; what it accepted is then walked to learn where each value stands.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::de::Flaw;
use super::node::{Entry, MAX_DEPTH, Node, Place, Value};

/// Whether a text that may be YAML or JSON is JSON.
pub(super) fn looks_like(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Reads the values of a file up to its first syntax error.
pub(super) fn read(text: &str) -> (Vec<Node>, Option<Flaw>) {
    let mut walk = Walk { text, at: 0, lines: line_starts(text), counted: (0, 1) };
    let mut nodes = Vec::new();
    let mut stream = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    loop {
        match stream.next() {
            None => return (nodes, None),
            Some(Ok(_)) => match walk.value(0) {
                Ok(node) => nodes.push(node),
                Err(flaw) => return (nodes, Some(flaw)),
            },
            Some(Err(error)) => {
                let at = Place { line: error.line().max(1), column: error.column().max(1) };
                let words = error.to_string();
                // serde_json ends with the position, which ours starts with.
                let words = words.split(" at line ").next().unwrap_or_default();
                return (nodes, Some(Flaw::at(at, format!("not JSON: {words}"))));
            }
        }
    }
}

/// Walks over JSON that is known to be well formed.
struct Walk<'a> {
    text: &'a str,
    /// Byte offset of what comes next.
    at: usize,
    /// Byte offset of each line.
    lines: Vec<usize>,
    /// Byte offset and column of a place to count on from: all of a file may be on one line.
    counted: (usize, usize),
}

impl Walk<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Flaw> {
        self.skip();
        let at = self.place(self.at);
        if depth > MAX_DEPTH {
            return Err(Flaw::at(at, format!("lists and maps are more than {MAX_DEPTH} deep in each other")));
        }
        let value = match self.peek() {
            b'{' => self.map(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Value::Text(self.string()?),
            _ => Value::Literal(self.take_while(|byte| !b",]} \t\r\n".contains(&byte)).to_owned()),
        };
        Ok(Node { at, value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Flaw> {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            if self.peek() != b'"' {
                self.at += 1;
                return Ok(Value::Map(entries));
            }
            let at = self.place(self.at);
            let key = self.string()?;
            entries.push(Entry { key, at, value: self.value(depth + 1)? });
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Flaw> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            if matches!(self.peek(), b']' | 0) {
                self.at += 1;
                return Ok(Value::List(items));
            }
            items.push(self.value(depth + 1)?);
        }
    }

    fn string(&mut self) -> Result<String, Flaw> {
        let start = self.at;
        self.at += 1;
        loop {
            self.take_while(|byte| byte != b'"' && byte != b'\\');
            match self.peek() {
                b'\\' => self.at += 2,
                _ => break,
            }
        }
        self.at += 1;
        let literal = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(literal)
            .map_err(|error| Flaw::at(self.place(start), format!("not a JSON string: {error}")))
    }

    /// Passes white space and the separators, whose order serde_json has checked.
    fn skip(&mut self) {
        self.take_while(|byte| b" \t\r\n,:".contains(&byte));
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &str {
        let start = self.at;
        while self.text.as_bytes().get(self.at).is_some_and(|byte| belongs(*byte)) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next byte, 0 at the end.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn place(&mut self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let (from, before) =
            if (start..=offset).contains(&self.counted.0) { self.counted } else { (start, 1) };
        let column = before + self.text.get(from..offset).map_or(0, |text| text.chars().count());
        self.counted = (offset, column);
        Place { line, column }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect()
}
