//! Slots: the index of each port's counters. A port keeps its slot while its endpoint is in the map, over
//! restarts of the daemon too.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::Endpoint;

/// A slot for every port.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// By the interface index of the port's host end.
    pub(crate) by_ifindex: BTreeMap<u32, u32>,
    /// Those that were not the port's before: their counters are somebody else's and must be cleared.
    pub(crate) fresh: BTreeSet<u32>,
}

impl Slots {
    /// Slots for the ports with these host ends, given the endpoints that the map holds and how many fit. Slot 0
    /// belongs to no port. Where there are more ports than fit, slots go on beyond: then the map of endpoints
    /// refuses them by its size.
    pub(crate) fn plan(
        ifindexes: &BTreeSet<u32>,
        endpoints: &BTreeMap<u32, Endpoint>,
        capacity: u32,
    ) -> Self {
        let kept: BTreeMap<u32, u32> = endpoints
            .iter()
            .filter(|(ifindex, _)| ifindexes.contains(ifindex))
            .map(|(ifindex, endpoint)| (*ifindex, endpoint.slot()))
            .collect();
        let taken: BTreeSet<u32> = kept.values().copied().collect();
        let used: BTreeSet<u32> = endpoints.values().map(Endpoint::slot).collect();
        // Ports that leave in this same change are counted until they have left: their slots come last.
        let leaving = used.difference(&taken).copied().filter(|slot| (1..=capacity).contains(slot));
        let mut free = (1..=capacity)
            .filter(|slot| !used.contains(slot))
            .chain(leaving)
            .chain(capacity.saturating_add(1)..);

        let mut slots = Self { by_ifindex: kept, fresh: BTreeSet::new() };
        for ifindex in ifindexes {
            if let Entry::Vacant(vacant) = slots.by_ifindex.entry(*ifindex) {
                let slot = free.next().unwrap_or(u32::MAX);
                vacant.insert(slot);
                slots.fresh.insert(slot);
            }
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use weft_dataplane_abi::Gateways;
    use weft_vxlan::{MacAddr, Vni};

    use super::*;

    fn endpoints(slots: &[(u32, u32)]) -> BTreeMap<u32, Endpoint> {
        let vni = Vni::new(1).unwrap();
        let mac = MacAddr::new([2; 6]);
        let gateways = Gateways::new(None, None, mac);
        let endpoint = |slot| Endpoint::new(1, vni, vni, slot, mac, (None, None), gateways);
        slots.iter().map(|(ifindex, slot)| (*ifindex, endpoint(*slot))).collect()
    }

    fn plan(ifindexes: &[u32], held: &[(u32, u32)], capacity: u32) -> Slots {
        Slots::plan(&ifindexes.iter().copied().collect(), &endpoints(held), capacity)
    }

    #[test]
    fn a_port_keeps_its_slot_and_a_new_one_gets_a_free_one() {
        let slots = plan(&[10, 11, 12], &[(11, 1)], 8);
        assert_eq!(slots.by_ifindex, BTreeMap::from([(10, 2), (11, 1), (12, 3)]));
        assert_eq!(slots.fresh, BTreeSet::from([2, 3]));
    }

    #[test]
    fn slots_of_leaving_ports_come_last() {
        assert_eq!(plan(&[10], &[(11, 1)], 8).by_ifindex, BTreeMap::from([(10, 2)]));
        assert_eq!(plan(&[10], &[(11, 1)], 1).by_ifindex, BTreeMap::from([(10, 1)]));
    }

    #[test]
    fn too_many_ports_go_beyond() {
        assert_eq!(plan(&[10, 11], &[], 1).by_ifindex, BTreeMap::from([(10, 1), (11, 2)]));
    }
}
