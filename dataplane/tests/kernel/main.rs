//! The data plane against the running kernel. Each test is a host of its own: a network namespace and a pin folder.
//! Needs root and a BPF file system; without them a test says so and passes, but on CI, where it fails.

#![expect(unreachable_pub, reason = "the modules of a test share their helpers")]

mod foreign;
mod host;
mod next_hops;
mod pins;
mod ports;
mod tables;
