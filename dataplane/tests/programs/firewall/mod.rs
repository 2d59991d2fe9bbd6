//! Security groups and connections in the loaded programs, beside the plain code that says what they must do.

mod connections;
mod copies;
mod peers;
mod rules;
mod sources;
#[path = "../../../../policy/tests/properties/universe.rs"]
#[expect(dead_code, reason = "the policy crate's own tests use the rest of it")]
mod universe;
