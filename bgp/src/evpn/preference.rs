//! How good a path to a prefix is by its attributes (RFC 4271 section 9.1.2.2, RFC 9494 section 4.3): what best path selection
//! compares of the paths of one route, for routes of one prefix with distinguishers of their own.

use std::cmp::Reverse;

use super::choose::Lost;
use super::learned::LearnedPath;
use crate::rib::Digest;
use crate::wire::Origin;

/// How good a path is by its attributes (RFC 4271 section 9.1.2.2), which counts for prefixes: where an address is, all
/// hosts have to agree upon. MED is compared between all paths, whatever AS they came by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Preference {
    stale: bool,
    local_pref: Reverse<u32>,
    hops: usize,
    origin: Option<Origin>,
    med: u32,
}

impl Preference {
    /// Why it comes behind `other`, which is another.
    pub(super) fn lost(&self, other: &Self) -> Lost {
        if self.stale != other.stale {
            Lost::Stale
        } else if self.local_pref.0 != other.local_pref.0 {
            Lost::LocalPref
        } else if self.hops != other.hops {
            Lost::AsPath
        } else if self.origin != other.origin {
            Lost::Origin
        } else {
            Lost::Med
        }
    }

    pub(super) fn read(path: &LearnedPath<'_>) -> Self {
        let digest = Digest::new(&path.attributes);
        Self {
            stale: digest.long_lived_stale || path.long_lived_stale,
            local_pref: Reverse(digest.local_pref),
            hops: digest.hops,
            origin: Some(digest.origin),
            med: digest.med,
        }
    }
}
