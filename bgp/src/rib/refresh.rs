//! Route refresh: routes are told again (RFC 2918), between marks if both sides know these (RFC 7313). What a peer did
//! not tell again between its marks is gone.
//!
//! A route carries the round in which it came. The mark at the beginning starts another round, which costs nothing; the
//! one at the end has the routes of other rounds removed in slices.

use std::time::{Duration, Instant};

use super::families::{self, Families};
use super::neighbour::{Neighbour, Out};
use super::stale::Work;
use super::{PeerId, Rib};
use crate::wire::{Family, RouteRefresh, RouteRefreshKind};

/// How long a peer may take to tell its routes again until the others go (RFC 7313 section 4).
const LIMIT: Duration = Duration::from_secs(600);

/// How a peer tells a family again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refresh {
    /// Of the routes that come now. Only whether two are the same counts.
    pub(super) round: u8,
    /// The end has to come until then.
    pub(super) until: Option<Instant>,
}

impl Rib {
    /// The peer wants the routes of a family again, or tells its own again.
    pub fn handle_refresh(&mut self, peer: PeerId, refresh: RouteRefresh, now: Instant) {
        self.now = Some(now);
        match refresh.kind {
            RouteRefreshKind::Request => self.tell_again(peer, refresh.family),
            RouteRefreshKind::Begin => self.begin_refresh(peer, refresh.family, now),
            RouteRefreshKind::End => self.end_refresh(peer, refresh.family),
            RouteRefreshKind::Other(_) => {}
        }
    }

    fn tell_again(&mut self, peer: PeerId, family: Family) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let Some(out) = neighbour.out.as_mut().filter(|out| out.open(family)) else { return };
        if neighbour.facts.enhanced_refresh {
            out.asked = out.asked.with(family);
        } else {
            out.cursor.walk(Families::of(&[family]), true, Families::NONE);
        }
    }

    fn begin_refresh(&mut self, peer: PeerId, family: Family, now: Instant) {
        // The round before may still be looking for what it lacks, which must not hit what comes now.
        self.finish_sweeps(peer);
        let Some(neighbour) = self.neighbours.get_mut(&peer).filter(|neighbour| neighbour.out.is_some())
        else {
            return;
        };
        if let Some(refresh) = neighbour.refresh(family) {
            refresh.round = refresh.round.wrapping_add(1);
            refresh.until = Some(now + LIMIT);
        }
    }

    /// An end without a beginning says nothing.
    fn end_refresh(&mut self, peer: PeerId, family: Family) {
        let Some(refresh) = self.neighbours.get_mut(&peer).and_then(|neighbour| neighbour.refresh(family))
        else {
            return;
        };
        if refresh.until.take().is_some() {
            let work = Work::RemoveOthers(refresh.round);
            self.sweep(peer, Families::of(&[family]), work);
        }
    }
}

impl Neighbour {
    fn refresh(&mut self, family: Family) -> Option<&mut Refresh> {
        families::index(family).and_then(|index| self.refreshes.get_mut(index))
    }

    /// The round in which routes of the family come now.
    pub(super) fn round(&self, family: Family) -> u8 {
        let refresh = families::index(family).and_then(|index| self.refreshes.get(index));
        refresh.map_or(0, |refresh| refresh.round)
    }

    /// Ends refreshes that took too long, as if the peer had said so: their families and rounds.
    pub(super) fn end_overdue(&mut self, now: Instant) -> impl Iterator<Item = (Family, u8)> {
        let refreshes = families::ALL.into_iter().zip(&mut self.refreshes);
        refreshes.filter_map(move |(family, refresh)| {
            refresh.until.take_if(|until| *until <= now).map(|_| (family, refresh.round))
        })
    }
}

impl Out {
    /// Begins to tell families again: their beginning is to be marked now. What is still told for the first time is
    /// told to its end before (RFC 7313 section 4).
    pub(super) fn begin_answers(&mut self) -> Families {
        let mut ready = Families::NONE;
        for family in self.asked.iter() {
            if self.answering.has(family) || !self.cursor.is_incomplete(family) {
                ready = ready.with(family);
            }
        }
        if !ready.is_empty() {
            self.asked = ready.iter().fold(self.asked, Families::without);
            self.answering = self.answering.with_all(ready);
            self.cursor.walk(ready, true, ready);
        }
        ready
    }

    /// The family was told to its end. Whether that is the end of an answer.
    pub(super) fn end_answer(&mut self, family: Family) -> bool {
        let answered = self.answering.has(family);
        self.answering = self.answering.without(family);
        answered
    }
}
