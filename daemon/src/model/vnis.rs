//! Networks and subnets share one space of VNIs: a VXLAN packet says no more than the number.

use std::collections::BTreeMap;
use weft_api::kind::{Kind, Reference};

use super::{Faults, Host, Ordered};
use crate::self_test::address;

pub(super) fn check(all: Ordered<'_>, host: &Host, faults: &mut Faults) {
    let mut holders: BTreeMap<_, &Reference> = BTreeMap::new();
    for id in all.order {
        let vni = match id.kind {
            Kind::Network => all.intent.networks.get(&id.name).map(|network| network.vni),
            Kind::Subnet => all.intent.subnets.get(&id.name).map(|subnet| subnet.vni),
            Kind::SecurityGroup
            | Kind::Port
            | Kind::Remote
            | Kind::Peering
            | Kind::PeerGroup
            | Kind::Peer => None,
        };
        let Some(vni) = vni else { continue };
        if host.self_test && [address::SUBNET, address::NETWORK].contains(&vni) {
            let message = format_args!(
                "VNI {vni} is that of weft's own self-test between hosts; choose another, or set underlay.self_test = \
                 false in weftd.toml of all hosts"
            );
            faults.add_at(id.kind, &id.name, "vni", message);
        }
        if let Some(holder) = holders.get(&vni) {
            let message = format_args!(
                "VNI {vni} is taken by {holder}; choose another, networks and subnets share the numbers"
            );
            faults.add_at(id.kind, &id.name, "vni", message);
        } else {
            holders.insert(vni, id);
        }
    }
}
