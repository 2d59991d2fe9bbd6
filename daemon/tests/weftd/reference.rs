//! The reference of the reasons of drops is complete, and says of each what to do.

use std::collections::BTreeMap;
use std::path::Path;

use weft_api::view::NOISE;
use weft_dataplane_abi::DropReason;

/// What the reference must say of each reason.
const PARTS: [&str; 3] = ["- Meaning: ", "- Usual cause: ", "- What to do: "];

/// The sections of the reference, by the reason in their headings.
fn sections() -> BTreeMap<String, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/drop-reasons.md");
    let page = std::fs::read_to_string(file).unwrap();
    let sections = page.split("\n### `").skip(1).map(|section| {
        let (name, text) = section.split_once("`\n").unwrap();
        (name.to_owned(), text.to_owned())
    });
    sections.collect()
}

#[test]
fn every_reason_of_a_drop_is_explained() {
    let mut sections = sections();
    let mut missing = Vec::new();
    for name in DropReason::ALL.map(DropReason::name) {
        let section = sections.remove(name).unwrap_or_default();
        let parts = PARTS.iter().filter(|part| !section.contains(*part));
        missing.extend(parts.map(|part| format!("`{name}`: {part}")));
    }
    assert!(missing.is_empty(), "docs/reference/drop-reasons.md lacks\n{}", missing.join("\n"));
    let unknown: Vec<_> = sections.into_keys().collect();
    assert!(unknown.is_empty(), "docs/reference/drop-reasons.md explains what does not exist: {unknown:?}");
}

#[test]
fn noise_is_named_as_in_the_kernel() {
    for name in NOISE {
        assert!(DropReason::ALL.iter().any(|reason| reason.name() == name), "{name}");
    }
}
