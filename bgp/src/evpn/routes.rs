//! Routes of others come, change and go.

use std::time::Instant;

use super::forwarding::Subject;
use super::learned::{Learned, LearnedPath, Refusal};
use super::{Event, Instances};
use crate::peer::PeerId;
use crate::rib::Key;
use crate::wire::{EvpnRoute, Route};

/// A change of the best path of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange<'a> {
    /// The route. Its labels count if there is a path.
    pub route: EvpnRoute,
    /// Its best path; `None` if it is gone.
    pub best: Option<LearnedPath<'a>>,
    /// Other paths that are as good, each with the route and its labels there. They count for prefixes.
    pub others: Vec<(EvpnRoute, LearnedPath<'a>)>,
}

/// What became of a route.
#[derive(Debug)]
pub(super) enum Held {
    /// In a box, for the table has room for more than it holds.
    Used {
        learned: Box<Learned>,
        subjects: Box<[Subject]>,
    },
    Refused {
        reason: Refusal,
        from: PeerId,
    },
}

impl Instances {
    /// A route has another best path, or none any more. Own routes count for nothing.
    pub fn handle_route(&mut self, change: RouteChange<'_>, now: Instant) {
        let RouteChange { route, best, others } = change;
        let (key, _) = Key::split(Route::Evpn(route.clone()));
        let mut touched = Vec::new();
        let before = self.routes.remove(&key);
        if let Some(Held::Used { learned, subjects }) = &before {
            self.segments.remove(&key, &learned.kind);
            self.forget(&key, subjects);
            touched.extend(subjects);
            self.touch_segment(learned, &mut touched);
        }
        if let Some(path) = best {
            match Learned::read_all(&route, &path, &others, self.host.vtep) {
                Ok(Some(learned)) if learned.vtep != self.host.vtep => {
                    self.touch_segment(&learned, &mut touched);
                    self.segments.insert(&key, &learned.kind);
                    let subjects = self.subjects(&key, &learned);
                    touched.extend(&subjects);
                    self.remember(&key, &subjects);
                    self.routes
                        .insert(key, Held::Used { learned: Box::new(learned), subjects: subjects.into() });
                }
                Ok(Some(_) | None) => {}
                Err(reason) => self.refuse(key, route, path.from, reason, before.as_ref()),
            }
        }
        self.settle(touched, now);
    }

    fn refuse(&mut self, key: Key, route: EvpnRoute, from: PeerId, reason: Refusal, before: Option<&Held>) {
        let told = matches!(before, Some(Held::Refused { reason: told, .. }) if *told == reason);
        if !told {
            self.events.push_back(Event::Refused { route, from, reason });
        }
        self.routes.insert(key, Held::Refused { reason, from });
    }

    /// A route that can be used.
    pub(super) fn learned(&self, key: &Key) -> Option<&Learned> {
        match self.routes.get(key)? {
            Held::Used { learned, .. } => Some(learned),
            Held::Refused { .. } => None,
        }
    }

    /// Adds what is reached, or not, by a route of a segment.
    fn touch_segment(&self, learned: &Learned, touched: &mut Vec<Subject>) {
        for key in self.segments.behind(&learned.kind) {
            if let Some(Held::Used { subjects, .. }) = self.routes.get(key) {
                touched.extend(subjects);
            }
        }
    }

    pub(super) fn remember(&mut self, key: &Key, subjects: &[Subject]) {
        for subject in subjects {
            self.candidates.entry(*subject).or_insert_with(|| Vec::with_capacity(1)).push(key.clone());
        }
    }

    pub(super) fn forget(&mut self, key: &Key, subjects: &[Subject]) {
        for subject in subjects {
            if let Some(keys) = self.candidates.get_mut(subject) {
                keys.retain(|held| held != key);
                if keys.is_empty() {
                    self.candidates.remove(subject);
                }
            }
        }
    }
}
