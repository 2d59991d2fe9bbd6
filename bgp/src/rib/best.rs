//! Which path is the best: RFC 4271 section 9.1.2.2, RFC 4456 section 9, RFC 7432 section 15, RFC 9494 section 4.3.
//!
//! Paths are ruled out step by step, each step looking at all that are left, so that the outcome does not depend on
//! the order in which they came, also where MED compares only some of them. What is left before the router
//! identifiers count is equally good: these paths can share the load. There is no cost of the way to the next hop.

use std::cmp::Reverse;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::attributes::Digest;

/// A path as best path selection sees it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) usable: bool,
    /// Kept though the peer is gone for long, here or at a router on the way.
    pub(super) long_lived_stale: bool,
    /// Of an EVPN type 2: MAC mobility counts.
    pub(super) mobile: bool,
    pub(super) digest: Digest,
    pub(super) next_hop: IpAddr,
    pub(super) local: bool,
    pub(super) external: bool,
    pub(super) router_id: Ipv4Addr,
    pub(super) address: IpAddr,
    pub(super) path_id: u32,
}

/// The step at which a path is ruled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It may not be used at all.
    Unusable,
    /// Another is not stale.
    Stale,
    /// The address does not move, says another.
    Sticky,
    /// The address moved later, says another.
    Mobility,
    /// The address moved to another VTEP as often, and that is lower.
    Vtep,
    /// Another is preferred more.
    LocalPref,
    /// Another is the speaker's own.
    Local,
    /// Another passed fewer ASes.
    AsPath,
    /// Another has a lower origin.
    Origin,
    /// Another of the same neighbouring AS has a lower MED.
    Med,
    /// Another came from another AS.
    External,
    /// Another came from a lower router identifier. From here on, paths are equally good.
    RouterId,
    /// Another passed fewer reflectors.
    ClusterList,
    /// Another came from a lower address.
    PeerAddress,
    /// Another has a lower path identifier.
    PathId,
}

impl Step {
    /// Whether a path that loses here is as good as the best one.
    #[must_use]
    pub const fn is_tie_break(self) -> bool {
        match self {
            Self::RouterId | Self::ClusterList | Self::PeerAddress | Self::PathId => true,
            Self::Unusable
            | Self::Stale
            | Self::Sticky
            | Self::Mobility
            | Self::Vtep
            | Self::LocalPref
            | Self::Local
            | Self::AsPath
            | Self::Origin
            | Self::Med
            | Self::External => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unusable => "it is a loop, a leak or rejected by the import policy",
            Self::Stale => "it is stale",
            Self::Sticky => "another says that the address does not move",
            Self::Mobility => "another has a higher MAC mobility sequence",
            Self::Vtep => "another leads to a lower VTEP",
            Self::LocalPref => "another has a higher local preference",
            Self::Local => "another is of this speaker",
            Self::AsPath => "another has a shorter AS path",
            Self::Origin => "another has a lower origin",
            Self::Med => "another of the same AS has a lower MED",
            Self::External => "another is from an external peer",
            Self::RouterId => "another has a lower router identifier",
            Self::ClusterList => "another has a shorter cluster list",
            Self::PeerAddress => "another is from a lower peer address",
            Self::PathId => "another has a lower path identifier",
        })
    }
}

/// Where each path lost; `None` for the best one. All are `Some` if none can be used.
pub(super) fn select(paths: &[Candidate]) -> Vec<Option<Step>> {
    let mut lost = vec![None; paths.len()];
    for (path, lost) in paths.iter().zip(&mut lost) {
        if !path.usable {
            *lost = Some(Step::Unusable);
        }
    }
    let mut rule = Rule { paths, lost: &mut lost };
    rule.keep_least(Step::Stale, |path| path.long_lived_stale);
    rule.keep_least(Step::Sticky, |path| Reverse(path.mobile && path.digest.mobility.0));
    rule.keep_least(Step::Mobility, |path| Reverse(if path.mobile { path.digest.mobility.1 } else { 0 }));
    // Before what this speaker prefers, its own route among that: both hosts have to choose the same one.
    rule.keep_least(Step::Vtep, |path| path.mobile.then_some(path.next_hop));
    rule.keep_least(Step::LocalPref, |path| Reverse(path.digest.local_pref));
    rule.keep_least(Step::Local, |path| !path.local);
    rule.keep_least(Step::AsPath, |path| path.digest.hops);
    rule.keep_least(Step::Origin, |path| path.digest.origin);
    rule.med();
    rule.keep_least(Step::External, |path| !path.external);
    rule.keep_least(Step::RouterId, |path| path.digest.originator.unwrap_or(path.router_id));
    rule.keep_least(Step::ClusterList, |path| path.digest.clusters);
    rule.keep_least(Step::PeerAddress, |path| path.address);
    rule.keep_least(Step::PathId, |path| path.path_id);
    lost
}

