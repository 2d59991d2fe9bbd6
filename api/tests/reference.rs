//! The reference is true: its examples are what the types of the API read.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weft_api::document::{Source, read};
use weft_api::kind::Kind;
use weft_api::view::bgp::{Explanation, Neighbor, RibRoute, Summary};
use weft_api::view::security::{FlowLine, FlowTop, Flows, Hits, PolicyTest};
use weft_api::view::{Counters, DropLine, ErrorBody, Event, Outcome, Route, Status};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    fs::read_to_string(path).expect(name)
}

/// The blocks of a language, with what follows it on the opening line.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(&'a str, &'a str)> {
    let fence = format!("```{language}");
    let parts = page.split(&fence).skip(1);
    parts
        .filter_map(|part| {
            let (label, rest) = part.split_once('\n')?;
            Some((label.trim(), rest.split("```").next()?))
        })
        .collect()
}

/// Every field of the example is known, and none is missing.
fn check<T: DeserializeOwned + Serialize>(text: &str) {
    let example: Value = serde_json::from_str(text).expect(text);
    let value: T = serde_json::from_value(example.clone()).expect(text);
    assert_eq!(serde_json::to_value(&value).expect(text), example);
}

#[test]
fn resources_can_be_applied() {
    let page = page("resources.md");
    let sources: Vec<_> = blocks(&page, "yaml")
        .iter()
        .zip(1..)
        .map(|((_, text), number)| Source {
            name: format!("example-{number}.yaml"),
            text: (*text).to_owned(),
        })
        .collect();
    let documents = read(&sources).unwrap();
    for kind in Kind::ALL {
        assert!(documents.iter().any(|document| document.value.kind() == kind), "no example of a {kind}");
    }
}

#[test]
fn answers_are_those_of_the_api() {
    let page = page("api.md");
    let blocks = blocks(&page, "json");
    assert_eq!(blocks.len(), 16);
    for (label, text) in blocks {
        match label {
            "Outcome" => check::<Outcome>(text),
            "ErrorBody" => check::<ErrorBody>(text),
            "Status" => check::<Status>(text),
            "Routes" => check::<Vec<Route>>(text),
            "Counters" => check::<Vec<Counters>>(text),
            "Drops" => check::<Vec<DropLine>>(text),
            "Flows" => check::<Flows>(text),
            "FlowLines" => check::<Vec<FlowLine>>(text),
            "FlowTop" => check::<FlowTop>(text),
            "Hits" => check::<Vec<Hits>>(text),
            "PolicyTest" => check::<PolicyTest>(text),
            "Event" => check::<Event>(text),
            "BgpSummary" => check::<Summary>(text),
            "BgpNeighbor" => check::<Neighbor>(text),
            "BgpRib" => check::<Vec<RibRoute>>(text),
            "BgpExplanations" => check::<Vec<Explanation>>(text),
            label => panic!("what is {label:?}?"),
        }
    }
}
