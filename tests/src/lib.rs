//! The network-namespace harness.
