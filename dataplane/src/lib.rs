//! Keeps a host's kernel as the daemon wants it.

pub mod desired;
