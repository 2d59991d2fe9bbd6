//! Names are DNS labels (RFC 1123 section 2.1), and what they refer to exists.

use weft_api::kind::Kind;

use super::{Faults, Ordered};

/// Bytes of a DNS label.
const LONGEST: usize = 63;

pub(super) fn check(all: Ordered<'_>, faults: &mut Faults) {
    for id in all.order {
        if let Some(fault) = fault(&id.name) {
            faults.add_at(id.kind, &id.name, "name", format_args!("its name {fault}"));
        }
    }
    for network in all.intent.networks.values() {
        if let Some(fault) = fault(&network.tenant) {
            faults.add_at(
                Kind::Network,
                &network.name,
                "tenant",
                format_args!("its tenant's name {:?} {fault}", network.tenant),
            );
        }
    }
    for group in all.intent.security_groups.values() {
        if let Some(fault) = fault(&group.tenant) {
            let message = format_args!("its tenant's name {:?} {fault}", group.tenant);
            faults.add_at(Kind::SecurityGroup, &group.name, "tenant", message);
        }
    }
    check_references(all, faults);
    check_group_references(all, faults);
    check_bgp_references(all, faults);
}

fn check_references(all: Ordered<'_>, faults: &mut Faults) {
    for subnet in all.subnets() {
        if !all.intent.networks.contains_key(&subnet.network) {
            faults.add_at(Kind::Subnet, &subnet.name, "network", missing(Kind::Network, &subnet.network));
        }
    }
    for port in all.ports() {
        if !all.intent.subnets.contains_key(&port.subnet) {
            faults.add_at(Kind::Port, &port.name, "subnet", missing(Kind::Subnet, &port.subnet));
        }
    }
    for remote in all.remotes() {
        for (index, subnet) in remote.subnets.iter().enumerate() {
            if !all.intent.subnets.contains_key(subnet) {
                let field = format!("subnets[{index}]");
                faults.add_at(Kind::Remote, &remote.name, field, missing(Kind::Subnet, subnet));
            } else if remote.subnets.iter().take(index).any(|before| before == subnet) {
                let message = format!("its subnet {subnet:?} is named twice; keep one");
                faults.add_at(Kind::Remote, &remote.name, format!("subnets[{index}]"), message);
            }
        }
        for (index, address) in remote.addresses.iter().enumerate() {
            if !all.intent.subnets.contains_key(&address.subnet) {
                let message =
                    format!("address {}: {}", address.address, missing(Kind::Subnet, &address.subnet));
                let field = format!("addresses[{index}].subnet");
                faults.add_at(Kind::Remote, &remote.name, field, message);
            }
        }
        for (index, prefix) in remote.prefixes.iter().enumerate() {
            if !all.intent.networks.contains_key(&prefix.network) {
                let message =
                    format!("prefix {}: {}", prefix.prefix, missing(Kind::Network, &prefix.network));
                let field = format!("prefixes[{index}].network");
                faults.add_at(Kind::Remote, &remote.name, field, message);
            }
        }
    }
}

fn check_group_references(all: Ordered<'_>, faults: &mut Faults) {
    for port in all.ports() {
        for (index, group) in port.security_groups.iter().enumerate() {
            let field = format!("security_groups[{index}]");
            if !all.intent.security_groups.contains_key(group) {
                faults.add_at(Kind::Port, &port.name, field, missing(Kind::SecurityGroup, group));
            } else if port.security_groups.iter().take(index).any(|before| before == group) {
                let message = format!("its security-group {group:?} is named twice; keep one");
                faults.add_at(Kind::Port, &port.name, field, message);
            }
        }
    }
}

fn check_bgp_references(all: Ordered<'_>, faults: &mut Faults) {
    for peering in all.peerings() {
        for (index, network) in peering.networks.iter().enumerate() {
            if !all.intent.networks.contains_key(network) {
                let field = format!("networks[{index}]");
                faults.add_at(Kind::Peering, &peering.name, field, missing(Kind::Network, network));
            }
        }
    }
    for peer in all.peers() {
        if let Some(group) = peer.group.as_ref().filter(|group| !all.intent.peer_groups.contains_key(*group))
        {
            faults.add_at(Kind::Peer, &peer.name, "group", missing(Kind::PeerGroup, group));
        }
    }
}

pub(super) fn missing(kind: Kind, name: &str) -> String {
    format!("its {kind} {name:?} does not exist; create {kind}/{name} first")
}

/// What is wrong with a name, if anything; continues a sentence about it.
pub(crate) fn fault(name: &str) -> Option<&'static str> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() {
        Some("is empty; a name has 1 to 63 lower-case letters, digits and hyphens")
    } else if name.len() > LONGEST {
        Some("is longer than 63 bytes; shorten it")
    } else if !name.bytes().all(inner) {
        Some("has other characters than lower-case letters, digits and hyphens; leave them out")
    } else if name.starts_with('-') || name.ends_with('-') {
        Some("begins or ends with a hyphen; leave that out")
    } else {
        None
    }
}
