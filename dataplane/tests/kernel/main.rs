//! The data plane against the running kernel. Each test is a host of its own: a network namespace and a pin folder.
//! Needs root and a BPF file system; without them a test says so and passes, but on CI, where it fails.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of a test, shared by its modules, fail and speak as it does"
)]

mod attached;
mod clsact;
mod flows;
mod foreign;
mod gone;
mod groups;
mod headroom;
mod held;
mod host;
mod kept;
mod layouts;
mod next_hops;
mod owners;
mod pins;
mod ports;
mod scale;
mod sizes;
mod strangers;
mod tables;
mod traffic;
mod trials;
mod xdp;
