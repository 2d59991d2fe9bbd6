//! Who wants which routes: route target constraint (RFC 4684), both ways.

use std::collections::BTreeSet;

use super::families::Families;
use super::{PeerId, Rib};
use crate::wire::{AsPath, Asn, Attributes, Family, Origin, Route, RouteTarget, RouteTargetMembership};

/// What a peer wants.
#[derive(Debug, Default)]
pub(super) struct Memberships(BTreeSet<RouteTargetMembership>);

/// Which routes the speaker wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All: it reflects them.
    All,
    /// Those with one of these targets.
    Targets(BTreeSet<RouteTarget>),
}

impl Memberships {
    pub(super) fn set(&mut self, membership: RouteTargetMembership, wanted: bool) -> bool {
        if wanted { self.0.insert(membership) } else { self.0.remove(&membership) }
    }

    /// Whether the peer wants a route with these attributes.
    pub(super) fn want(&self, attributes: &Attributes) -> bool {
        // A route without a target is for nobody's import, and no membership can ask for it but the default one.
        self.0.contains(&RouteTargetMembership::Default)
            || attributes
                .extended_communities
                .iter()
                .any(|community| self.0.iter().any(|membership| membership.covers(*community)))
    }
}

impl Wanted {
    /// As memberships that start in `asn`.
    fn memberships(&self, asn: Asn) -> BTreeSet<RouteTargetMembership> {
        match self {
            Self::All => BTreeSet::from([RouteTargetMembership::Default]),
            Self::Targets(targets) => targets
                .iter()
                .map(|target| RouteTargetMembership::Targets { origin: asn, targets: (*target).into() })
                .collect(),
        }
    }
}

impl Rib {
    /// Tells the peers which routes the speaker wants: what it told before and wants no more is withdrawn.
    pub fn set_wanted(&mut self, wanted: &Wanted) {
        let wanted = wanted.memberships(self.local.asn);
        let held = std::mem::replace(&mut self.wanted, wanted.clone());
        for gone in held.difference(&wanted) {
            self.withdraw(&super::Key::RouteTargets(*gone));
        }
        for new in wanted.difference(&held) {
            let (origin, as_path) = (Some(Origin::Igp), Some(AsPath::default()));
            let attributes = Attributes { origin, as_path, ..Attributes::default() };
            self.originate(Route::RouteTargets(*new), attributes, None);
        }
    }

    /// The peer wants other routes than before: all EVPN routes are looked at once more.
    pub(super) fn memberships_changed(&mut self, peer: PeerId) {
        if let Some(out) = self.neighbours.get_mut(&peer).and_then(|neighbour| neighbour.out.as_mut())
            && out.open(Family::EVPN)
        {
            out.cursor.walk(Families::of(&[Family::EVPN]), false, Families::NONE);
        }
    }
}
