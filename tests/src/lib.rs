//! The network-namespace harness: hosts, wires, pods, probes, captures, and a whole cloud of weftds on one machine.
//!
//! A [`Lab`] owns all that a test makes and removes it, whatever happens. Everything is real: kernel namespaces and
//! veths (over netlink), the weftd and weft executables, packets of real sockets. Needs root and a kernel with BPF;
//! without them [`Lab::test`] skips the test with a word, or fails it where `CI` is set.
//!
//! ```text
//! Lab ── Namespace (netlink, sysctl, run, spawn) ── wire ── Namespace …      what the kernel has
//!  └──── Cloud ── Underlay (hosts, routers), Weftd per host, Intent, pods    what weft makes of it
//! peers (FRR, GoBGP, ExaBGP, BIRD, raw)                               other people's BGP speakers
//! probe (ping, TCP, UDP, steady flows) · Capture · frame (forged packets)    what tests do to it
//! ```

mod capture;
mod cleanup;
pub mod cloud;
mod dice;
mod drops;
mod flood;
pub mod foreign;
mod forgetful;
pub mod frame;
mod lab;
mod netlink;
mod netns;
mod offload;
mod packet;
mod pairwise;
pub mod peers;
mod pieces;
pub mod probe;
mod process;
mod require;
mod socket_option;
pub mod underlay;
mod wait;
mod weft;
mod weftd;
mod wire;

pub use capture::{Capture, Caught};
pub use cleanup::remove as remove_lab;
pub use dice::Dice;
pub use drops::Drops;
pub use flood::{Flood, Flooded};
pub use forgetful::{Damage, Forgetful};
pub use lab::Lab;
pub use netlink::{Impairment, Link, Neighbour, Route, Stations, without_netem};
pub use netns::Namespace;
pub use offload::Offloads;
pub use packet::{Direction, Ip, Packet, Vxlan};
pub use pairwise::pairwise;
pub use process::binary;
pub use socket_option::repair;
pub use wait::{PATIENCE, let_pass, wait_closely, wait_for, wait_until};
pub use weft::{Output, Weft};
pub use weftd::{Settings, Weftd};
pub use wire::{End, Wire};
