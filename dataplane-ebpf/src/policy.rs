//! What the security groups of a port say of a packet: three tables, at most five look-ups (`docs/design/policy.md`).

use aya_ebpf::maps::lpm_trie::Key;
use weft_dataplane_abi::{
    DropReason, Endpoint, FlowAddress, IdentityKey, IpKey, MacKey, NextHop, PolicyRule, RuleKey, Ruling,
    ServiceKey, Side, VtepAddr, flow_bytes, kind, port_flags,
};

use crate::facts::Facts;
use crate::headers::protocol;
use crate::{maps, subprogram};

/// Classes of all peers of a family.
const ANY_IPV4: u32 = 0;
const ANY_IPV6: u32 = 1;
/// The first word of fe80::/64.
const LINK_LOCAL: u32 = u32::from_be_bytes([0xfe, 0x80, 0, 0]).to_be();

/// Asks the policy of the port that the packet goes to or comes from, and counts what it says for its rule. That is then
/// among the facts.
#[inline(always)]
pub fn decide() -> Result<(), DropReason> {
    subprogram::result(decide_by_policy())
}

/// A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn decide_by_policy() -> u32 {
    subprogram::answer(maps::facts().and_then(ask))
}

#[inline(always)]
fn ask(facts: &mut Facts) -> Result<(), DropReason> {
    let endpoint = maps::judging_endpoint(facts.ifindex)?.ok_or(DropReason::UnknownEndpoint)?;
    if !endpoint.has(port_flags::FIREWALL) {
        facts.allowed = true;
        return Ok(());
    }
    if !facts.is_readable {
        return Err(DropReason::Malformed);
    }
    if facts.side() == Side::Peer && !facts.is_for_many && !is_of(facts, endpoint)? {
        return Err(DropReason::WrongDestination);
    }
    let security = endpoint.security();
    let (policy, default) = match facts.side() {
        Side::Own => (security.egress, endpoint.has(port_flags::EGRESS_ALLOWED)),
        Side::Peer => (security.ingress, endpoint.has(port_flags::INGRESS_ALLOWED)),
    };
    let best = if policy == 0 { PolicyRule::NONE } else { best(facts, policy, endpoint)? };
    let ruling = Ruling::of(best, default);
    facts.policy = policy;
    facts.tenant = security.tenant;
    facts.rule = ruling.rule;
    facts.allowed = ruling.allowed;
    facts.stateless = ruling.stateless;
    if !facts.is_trial {
        facts.rule_key = RuleKey { policy, rule: ruling.rule };
        maps::hit(&facts.rule_key);
    }
    Ok(())
}

/// The best of the rules that match.
#[inline(always)]
fn best(facts: &mut Facts, policy: u32, endpoint: &Endpoint) -> Result<u64, DropReason> {
    let any = if facts.family == 4 { ANY_IPV4 } else { ANY_IPV6 };
    let mut best = in_class(facts, policy, any)?;
    let peer = peer(facts, policy);
    facts.peer_key = Key::new(IpKey::SCOPE_BITS + 128, peer);
    if let Some(class) = maps::peer_class(&facts.peer_key)? {
        best = lower(best, in_class(facts, policy, class)?);
    }
    let identity = identity(facts, endpoint)?;
    facts.identity_key = IdentityKey { policy, identity };
    if identity != 0
        && let Some(class) = maps::identity_class(&facts.identity_key)?
    {
        best = lower(best, in_class(facts, policy, class)?);
    }
    Ok(best)
}

#[inline(always)]
fn lower(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}

/// The peer's address. The keys of look-ups are where the facts are: there is little stack here.
#[inline(always)]
fn peer(facts: &Facts, scope: u32) -> IpKey {
    // Of IPv4 the rest is zero in both.
    let key = IpKey::ipv6(scope, flow_bytes(*facts.peer()));
    if facts.family == 4 { key.in_ipv4() } else { key }
}

/// Whether what comes to a port is for it: for an address that it may send from. Otherwise rules that name addresses would be
/// passed by a packet with another one in a frame to the port's MAC.
#[inline(always)]
fn is_of(facts: &mut Facts, endpoint: &Endpoint) -> Result<bool, DropReason> {
    let [first, ..] = facts.destination;
    let own = match facts.family {
        4 => endpoint.owns_ipv4(first.to_ne_bytes()),
        _ => endpoint.owns_ipv6(flow_bytes(facts.destination)),
    };
    if own || endpoint.has(port_flags::ANY_SOURCE) {
        return Ok(true);
    }
    if !endpoint.has(port_flags::PAIRS) {
        return Ok(false);
    }
    let key = IpKey::ipv6(facts.ifindex, flow_bytes(facts.destination));
    facts.address = if facts.family == 4 { key.in_ipv4() } else { key };
    Ok(maps::pair(&facts.address)?.is_some())
}

/// The groups of the peer.
#[inline(always)]
fn identity(facts: &mut Facts, endpoint: &Endpoint) -> Result<u32, DropReason> {
    if facts.family == 6
        && let Some(mac) = link_local_mac(facts.peer())
    {
        facts.mac_key = MacKey::raw(endpoint.subnet(), mac);
        let hop = maps::switch(&facts.mac_key)?;
        return Ok(hop.map_or(0, |hop| believed(facts, hop, hop.identity())));
    }
    facts.address = peer(facts, endpoint.network());
    let route = maps::host_route(&facts.address)?;
    Ok(route.map_or(0, |route| believed(facts, route.next_hop(), route.identity())))
}

/// The MAC that a link-local address is made of (RFC 4291 appendix A): no port has another one.
#[inline(always)]
fn link_local_mac(address: &FlowAddress) -> Option<[u8; 6]> {
    let [prefix, zero, high, low] = *address;
    let ([a, b, c, 0xff], [0xfe, d, e, f]) = (high.to_ne_bytes(), low.to_ne_bytes()) else { return None };
    (prefix == LINK_LOCAL && zero == 0).then_some([a ^ 2, b, c, d, e, f])
}

/// The groups of an address that a packet claims to come from are believed if it comes from where the address is: no other host
/// lends its packets the groups of a workload that it does not have.
#[inline(always)]
fn believed(facts: &Facts, next_hop: &NextHop, identity: u32) -> u32 {
    let believed = match facts.side() {
        Side::Own => true,
        Side::Peer if facts.is_turned => true,
        Side::Peer => match next_hop.kind() {
            kind::LOCAL => facts.remote == VtepAddr::NONE,
            kind::REMOTE => facts.remote == *next_hop.vtep(),
            // It may come by any of the ways to it.
            kind::MULTIPATH => facts.remote != VtepAddr::NONE,
            _ => false,
        },
    };
    if believed { identity } else { 0 }
}

/// The best rule of a class for the packet's service. ICMP in a packet of the other family is no service: only rules about any
/// protocol take it.
#[inline(always)]
fn in_class(facts: &mut Facts, policy: u32, class: u32) -> Result<u64, DropReason> {
    let other = if facts.family == 4 { protocol::ICMPV6 } else { protocol::ICMP };
    let [high, low] = facts.detail;
    let (service, bits) = if facts.protocol == other {
        ([0; 3], ServiceKey::SCOPE_BITS)
    } else {
        ([facts.protocol, high, low], ServiceKey::SCOPE_BITS + ServiceKey::SERVICE_BITS)
    };
    facts.service_key = Key::new(bits, ServiceKey::new(policy, class, service));
    let rule = maps::service(&facts.service_key)?;
    Ok(rule.map_or(PolicyRule::NONE, |rule| rule.bits()))
}
