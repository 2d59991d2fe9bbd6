//! Other people's BGP speakers, in namespaces of a lab: FRR, GoBGP, ExaBGP, BIRD, and a raw one for what none of them
//! would say.
//!
//! Each speaker is configured by text in its own words, keeps its files in a folder of its own below the lab's, and is
//! started until its control socket answers. Its daemon can be killed, stopped and paused; whatever happens, it ends
//! with the lab, and what it logged is shown when a test fails.
//!
//! ```text
//! Frr ────── zebra, bgpd, bfdd    in a mount namespace of its own     KernelVtep: bridges and VXLAN that zebra steers
//! GoBgp ──── gobgpd, gobgp        injects EVPN routes of all types
//! ExaBgp ─── exabgp               logs what it receives as JSON
//! Bird ───── bird, birdcl         IPv4 and IPv6
//! RawPeer ── a TCP stream         bytes as they are
//! ```

mod bird;
mod client;
mod daemon;
mod exabgp;
mod frr;
mod gobgp;
mod program;
mod raw;

use anyhow::Result;

pub use bird::{Bird, BirdRoute};
pub use daemon::Daemon;
pub use exabgp::{Carrier, ExaBgp};
pub use frr::{BfdPeer, EvpnPath, Frr, FrrSettings, KernelVtep, Pod};
pub use gobgp::{GoBgp, GoBgpPath};
pub use program::Program;
pub use raw::{Heard, RawListener, RawPeer};

use crate::{Lab, require};

/// Runs a test that needs these programs in a lab of its own, as [`Lab::test`] does.
///
/// # Errors
/// Those of `work`.
///
/// # Panics
/// As `work` does; and if a program is missing while `CI` is set.
pub fn test(programs: &[Program], work: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    match programs.iter().find_map(|program| program.missing()) {
        Some(reason) => {
            require::skip(&reason);
            Ok(())
        }
        None => Lab::test(work),
    }
}
