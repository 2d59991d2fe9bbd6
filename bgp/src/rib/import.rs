//! What is done to routes on their way in: loops (RFC 4271 section 9.1.2, RFC 4456 section 8), leaks (RFC 9234
//! section 5), graceful shutdown (RFC 8326).

use super::facts::{Facts, Local};
use crate::peer::PeerKind;
use crate::wire::{Attributes, Community, Family, Role};

/// Prepares the attributes that `from` sent for the import policy; false if the routes may not be used.
pub(super) fn prepare(local: &Local, from: &Facts, family: Family, attributes: &mut Attributes) -> bool {
    let looped = attributes.as_path.as_ref().is_some_and(|path| path.contains(local.asn))
        || attributes.originator_id == Some(local.router_id)
        || attributes.cluster_list.contains(&local.cluster_id);
    if from.kind == PeerKind::External {
        attributes.local_pref = None;
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        if attributes.communities.contains(&Community::GRACEFUL_SHUTDOWN) {
            attributes.local_pref = Some(0);
        }
    }
    !looped && only_to_customer(from, family, attributes)
}

/// Marks what came from above or beside; false for a leak.
fn only_to_customer(from: &Facts, family: Family, attributes: &mut Attributes) -> bool {
    let Some(role) = role(from, family) else { return true };
    match (role, attributes.only_to_customer) {
        (Role::Customer | Role::RouteServerClient, Some(_)) => false,
        (Role::Customer | Role::RouteServerClient, None) => true,
        (Role::Peer, Some(asn)) => asn == from.asn,
        (Role::Provider | Role::RouteServer, Some(_)) => true,
        (Role::Provider | Role::RouteServer | Role::Peer, None) => {
            attributes.only_to_customer = Some(from.asn);
            true
        }
    }
}

/// The role of the peer, where roles count: unicast of other ASes.
pub(super) fn role(peer: &Facts, family: Family) -> Option<Role> {
    let unicast = family == Family::IPV4_UNICAST || family == Family::IPV6_UNICAST;
    peer.role.filter(|_| unicast && peer.kind == PeerKind::External)
}
