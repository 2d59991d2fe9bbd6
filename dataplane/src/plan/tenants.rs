//! Where the connections of each tenant are counted: an index behind the slots of the ports. A tenant keeps its index
//! while one of its ports has it in the map of endpoints, over restarts of the daemon too.

use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::Endpoint;

/// An index for every tenant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tenants<'a> {
    /// By the tenant's name.
    pub(crate) by_name: BTreeMap<&'a str, u32>,
    /// Those that were not the tenant's before: what is counted there is somebody else's and must be cleared.
    pub(crate) fresh: BTreeSet<u32>,
}

impl<'a> Tenants<'a> {
    /// Indices for the tenants of `ports`, which are by the interface index of their host end, given the endpoints that
    /// the map holds and how many ports fit.
    pub(crate) fn plan(
        ports: &BTreeMap<u32, &'a str>,
        endpoints: &BTreeMap<u32, Endpoint>,
        capacity: u32,
    ) -> Self {
        let first = capacity.saturating_add(1);
        let all = first..first.saturating_add(capacity);
        let mut tenants = Self::default();
        let mut taken = BTreeSet::new();
        let held = |ifindex: &u32| endpoints.get(ifindex).map(|endpoint| endpoint.security().tenant);
        for (ifindex, tenant) in ports {
            let index = held(ifindex).filter(|index| all.contains(index));
            if let Some(index) = index.filter(|index| !taken.contains(index))
                && !tenants.by_name.contains_key(tenant)
            {
                tenants.by_name.insert(tenant, index);
                taken.insert(index);
            }
        }
        // Those of tenants that leave in this same change come last.
        let used: BTreeSet<u32> = endpoints.values().map(|endpoint| endpoint.security().tenant).collect();
        let leaving = used.difference(&taken).copied().filter(|index| all.contains(index));
        let free = all.clone().filter(|index| !used.contains(index) && !taken.contains(index));
        let mut free = free.chain(leaving);
        for tenant in ports.values() {
            if !tenants.by_name.contains_key(tenant) {
                // There are no more tenants than ports, and ports that do not fit have no endpoint.
                let index = free.next().unwrap_or(u32::MAX);
                tenants.by_name.insert(tenant, index);
                tenants.fresh.insert(index);
            }
        }
        tenants
    }
}

#[cfg(test)]
mod tests {
    use weft_dataplane_abi::{Gateways, PortSecurity};
    use weft_vxlan::{MacAddr, Vni};

    use super::*;

    fn endpoints(tenants: &[(u32, u32)]) -> BTreeMap<u32, Endpoint> {
        let vni = Vni::new(1).unwrap();
        let mac = MacAddr::new([2; 6]);
        let gateways = Gateways::new(None, None, mac);
        let endpoint = |(ifindex, tenant): &(u32, u32)| {
            let security = PortSecurity { tenant: *tenant, ..PortSecurity::default() };
            let endpoint = Endpoint::new(*ifindex, vni, vni, 1, mac, (None, None), gateways);
            (*ifindex, endpoint.with_security(*ifindex, security))
        };
        tenants.iter().map(endpoint).collect()
    }

    #[test]
    fn a_tenant_keeps_its_index_and_a_new_one_gets_a_free_one() {
        let ports = BTreeMap::from([(30, "b"), (31, "a"), (32, "b")]);
        let tenants = Tenants::plan(&ports, &endpoints(&[(32, 9), (40, 10)]), 8);
        assert_eq!(tenants.by_name, BTreeMap::from([("a", 11), ("b", 9)]));
        assert_eq!(tenants.fresh, BTreeSet::from([11]));
    }

    #[test]
    fn what_is_out_of_range_or_two_s_counts_for_nothing() {
        let ports = BTreeMap::from([(30, "a"), (31, "b"), (32, "c")]);
        let tenants = Tenants::plan(&ports, &endpoints(&[(30, 9), (31, 9), (32, 4)]), 8);
        assert_eq!(tenants.by_name, BTreeMap::from([("a", 9), ("b", 10), ("c", 11)]));
        assert_eq!(tenants.fresh, BTreeSet::from([10, 11]));
    }
}
