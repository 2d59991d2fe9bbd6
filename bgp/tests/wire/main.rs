//! The codec from outside: captured messages, the mistakes of other speakers, damaged messages, any values.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod damage;
mod mistakes;
mod peers;
mod support;
mod tshark;
mod values;
mod vectors;
