//! What must hold for every policy: the tables find what a walk over the rules finds, and so do the maps at every moment
//! while a change is written.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod changes;
mod policies;
mod races;
mod tables;
mod universe;
