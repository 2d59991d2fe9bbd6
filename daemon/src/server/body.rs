//! Request bodies: what is wrong with one is told with the object and the field.

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::Resource;
use weft_api::view::Problem;

use super::error::Refusal;

/// Reads one resource of a kind that the path names; `name` too, unless it is to be created.
pub(super) fn resource(kind: Kind, name: Option<&str>, body: &[u8]) -> Result<Resource, Refusal> {
    let object = name.map_or_else(|| kind.to_string(), |name| format!("{kind}/{name}"));
    let mut fields: Map<String, Value> = read(&object, body)?;
    let bad = |message: String| Refusal::one(StatusCode::BAD_REQUEST, &object, message);
    if let Some(other) = fields.remove("kind").filter(|other| *other != kind.singular()) {
        return Err(bad(format!("kind: the body says {other}, the path {kind}")));
    }
    if let Some(name) = name
        && let Some(other) = fields.get("name").filter(|other| **other != name)
    {
        return Err(bad(format!(
            "name: the body says {other}, the path {name}; a resource cannot be renamed"
        )));
    }
    of_kind(kind, fields).map_err(|problem| Refusal::new(StatusCode::BAD_REQUEST, vec![problem]))
}

/// Reads an array of resources; tells everything that is wrong with any of them.
pub(super) fn resources(body: &[u8]) -> Result<Vec<Resource>, Refusal> {
    let documents: Vec<Value> = read("body", body)?;
    let (mut resources, mut problems) = (Vec::new(), Vec::new());
    for (index, document) in documents.into_iter().enumerate() {
        match tagged(document) {
            Ok(resource) => resources.push(resource),
            Err(problem) => {
                problems.push(Problem {
                    object: format!("{} (document {})", problem.object, index + 1),
                    ..problem
                });
            }
        }
    }
    if problems.is_empty() { Ok(resources) } else { Err(Refusal::new(StatusCode::BAD_REQUEST, problems)) }
}

/// Reads an array of names.
pub(super) fn references(body: &[u8]) -> Result<Vec<Reference>, Refusal> {
    read("body", body)
}

/// Reads a value; the error names the field.
pub(super) fn read<T: DeserializeOwned>(object: &str, body: &[u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Refusal::one(StatusCode::BAD_REQUEST, object, message(&error)))?;
    deserializer.end().map_err(|error| Refusal::one(StatusCode::BAD_REQUEST, object, error))?;
    Ok(value)
}

/// A resource that says its kind itself.
fn tagged(document: Value) -> Result<Resource, Problem> {
    let problem = |message: &str| Problem::new("resource", message);
    let Value::Object(mut fields) = document else {
        return Err(problem("it is not an object with a kind and a name"));
    };
    let kind = fields.remove("kind").ok_or_else(|| problem("kind: missing field"))?;
    let kind = kind.as_str().ok_or_else(|| problem("kind: it is not a string"))?;
    let kind: Kind = kind.parse().map_err(|error| problem(&format!("kind: {error}")))?;
    of_kind(kind, fields)
}

fn of_kind(kind: Kind, fields: Map<String, Value>) -> Result<Resource, Problem> {
    fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
        serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| message(&error))
    }
    let name = fields.get("name").and_then(Value::as_str);
    let object = name.map_or_else(|| kind.to_string(), |name| format!("{kind}/{name}"));
    let resource = match kind {
        Kind::Network => typed(fields).map(Resource::Network),
        Kind::Subnet => typed(fields).map(Resource::Subnet),
        Kind::Port => typed(fields).map(Resource::Port),
        Kind::Remote => typed(fields).map(Resource::Remote),
        Kind::Peering => typed(fields).map(Resource::Peering),
        Kind::SecurityGroup => typed(fields).map(Resource::SecurityGroup),
        Kind::PeerGroup => typed(fields).map(Resource::PeerGroup),
        Kind::Peer => typed(fields).map(Resource::Peer),
    };
    resource.map_err(|message| Problem::new(object, message))
}

fn message(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    }
}
