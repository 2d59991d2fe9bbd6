//! bfdd: FRR's BFD, and what it says of its peers.

use std::net::IpAddr;

use anyhow::{Context as _, Result};

use super::Frr;
use crate::peers::Daemon;
use crate::{PATIENCE, wait_for};

/// A session as bfdd shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BfdPeer {
    /// `up`, `init`, `down`; `shutdown` if its administrator holds it down.
    pub status: String,
    /// Why it last changed, such as `control detection time expired`.
    pub diagnostic: String,
    /// The other side's reason.
    pub remote_diagnostic: String,
    /// What the other side says that it sends, and is ready to receive, in milliseconds.
    pub remote_intervals: [u64; 2],
    /// The other side's detection multiplier.
    pub remote_multiplier: u64,
}

impl Frr {
    /// bfdd's process.
    ///
    /// # Errors
    /// It was not wanted.
    pub fn bfdd(&mut self) -> Result<&mut Daemon> {
        self.bfdd.as_mut().context("FRR runs without bfdd")
    }

    /// bfdd's session with an address.
    ///
    /// # Errors
    /// There is none.
    pub fn bfd_peer(&self, address: IpAddr) -> Result<BfdPeer> {
        let said = self.show("bfd peers")?;
        let mut peers = said.as_array().into_iter().flatten();
        let peer = peers.find(|peer| peer["peer"] == address.to_string());
        let peer = peer.with_context(|| format!("no BFD peer {address}: {said}"))?;
        let text = |key: &str| peer[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| peer[key].as_u64().with_context(|| format!("no {key}: {peer}"));
        Ok(BfdPeer {
            status: text("status"),
            diagnostic: text("diagnostic"),
            remote_diagnostic: text("remote-diagnostic"),
            remote_intervals: [number("remote-transmit-interval")?, number("remote-receive-interval")?],
            remote_multiplier: number("remote-detect-multiplier")?,
        })
    }

    /// Waits until bfdd's session with an address is as `wanted`.
    ///
    /// # Errors
    /// It is not in time; what it is.
    pub fn wait_for_bfd(
        &self,
        address: IpAddr,
        what: &str,
        wanted: impl Fn(&BfdPeer) -> bool,
    ) -> Result<BfdPeer> {
        wait_for(PATIENCE, what, || match self.bfd_peer(address) {
            Ok(peer) if wanted(&peer) => Ok(peer),
            Ok(peer) => Err(format!("{peer:?}")),
            Err(error) => Err(format!("{error:#}")),
        })
    }
}
