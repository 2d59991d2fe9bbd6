//! Attributes and next hop, held once for all routes that share them, and freed with the last of these.

use std::hash::BuildHasher;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::wire::{Asn, Attributes, Community, ExtendedCommunityValue, NextHop, Origin};

/// What is true of all routes of an UPDATE, with what best path selection wants to know of it.
#[derive(Debug)]
pub struct Shared {
    /// The attributes; where they lead to stands beside.
    pub attributes: Attributes,
    /// Where the routes lead to.
    pub next_hop: NextHop,
    hash: u64,
    pub(super) digest: Digest,
}

/// The attributes that best path selection compares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digest {
    /// Whether the address does not move, and how often it did (RFC 7432 section 15).
    pub(crate) mobility: (bool, u32),
    pub(crate) local_pref: u32,
    pub(crate) hops: usize,
    pub(crate) origin: Origin,
    pub(crate) neighbour: Option<Asn>,
    pub(crate) med: u32,
    pub(crate) originator: Option<Ipv4Addr>,
    pub(crate) clusters: usize,
    /// A router on the way keeps the route though its own peer is gone (RFC 9494).
    pub(crate) long_lived_stale: bool,
}

/// What a route without LOCAL_PREF has.
pub(super) const DEFAULT_LOCAL_PREF: u32 = 100;

impl Digest {
    pub(crate) fn new(attributes: &Attributes) -> Self {
        let path = attributes.as_path.as_ref();
        let mobility = attributes.extended_communities.iter().find_map(|community| {
            if let ExtendedCommunityValue::MacMobility(mobility) = community.value() {
                Some((mobility.sticky, mobility.sequence))
            } else {
                None
            }
        });
        Self {
            mobility: mobility.unwrap_or_default(),
            local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            hops: path.map_or(0, crate::wire::AsPath::hops),
            origin: attributes.origin.unwrap_or(Origin::Incomplete),
            neighbour: path.and_then(crate::wire::AsPath::first),
            med: attributes.med.unwrap_or(0),
            originator: attributes.originator_id.map(crate::wire::RouterId::get),
            clusters: attributes.cluster_list.len(),
            long_lived_stale: attributes.communities.contains(&Community::LLGR_STALE),
        }
    }
}

/// So many are held before those that no route has are looked for.
const FEW: usize = 1024;

/// All attributes that some route has, and a few that none has any more: whoever looks at a path holds its attributes,
/// perhaps longer than the route does.
#[derive(Debug, Default)]
pub(super) struct Interner {
    table: HashTable<Arc<Shared>>,
    hasher: DefaultHashBuilder,
    /// How many were in use when it was last looked.
    used: usize,
}

impl Interner {
    /// The one value equal to these.
    pub(super) fn intern(&mut self, mut attributes: Attributes, next_hop: NextHop) -> Arc<Shared> {
        attributes.next_hop = None;
        let hash = self.hasher.hash_one((&attributes, next_hop));
        let same = |held: &Arc<Shared>| held.attributes == attributes && held.next_hop == next_hop;
        if let Some(held) = self.table.find(hash, same) {
            return Arc::clone(held);
        }
        if self.table.len() >= 2 * self.used + FEW {
            self.table.retain(|held| Arc::strong_count(held) > 1);
            self.used = self.table.len();
        }
        let digest = Digest::new(&attributes);
        let shared = Arc::new(Shared { attributes, next_hop, hash, digest });
        self.table.insert_unique(hash, Arc::clone(&shared), |held| held.hash);
        shared
    }

    /// Gives a value back: the last one frees it, unless somebody looks at it.
    pub(super) fn release(&mut self, shared: Arc<Shared>) {
        // One is here, one is in the table.
        if Arc::strong_count(&shared) > 2 {
            return;
        }
        if let Ok(entry) = self.table.find_entry(shared.hash, |held| Arc::ptr_eq(held, &shared)) {
            entry.remove();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attributes_are_one_and_the_last_frees_them() {
        let hop = NextHop::V4([10, 0, 0, 1].into());
        let mut interner = Interner::default();
        let attributes = Attributes { med: Some(1), ..Attributes::default() };
        let a = interner.intern(attributes.clone(), hop);
        let b = interner.intern(attributes.clone(), hop);
        let c = interner.intern(attributes, NextHop::V4([10, 0, 0, 2].into()));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
        assert_eq!(interner.len(), 2);
        interner.release(a);
        assert_eq!(interner.len(), 2);
        interner.release(b);
        interner.release(c);
        assert_eq!(interner.len(), 0);
    }

    #[test]
    fn what_was_looked_at_when_its_last_route_went_does_not_stay() {
        let hop = NextHop::V4([10, 0, 0, 1].into());
        let mut interner = Interner::default();
        for med in 0..100_000 {
            let shared = interner.intern(Attributes { med: Some(med), ..Attributes::default() }, hop);
            let looked_at = Arc::clone(&shared);
            interner.release(shared);
            drop(looked_at);
        }
        assert!(interner.len() <= FEW, "{}", interner.len());
    }
}
