//! A document as a tree in which every node knows where it stands in the input.

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A string that is nothing but a string: quoted, or a block.
    Text(String),
    /// A word without quotes in YAML. The field that it is for decides what it is, so that a port may be named `no`.
    Plain(String),
    /// A number, boolean or null of JSON.
    Literal(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key begins.
    pub(super) at: Place,
    pub(super) value: Node,
}

/// How deep lists and maps may be in each other. Resources need four; more would only exhaust the stack.
pub(super) const MAX_DEPTH: usize = 32;

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Value::Text(_) | Value::Plain(_) | Value::Literal(_) | Value::List(_) => None,
        }
    }

    /// Where the value of a path such as `addresses[1].mac` stands, or of as much of the path as there is.
    pub(super) fn find(&self, path: &str) -> Place {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match step.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|index| node.item(index)),
                None => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.at
    }

    fn item(&self, index: usize) -> Option<&Self> {
        match &self.value {
            Value::List(items) => items.get(index),
            Value::Text(_) | Value::Plain(_) | Value::Literal(_) | Value::Map(_) => None,
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Plain(text) if !is_null(text) => Some(text),
            Value::Plain(_) | Value::Literal(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// How many nodes it is made of.
    pub(super) fn size(&self) -> usize {
        match &self.value {
            Value::Text(_) | Value::Plain(_) | Value::Literal(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.size()).sum::<usize>(),
        }
    }
}

/// Whether a plain word means "nothing" (YAML 1.2 core schema).
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
