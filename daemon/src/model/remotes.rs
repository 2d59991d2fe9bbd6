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
        let mut fault = |message: String| faults.add(Kind::Remote, &remote.name, message);
        if vtep == host.vtep {
            fault(format!("VTEP {vtep} is this host's own; a remote is another host"));
        } else if vtep.address().is_ipv4() != host.vtep.address().is_ipv4() {
            fault(format!(
                "VTEP {vtep} is not of the family of this host's VTEP {}; tunnels need one family",
                host.vtep
            ));
        }
        if let Some(holder) = holders.get(&vtep) {
            fault(format!("VTEP {vtep} is that of remote/{holder}; put all of a host into one remote"));
        } else {
            holders.insert(vtep, &remote.name);
        }
        let router_mac = remote.router_mac.unwrap_or_else(|| vtep.default_router_mac());
        if let Some(message) = unicast_fault(router_mac) {
            fault(format!("its router {message}"));
        }
        if router_mac == host.gateway_mac {
            fault(format!("its router MAC {router_mac} is the gateways' own, which all hosts share"));
        }
        let resolved = Remote {
            vtep,
            router_mac,
            addresses: remote.addresses.clone(),
            prefixes: remote.prefixes.clone(),
        };
        remotes.insert(remote.name.clone(), resolved);
    }
    remotes
}
