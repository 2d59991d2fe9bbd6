//! What is done to routes on their way out, and whether they go out at all: RFC 4271 sections 5 and 9.2,
//! RFC 4456 section 8, RFC 1997, RFC 9234 section 5, RFC 9494 section 4.

use std::net::{IpAddr, Ipv4Addr};

use super::attributes::{DEFAULT_LOCAL_PREF, Shared};
use super::facts::{Facts, Local, NextHopPolicy};
use super::import;
use crate::peer::PeerKind;
use crate::wire::{Attributes, Community, Family, NextHop, Role, RouterId};

/// NO_EXPORT_SUBCONFED (RFC 1997): without confederations, the same as NO_EXPORT.
const NO_EXPORT_SUBCONFED: Community = Community(0xffff_ff03);

/// Where the best path came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// `None` for the speaker's own routes.
    pub(super) peer: Option<(PeerKind, RouterId)>,
    /// Kept though the peer is gone for long.
    pub(super) long_lived: bool,
}

/// What `to` gets of a route, before its export policy; `None` if nothing.
pub(super) fn prepare(
    local: &Local,
    to: &Facts,
    source: Source,
    family: Family,
    shared: &Shared,
) -> Option<(Attributes, NextHop)> {
    let external = to.kind == PeerKind::External;
    if withheld(to, source, shared) {
        return None;
    }
    let mut attributes = shared.attributes.clone();
    if source.long_lived && !attributes.communities.contains(&Community::LLGR_STALE) {
        attributes.communities.push(Community::LLGR_STALE);
    }
    if external {
        only_to_customer(local, to, family, &mut attributes)?;
        attributes.as_path.get_or_insert_default().prepend(local.asn);
        attributes.local_pref = None;
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        // The MED of one neighbouring AS is not for another (RFC 4271 section 5.1.4).
        if source.peer.is_some() {
            attributes.med = None;
        }
        attributes.extended_communities.retain(|community| community.is_transitive());
    } else {
        attributes.as_path.get_or_insert_default();
        attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
        if let Some((PeerKind::Internal | PeerKind::Client, router_id)) = source.peer {
            attributes.originator_id.get_or_insert(router_id);
            attributes.cluster_list.insert(0, local.cluster_id);
        }
    }
    let next_hop = next_hop(to, family, shared.next_hop);
    // IPv4 over IPv6 only where agreed (RFC 8950 section 4).
    let understood = match next_hop {
        NextHop::V4(_) => true,
        NextHop::V6(_) | NextHop::V6LinkLocal { .. } => {
            family != Family::IPV4_UNICAST || to.dialect.extended_next_hop
        }
    };
    understood.then_some((attributes, next_hop))
}

/// Whether the route may not go to `to`.
fn withheld(to: &Facts, source: Source, shared: &Shared) -> bool {
    let communities = &shared.attributes.communities;
    let external = to.kind == PeerKind::External;
    let not_reflected = to.kind == PeerKind::Internal && matches!(source.peer, Some((PeerKind::Internal, _)));
    let stale = source.long_lived || shared.digest.long_lived_stale;
    not_reflected
        || communities.contains(&Community::NO_ADVERTISE)
        || (external && communities.contains(&Community::NO_EXPORT))
        || (external && communities.contains(&NO_EXPORT_SUBCONFED))
        || (stale && !to.long_lived)
}

/// `None` for a leak.
fn only_to_customer(local: &Local, to: &Facts, family: Family, attributes: &mut Attributes) -> Option<()> {
    match (import::role(to, family), attributes.only_to_customer) {
        (Some(Role::Provider | Role::Peer | Role::RouteServer), Some(_)) => None,
        (Some(Role::Customer | Role::Peer | Role::RouteServerClient), None) => {
            attributes.only_to_customer = Some(local.asn);
            Some(())
        }
        (Some(Role::Customer | Role::RouteServerClient), Some(_))
        | (Some(Role::Provider | Role::RouteServer), None)
        | (None, _) => Some(()),
    }
}

fn next_hop(to: &Facts, family: Family, received: NextHop) -> NextHop {
    // An own route that leads to no address yet leads to the speaker.
    let own = match to.next_hop {
        NextHopPolicy::Own => true,
        NextHopPolicy::Unchanged => false,
        NextHopPolicy::Standard => to.kind == PeerKind::External && family != Family::EVPN,
    };
    if !own && !received.address().is_unspecified() {
        return received;
    }
    match (to.own_address, family) {
        (IpAddr::V4(address), Family::IPV6_UNICAST) => NextHop::V6(address.to_ipv6_mapped()),
        (IpAddr::V4(address), _) => NextHop::V4(address),
        (IpAddr::V6(address), _) => NextHop::V6(address),
    }
}

/// The next hop of own routes that lead to the speaker, whatever its address towards a peer is.
pub(super) const OWN: NextHop = NextHop::V4(Ipv4Addr::UNSPECIFIED);
