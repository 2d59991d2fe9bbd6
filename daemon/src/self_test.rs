//! Whether packets whose checksum is left to the underlay device arrive whole at other hosts, and what is done where they
//! do not.
//!
//! weftd has a port of its own ([`namespace`]) in a network of its own ([`address`]), through which it sends probes to
//! the ports of the other weftds ([`probe`]): the way that workloads' packets go, in both directions. [`core`] says
//! when, and what follows; [`task`] does it. What follows, computing checksums in software, is done by the data plane
//! (`Host::software_checksums`), and kept over restarts ([`kept`]).

pub mod address;
mod bulk;
pub mod core;
mod flows;
pub mod kept;
pub mod namespace;
pub mod probe;
pub mod task;
mod trial;
