//! UPDATEs from peers into the table.

use std::sync::Arc;

use super::attributes::Shared;
use super::families;
use super::key::Key;
use super::table::{Flags, Path, SharedRef};
use super::{PeerId, Rib, import};
use crate::wire::{Attributes, Family, NextHop, Nlri, Route, Routes, Update};

/// What became of an UPDATE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Routes that came and may not be used.
    pub rejected: usize,
    /// How many paths of each family the peer has now: to be compared with its limit.
    pub held: Vec<(Family, usize)>,
}

impl Rib {
    /// Takes in what `peer` announces and withdraws. Nothing from a peer that is not up.
    pub fn handle_update(&mut self, peer: PeerId, update: Update) -> Outcome {
        let mut outcome = Outcome::default();
        if self.neighbours.get(&peer).is_none_or(|neighbour| neighbour.out.is_none()) {
            return outcome;
        }
        let mut memberships = false;
        let withdrawn = Routes::Ipv4(update.withdrawn);
        for routes in std::iter::once(withdrawn).chain(update.unreachable) {
            each(routes, |path_id, route| memberships |= self.withdrawn(peer, path_id, route));
        }
        let classic = update.attributes.next_hop.map(NextHop::V4);
        let announced = classic.map(|next_hop| (next_hop, Routes::Ipv4(update.announced)));
        let reachable = update.reachable.map(|reachable| (reachable.next_hop, reachable.routes));
        for (next_hop, routes) in
            announced.into_iter().chain(reachable).filter(|(_, routes)| !routes.is_empty())
        {
            let attributes = update.attributes.clone();
            memberships |= self.announced(peer, attributes, next_hop, routes, &mut outcome);
        }
        if memberships {
            self.memberships_changed(peer);
        }
        self.trim();
        if let Some(neighbour) = self.neighbours.get(&peer) {
            outcome.held = families::ALL.into_iter().zip(neighbour.held).collect();
        }
        outcome
    }

    /// Whether the peer wants other routes now.
    fn withdrawn(&mut self, peer: PeerId, path_id: u32, route: Route) -> bool {
        let (key, _) = Key::split(route);
        let changed = self.member(peer, &key, false);
        if self.take(&key, peer, path_id) {
            self.count(peer, key.family(), false);
        }
        changed
    }

    /// Whether the peer wants other routes now.
    fn announced(
        &mut self,
        peer: PeerId,
        mut attributes: Attributes,
        next_hop: NextHop,
        routes: Routes,
        outcome: &mut Outcome,
    ) -> bool {
        let family = routes.family();
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return false };
        let usable = import::prepare(&self.local, &neighbour.facts, family, &mut attributes);
        let round = neighbour.round(family);
        // Lent while the table changes.
        let policy = std::mem::take(&mut neighbour.facts.import);
        let each_alone = policy.depends_on_key();
        let mut common: Option<(Arc<Shared>, bool)> = None;
        let mut memberships = false;
        each(routes, |path_id, route| {
            let (key, payload) = Key::split(route);
            let (shared, accepted) = match &common {
                Some((shared, accepted)) => (Arc::clone(shared), *accepted),
                None => {
                    let mut own = attributes.clone();
                    let accepted = usable && policy.apply(&key, &mut own);
                    let own = if accepted { own } else { attributes.clone() };
                    let shared = self.interner.intern(own, next_hop);
                    if !each_alone {
                        common = Some((Arc::clone(&shared), accepted));
                    }
                    (shared, accepted)
                }
            };
            outcome.rejected += usize::from(!accepted);
            memberships |= self.member(peer, &key, accepted);
            let flags = Flags { rejected: !accepted, ..Flags::default() };
            let path = Path { shared: SharedRef(shared), payload, peer, path_id, flags, round };
            if self.put(key, path) {
                self.count(peer, family, true);
            }
        });
        if let Some((shared, _)) = common {
            self.interner.release(shared);
        }
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.facts.import = policy;
        }
        memberships
    }

    /// Notes a membership of the peer. Whether that is new.
    fn member(&mut self, peer: PeerId, key: &Key, wanted: bool) -> bool {
        let Key::RouteTargets(membership) = *key else { return false };
        let out = self.neighbours.get_mut(&peer).and_then(|neighbour| neighbour.out.as_mut());
        out.is_some_and(|out| out.memberships.set(membership, wanted))
    }
}

/// Each of the routes, with its path identifier or 0.
fn each(routes: Routes, mut take: impl FnMut(u32, Route)) {
    fn row<T>(row: Vec<Nlri<T>>, route: impl Fn(T) -> Route, take: &mut impl FnMut(u32, Route)) {
        for nlri in row {
            take(nlri.path_id.unwrap_or(0), route(nlri.route));
        }
    }
    match routes {
        Routes::Ipv4(routes) => row(routes, Route::Ipv4, &mut take),
        Routes::Ipv6(routes) => row(routes, Route::Ipv6, &mut take),
        Routes::Evpn(routes) => row(routes, Route::Evpn, &mut take),
        Routes::RouteTargets(routes) => row(routes, Route::RouteTargets, &mut take),
    }
}
