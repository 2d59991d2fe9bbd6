//! The own restart (RFC 4724 section 4.1): peers kept the routes that the speaker announced, and the data plane those
//! that it learned. Until each peer has told all that it has, or had the time to, the speaker announces nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Event, Speaker};
use crate::peer::PeerId;
use crate::session::Established;
use crate::wire::Family;

/// Whom a restarting speaker waits for.
#[derive(Debug)]
pub(super) struct Restart {
    deadline: Instant,
    /// The families that a peer whose session is established has still to tell.
    missing: BTreeMap<PeerId, BTreeSet<Family>>,
}

impl Restart {
    pub(super) const fn new(deadline: Instant) -> Self {
        Self { deadline, missing: BTreeMap::new() }
    }

    /// When it has waited long enough.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A session is established. Nothing is waited for of a peer that says no End-of-RIB, or that waits itself.
    pub(super) fn handle_up(&mut self, peer: PeerId, established: &Established) {
        let restart = established.restart.as_ref().filter(|restart| !restart.restarted);
        let families = restart.map(|_| established.families.iter().copied().collect());
        self.missing.insert(peer, families.unwrap_or_default());
    }

    /// The peer told all that it has of the family.
    pub(super) fn handle_end_of_rib(&mut self, peer: PeerId, family: Family) {
        if let Some(missing) = self.missing.get_mut(&peer) {
            missing.remove(&family);
        }
    }

    /// The peer is gone, and starts again when it comes back.
    pub(super) fn handle_down(&mut self, peer: PeerId) {
        self.missing.remove(&peer);
    }

    fn has_all_of(&self, peer: PeerId) -> bool {
        self.missing.get(&peer).is_some_and(BTreeSet::is_empty)
    }
}

impl Speaker {
    /// Whether the speaker still waits after a restart.
    #[must_use]
    pub const fn is_restarting(&self) -> bool {
        self.restart.is_some()
    }

    /// Ends the wait if nobody is left to wait for: members of groups come when they come.
    pub(super) fn check_restart(&mut self) {
        let Some(restart) = &self.restart else { return };
        let mut awaited = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.group.is_none() && peer.config.session.shutdown.is_none());
        if awaited.all(|(id, _)| restart.has_all_of(*id)) {
            self.end_restart();
        }
    }

    pub(super) fn end_restart(&mut self) {
        self.restart = None;
        self.tell(Event::Converged);
    }
}
