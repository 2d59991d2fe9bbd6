//! The files that people write resources in: YAML with one or more documents, or JSON (an object, an array, or
//! several one after another).
//!
//! Everything that is wrong with the input is reported at once, each with file, line, column and object. Fields that
//! weft adds to what it prints (`revision`) are accepted and ignored, so that its output is good input.

mod de;
mod json;
mod node;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

use crate::kind::{KINDS, Kind, Reference};
use crate::resource::Resource;
use crate::view::Problem;
use de::{Flaw, Flaws};
use node::{Node, Place, Value};

/// An input and what to call it in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's path, or `stdin`. The ending `.json`, `.yaml` or `.yml` decides the format; else the text does.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A value of the input and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub position: Position,
    /// Where its fields are.
    document: Node,
}

impl<T> Located<T> {
    /// Where a field stands, such as `addresses[1].mac`. Of one that was left out: where the innermost list or map
    /// begins that could have it.
    #[must_use]
    pub fn position_of(&self, field: &str) -> Position {
        let Place { line, column } = self.document.find(field);
        Position { line, column, ..self.position.clone() }
    }
}

/// A place in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of the source.
    pub source: String,
    /// Which resource of the source, from 1.
    pub document: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, document, line, column } = self;
        write!(f, "{source}:{line}:{column} (document {document})")
    }
}

/// One thing that is wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {}{message}", object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default())]
pub struct DocumentError {
    /// Where.
    pub position: Position,
    /// The object at fault, as `kind/name` as far as they are known.
    pub object: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why an input was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No resource in any source.
    #[error("no resource in {0}: expected documents with `kind`, `name` and the fields of the kind")]
    Empty(String),
    /// At least one document is wrong.
    #[error("{}", lines(.0))]
    Invalid(Vec<DocumentError>),
}

impl ReadError {
    /// In the form in which the daemon reports what is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Empty(_) => vec![Problem::new("input", self)],
            Self::Invalid(errors) => errors.iter().map(DocumentError::problem).collect(),
        }
    }
}

impl DocumentError {
    fn problem(&self) -> Problem {
        let object = match &self.object {
            Some(object) => format!("{object} at {}", self.position),
            None => self.position.to_string(),
        };
        Problem::new(object, &self.message)
    }
}

fn lines(errors: &[DocumentError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads resources, in the order of the input.
///
/// # Errors
/// [`ReadError`] with everything that is wrong: syntax, kinds, fields, values, and a resource given twice.
pub fn read(sources: &[Source]) -> Result<Vec<Located<Resource>>, ReadError> {
    let documents = read_with(sources, resource)?;
    refuse_duplicates(documents, Resource::reference)
}

/// Reads only which resources are meant: their kinds and names.
///
/// # Errors
/// [`ReadError`] with everything that is wrong as far as it hides a kind or a name.
pub fn read_references(sources: &[Source]) -> Result<Vec<Located<Reference>>, ReadError> {
    let documents = read_with(sources, |kind, node| match node.get("name").and_then(Node::text) {
        Some(name) => Ok(Reference { kind, name: name.to_owned() }),
        None => Err(Flaws(vec![Flaw::at(node.at, "`name` is missing, or not a string".to_owned())])),
    })?;
    refuse_duplicates(documents, Clone::clone)
}

fn read_with<T>(
    sources: &[Source],
    parse: impl Fn(Kind, &Node) -> Result<T, Flaws>,
) -> Result<Vec<Located<T>>, ReadError> {
    let mut values = Vec::new();
    let mut errors = Vec::new();
    for source in sources {
        let (nodes, broken) = parse_source(source);
        let nodes: Vec<Node> = nodes.into_iter().flat_map(items).collect();
        let next = nodes.len() + 1;
        for (mut node, document) in nodes.into_iter().zip(1..) {
            let (at, object) = (node.at, object(&node));
            let kind = kind(&node);
            strip(&mut node);
            match kind.and_then(|kind| parse(kind, &node)) {
                Ok(value) => {
                    let position = position(source, document, at);
                    values.push(Located { value, position, document: node });
                }
                Err(Flaws(flaws)) => errors.extend(flaws.into_iter().map(|flaw| {
                    let position = position(source, document, flaw.at.unwrap_or(at));
                    let path = if flaw.path.is_empty() { String::new() } else { format!("{}: ", flaw.path) };
                    DocumentError { position, object: object.clone(), message: path + &flaw.message }
                })),
            }
        }
        errors.extend(broken.map(|flaw| DocumentError {
            position: position(source, next, flaw.at.unwrap_or(Place::START)),
            object: None,
            message: flaw.message,
        }));
    }
    if !errors.is_empty() {
        return Err(ReadError::Invalid(errors));
    }
    if values.is_empty() {
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        return Err(ReadError::Empty(names.join(", ")));
    }
    Ok(values)
}

fn parse_source(source: &Source) -> (Vec<Node>, Option<Flaw>) {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let is_json = match source.name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => true,
        Some("yaml" | "yml") => false,
        _ => json::looks_like(text),
    };
    if is_json { json::read(text) } else { yaml::read(text) }
}

/// A list stands for its items.
fn items(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        Value::Text(_) | Value::Plain(_) | Value::Literal(_) | Value::Map(_) => vec![node],
    }
}

