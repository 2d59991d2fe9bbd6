//! EVPN instances from outside: what comes in as routes, ports and configuration, and what must come out.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod exchange;
mod explain;
mod frr;
mod imports;
mod local;
mod mobility;
mod segments;
mod support;
