//! Other hosts, given by hand: their VTEPs and router MACs.

use std::collections::BTreeMap;
use weft_api::kind::Kind;

use super::macs::unicast_fault;
use super::{Faults, Host, Ordered, Remote};

/// The remotes with their router MACs.
pub(super) fn resolve(all: Ordered<'_>, host: &Host, faults: &mut Faults) -> BTreeMap<String, Remote> {
    let mut holders: BTreeMap<_, &str> = BTreeMap::new();
    let mut remotes = BTreeMap::new();
    for remote in all.remotes() {
        let vtep = remote.vtep;
        let mut fault =
            |field: &str, message: String| faults.add_at(Kind::Remote, &remote.name, field, message);
        if vtep == host.vtep {
            fault(
                "vtep",
                format!(
                    "VTEP {vtep} is this host's own; a remote is another host, so leave this one out here"
                ),
            );
        } else if vtep.address().is_ipv4() != host.vtep.address().is_ipv4() {
            fault(
                "vtep",
                format!(
                    "VTEP {vtep} is not of the family of this host's VTEP {}; name an address of that family",
                    host.vtep
                ),
            );
        }
        if let Some(holder) = holders.get(&vtep) {
            let message =
                format!("VTEP {vtep} is that of remote/{holder}; put all of a host into one remote");
            fault("vtep", message);
        } else {
            holders.insert(vtep, &remote.name);
        }
        let router_mac = remote.router_mac.unwrap_or_else(|| vtep.default_router_mac());
        if let Some(message) = unicast_fault(router_mac) {
            fault("router_mac", format!("its router {message}"));
        }
        if router_mac == host.gateway_mac {
            let message = format!(
                "its router MAC {router_mac} is the gateways' own, which all hosts share; give that host another one"
            );
            fault("router_mac", message);
        }
        let resolved = Remote {
            vtep,
            router_mac,
            subnets: remote.subnets.clone(),
            addresses: remote.addresses.clone(),
            prefixes: remote.prefixes.clone(),
        };
        remotes.insert(remote.name.clone(), resolved);
    }
    remotes
}
