//! Sessions: two peers on a link that is not always good, and one peer against bytes.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod link;
mod network;
mod pairs;
mod restarts;
mod single;
