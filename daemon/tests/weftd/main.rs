//! weftd as its users meet it: the API over a real socket, ports in real namespaces, the command line.
//!
//! Each test has a network namespace of its own and a temporary folder for state, so that they run side by side and
//! meet nothing of the machine's. They need root; without it they say that they are skipped, which CI does not accept.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it is skipped"
)]

mod api;
mod attach;
mod bgp;
mod caller;
mod command;
mod daemon;
mod disk;
mod pod;
mod power_cut;
mod reference;
