//! The own restart (RFC 4724 section 4.1): peers kept the routes that the speaker announced, and the data plane those
//! that it learned.
//!
//! The speaker announces nothing until each peer that is there has told all that it has; a peer that is not there, and
//! members of groups, of which nobody knows who there is, are waited for no longer than [`GRACE`], for what the others are
//! to be told waits too. What was kept of routes is good until every peer has told, or had the whole time to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Event, Speaker};
use crate::peer::PeerId;
use crate::session::Established;
use crate::wire::Family;

/// How long it is waited for peers with which there is no session yet.
const GRACE: Duration = Duration::from_secs(10);

/// Whom a restarting speaker waits for.
#[derive(Debug)]
pub(super) struct Restart {
    /// Until then, it is silent for the sake of peers that are not there.
    grace: Option<Instant>,
    /// When it has waited long enough for anything.
    deadline: Instant,
    /// The families that peers whose sessions are established have still to tell.
    missing: BTreeMap<PeerId, Missing>,
    silent: bool,
}

/// The families that a peer has still to tell.
#[derive(Debug, Default)]
struct Missing {
    families: BTreeSet<Family>,
    /// It restarts too, and may wait for this speaker to announce.
    waits: bool,
}

impl Restart {
    pub(super) fn new(now: Instant, longest: Duration) -> Self {
        let grace = Some(now + GRACE.min(longest));
        Self { grace, deadline: now + longest, missing: BTreeMap::new(), silent: true }
    }

    /// When it has waited long enough for something.
    pub(super) fn next_deadline(&self) -> Instant {
        self.grace.unwrap_or(self.deadline)
    }

    /// Whether nothing is to be announced yet.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// A session is established. Nothing is missing of a peer that says no End-of-RIB.
    pub(super) fn handle_up(&mut self, peer: PeerId, established: &Established) {
        let missing = established.restart.as_ref().map(|restart| Missing {
            families: established.families.iter().copied().collect(),
            waits: restart.restarted,
        });
        self.missing.insert(peer, missing.unwrap_or_default());
    }

    /// The peer told all that it has of the family.
    pub(super) fn handle_end_of_rib(&mut self, peer: PeerId, family: Family) {
        if let Some(missing) = self.missing.get_mut(&peer) {
            missing.families.remove(&family);
        }
    }

    /// The peer is gone, and starts again when it comes back.
    pub(super) fn handle_down(&mut self, peer: PeerId) {
        self.missing.remove(&peer);
    }

    /// Whether `peers` and all that came by themselves have told all that they have; `more` may come. Silence does not wait
    /// for those that wait themselves; what they will tell is not missing from the routes before they had the time to.
    fn is_complete(&mut self, peers: &BTreeSet<PeerId>, more: bool, now: Instant) -> bool {
        self.grace = self.grace.filter(|at| *at > now);
        let told = self.missing.values().all(|missing| missing.families.is_empty());
        let heard = self.missing.values().all(|missing| missing.waits || missing.families.is_empty());
        let all = !more && peers.iter().all(|peer| self.missing.contains_key(peer));
        self.silent &= !(heard && (all || self.grace.is_none())) && now < self.deadline;
        (told && all) || now >= self.deadline
    }
}

impl Speaker {
    /// Whether the speaker still waits after a restart.
    #[must_use]
    pub const fn is_restarting(&self) -> bool {
        self.restart.is_some()
    }

    /// Ends the wait if nobody is left to wait for.
    pub(super) fn check_restart(&mut self, now: Instant) {
        let awaited = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.group.is_none() && peer.config.session.shutdown.is_none());
        let awaited = awaited.map(|(id, _)| *id).collect();
        let more = !self.neighbours.groups.is_empty();
        let Some(restart) = &mut self.restart else { return };
        let (was_silent, complete) = (restart.is_silent(), restart.is_complete(&awaited, more, now));
        if was_silent && !restart.is_silent() {
            self.rib.set_quiet(false);
            self.peers.values_mut().for_each(|peer| peer.session.handle_restarted());
        }
        if complete {
            self.restart = None;
            self.tell(Event::Converged);
        }
    }
}