struct Rule<'a> {
    paths: &'a [Candidate],
    lost: &'a mut [Option<Step>],
}

impl Rule<'_> {
    /// Rules out all that do not have the least `value` of those left.
    fn keep_least<T: Ord>(&mut self, step: Step, value: impl Fn(&Candidate) -> T) {
        let left = self.paths.iter().zip(self.lost.iter()).filter(|(_, lost)| lost.is_none());
        let Some(least) = left.map(|(path, _)| value(path)).min() else { return };
        for (path, lost) in self.paths.iter().zip(self.lost.iter_mut()) {
            if lost.is_none() && value(path) > least {
                *lost = Some(step);
            }
        }
    }

    /// Only paths from the same neighbouring AS are compared (RFC 4271 section 9.1.2.2 c).
    fn med(&mut self) {
        let left: Vec<_> = self
            .paths
            .iter()
            .zip(self.lost.iter())
            .filter(|(_, lost)| lost.is_none())
            .map(|(path, _)| (path.digest.neighbour, path.digest.med))
            .collect();
        for (path, lost) in self.paths.iter().zip(self.lost.iter_mut()) {
            let (neighbour, med) = (path.digest.neighbour, path.digest.med);
            if lost.is_none() && left.iter().any(|other| other.0 == neighbour && other.1 < med) {
                *lost = Some(Step::Med);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Asn, Origin};

    prop_compose! {
        fn candidate()(
            (usable, long_lived_stale, mobile, sticky) in any::<(bool, bool, bool, bool)>(),
            (sequence, local_pref, hops, med) in (0..2_u32, 0..2_u32, 0..2_usize, 0..3_u32),
            (neighbour, local, external, router_id) in (0..3_u32, any::<bool>(), any::<bool>(), 0..3_u32),
            (clusters, next_hop) in (0..2_usize, 1..3_u8),
        ) -> Candidate {
            let digest = Digest {
                mobility: (sticky, sequence),
                local_pref,
                hops,
                origin: Origin::Igp,
                neighbour: Some(Asn::new(neighbour)),
                med,
                originator: None,
                clusters,
                long_lived_stale: false,
            };
            Candidate {
                usable, long_lived_stale, mobile, digest, local, external,
                next_hop: [10, 0, 0, next_hop].into(),
                router_id: router_id.into(),
                address: [10, 0, 0, 1].into(),
                path_id: 0,
            }
        }
    }

    /// Distinct path identifiers, so that there is exactly one best.
    fn numbered(mut paths: Vec<Candidate>) -> Vec<Candidate> {
        for (path, id) in paths.iter_mut().zip(0..) {
            path.path_id = id;
        }
        paths
    }

    fn best(paths: &[Candidate]) -> Option<u32> {
        let lost = select(paths);
        let best: Vec<_> = paths.iter().zip(&lost).filter(|(_, lost)| lost.is_none()).collect();
        assert!(best.len() <= 1);
        best.first().map(|(path, _)| path.path_id)
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_count(
            (paths, shuffled) in prop::collection::vec(candidate(), 0..6).prop_map(numbered)
                .prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle()))
        ) {
            prop_assert_eq!(best(&paths), best(&shuffled));
            prop_assert_eq!(best(&paths).is_some(), paths.iter().any(|path| path.usable));
        }

        #[test]
        fn without_several_ases_it_is_a_plain_sort(
            paths in prop::collection::vec(candidate(), 0..6).prop_map(numbered)
        ) {
            let mut paths = paths;
            for path in &mut paths {
                path.digest.neighbour = Some(Asn::new(1));
            }
            let sorted = paths.iter().filter(|path| path.usable).min_by_key(|path| {
                let mobility = if path.mobile { path.digest.mobility } else { (false, 0) };
                let vtep = path.mobile.then_some(path.next_hop);
                (
                    (path.long_lived_stale, Reverse(mobility), vtep),
                    (Reverse(path.digest.local_pref), !path.local),
                    (path.digest.hops, path.digest.med, !path.external, path.router_id),
                    (path.digest.clusters, path.path_id),
                )
            });
            prop_assert_eq!(best(&paths), sorted.map(|path| path.path_id));
        }
    }
}