fn kind(node: &Node) -> Result<Kind, Flaws> {
    let flaw = |at, message| Flaws(vec![Flaw::at(at, message)]);
    let Value::Map(_) = &node.value else {
        return Err(flaw(
            node.at,
            "a resource is a map with `kind`, `name` and the fields of the kind".to_owned(),
        ));
    };
    let Some(word) = node.get("kind") else {
        return Err(flaw(node.at, format!("`kind` is missing; the kinds are {KINDS}")));
    };
    let text = word.text().unwrap_or_default();
    text.parse().map_err(|error: crate::kind::UnknownKind| flaw(word.at, error.to_string()))
}

/// Takes out what is no field of any kind.
fn strip(node: &mut Node) {
    if let Value::Map(entries) = &mut node.value {
        // The first `kind` and `revision` only: a second one is then an unknown field.
        for ours in ["kind", "revision"] {
            if let Some(index) = entries.iter().position(|entry| entry.key == ours) {
                entries.remove(index);
            }
        }
    }
}

/// Reads the struct of a kind itself: through the tagged enum, serde would lose the places.
fn resource(kind: Kind, node: &Node) -> Result<Resource, Flaws> {
    match kind {
        Kind::Network => Deserialize::deserialize(node).map(Resource::Network),
        Kind::Subnet => Deserialize::deserialize(node).map(Resource::Subnet),
        Kind::Port => Deserialize::deserialize(node).map(Resource::Port),
        Kind::Remote => Deserialize::deserialize(node).map(Resource::Remote),
        Kind::Peering => Deserialize::deserialize(node).map(Resource::Peering),
        Kind::SecurityGroup => Deserialize::deserialize(node).map(Resource::SecurityGroup),
        Kind::PeerGroup => Deserialize::deserialize(node).map(Resource::PeerGroup),
        Kind::Peer => Deserialize::deserialize(node).map(Resource::Peer),
    }
}

/// How to call a document that may not even have a kind.
fn object(node: &Node) -> Option<String> {
    let word = |key| node.get(key).and_then(Node::text);
    match (word("kind"), word("name")) {
        (Some(kind), Some(name)) => Some(format!("{kind}/{name}")),
        (Some(kind), None) => Some(kind.to_owned()),
        (None, Some(name)) => Some(format!("?/{name}")),
        (None, None) => None,
    }
}

fn refuse_duplicates<T>(
    documents: Vec<Located<T>>,
    reference: impl Fn(&T) -> Reference,
) -> Result<Vec<Located<T>>, ReadError> {
    let mut seen: HashMap<Reference, &Position> = HashMap::new();
    let mut errors = Vec::new();
    for document in &documents {
        let name = reference(&document.value);
        if let Some(first) = seen.get(&name) {
            let message = format!("given twice, first at {first}: keep one of them");
            let object = Some(name.to_string());
            errors.push(DocumentError { position: document.position.clone(), object, message });
        } else {
            seen.insert(name, &document.position);
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(ReadError::Invalid(errors)) }
}

fn position(source: &Source, document: usize, at: Place) -> Position {
    Position { source: source.name.clone(), document, line: at.line, column: at.column }
}
