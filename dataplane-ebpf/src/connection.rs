//! Connections of a port: what belongs to one that was let through needs no rule, and what starts one is judged.
//!
//! What is open is one look-up, and changed in place. What is only asked for is elsewhere, with a place in the port's order
//! of asking, so that a flood of it displaces nothing but its own.

use weft_dataplane_abi::{
    DropReason, Flow, FlowKey, Fragment, FragmentKey, HalfOpenKey, HostConfig, Judged, Phase, Side, Signal,
    Step,
};

use crate::facts::{Facts, kind};
use crate::headers::protocol;
use crate::{maps, policy, subprogram};

/// Judges the packet of the facts for the port and side that they name.
#[inline(always)]
pub fn judge() -> Result<(), DropReason> {
    subprogram::result(judge_connection())
}

/// A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_connection() -> u32 {
    subprogram::answer(maps::facts().and_then(judge_facts))
}

#[inline(always)]
fn judge_facts(facts: &mut Facts) -> Result<(), DropReason> {
    let host = maps::host()?;
    let now = maps::seconds();
    if facts.kind == kind::SINGLE {
        return by_rule(facts);
    }
    if facts.kind == kind::LATER_FRAGMENT {
        follow(facts, now)?;
    }
    facts.key = key(facts);
    if !belongs_to_open(facts, host, now)? && !belongs_to_half_open(facts, host, now)? {
        start(facts, host, now)?;
    }
    if facts.is_first_fragment {
        remember(facts, now)?;
    }
    Ok(())
}

/// The connection, as the port sees it.
#[inline(always)]
fn key(facts: &Facts) -> FlowKey {
    let kind = (facts.family, facts.protocol);
    let source = (facts.source, facts.source_port);
    let destination = (facts.destination, facts.destination_port);
    match facts.side() {
        Side::Own => FlowKey::new(facts.ifindex, kind, source, destination),
        Side::Peer => FlowKey::new(facts.ifindex, kind, destination, source),
    }
}

#[inline(always)]
fn signal(facts: &Facts) -> Signal {
    match (facts.protocol, facts.flags) {
        (protocol::TCP, flags) => Signal::Tcp(flags),
        (_, 0) => Signal::Request,
        _ => Signal::Answer,
    }
}

/// Whether the packet takes its connection further: errors and later fragments do not.
#[inline(always)]
fn advances(facts: &Facts) -> bool {
    facts.kind == kind::CONNECTION
}

/// Whether it belongs to a connection that is open.
#[inline(always)]
fn belongs_to_open(facts: &mut Facts, host: &HostConfig, now: u32) -> Result<bool, DropReason> {
    let Some(flow) = maps::flow(&facts.key) else { return Ok(false) };
    if flow.ifindex() != facts.ifindex || flow.is_over(&host.flows().timeouts, facts.protocol, now) {
        return Ok(false);
    }
    let generation = maps::generation();
    // A revoked one at each packet: another CPU may have judged it by the rules of now, and this one by those before.
    if flow.generation() != generation || flow.phase() == Phase::Revoked {
        match again(facts, flow.starter()) {
            Ok(Some(rule)) => flow.judge(Judged { generation, rule }),
            Ok(None) => return Ok(false),
            Err(DropReason::PolicyDenied) => return revoked(facts, flow, host, now),
            Err(reason) => return Err(reason),
        }
    }
    if !advances(facts) {
        return Ok(true);
    }
    match flow.advance(signal(facts), facts.side(), now) {
        Step::Belongs => flow.count(facts.len),
        Step::Invalid => return Err(DropReason::InvalidState),
        Step::Starts => restart(facts, flow, now)?,
    }
    Ok(true)
}

/// What becomes of a packet whose connection the rules do not allow any more, as [`again`] has found: it is dropped for what they
/// say of that, unless it asks for another one between the same ports, as only TCP tells.
#[inline(always)]
fn revoked(facts: &mut Facts, flow: &mut Flow, host: &HostConfig, now: u32) -> Result<bool, DropReason> {
    flow.revoke(now);
    let starter = flow.starter();
    // From its own side it would be judged as that was.
    if advances(facts) && signal(facts).asks() && facts.side() != starter {
        require_room(facts, host)?;
        return restart(facts, flow, now).map(|()| true);
    }
    // What was judged is the packet that started it.
    facts.side = starter as u32;
    Err(DropReason::PolicyDenied)
}

/// Transport ports are used again for another connection. It takes the place of the old one among those that are open.
#[inline(always)]
fn restart(facts: &mut Facts, flow: &mut Flow, now: u32) -> Result<(), DropReason> {
    if let Some(judged) = first(facts)?
        && let Some(mut new) = begin(facts, judged, now)
    {
        new.count(facts.len);
        *flow = new;
        // The old one is over, as whoever looks for those that are will find.
        maps::count_opened(facts.slot);
        maps::count_opened(facts.tenant);
    }
    Ok(())
}

/// Whether it belongs to a connection that is asked for. What both sides agree to by this packet is open from now on.
#[inline(always)]
fn belongs_to_half_open(facts: &mut Facts, host: &HostConfig, now: u32) -> Result<bool, DropReason> {
    let Some(found) = maps::half_open(&facts.key) else { return Ok(false) };
    // A copy: nothing is changed in place here.
    facts.flow = *found;
    if facts.flow.ifindex() != facts.ifindex
        || facts.flow.is_over(&host.flows().timeouts, facts.protocol, now)
    {
        return Ok(false);
    }
    let generation = maps::generation();
    if facts.flow.generation() != generation {
        let Some(rule) = again(facts, facts.flow.starter())? else { return Ok(false) };
        facts.flow.judge(Judged { generation, rule });
    }
    if !advances(facts) {
        return Ok(true);
    }
    let (signal, side) = (signal(facts), facts.side());
    match facts.flow.advance(signal, side, now) {
        Step::Belongs => facts.flow.count(facts.len),
        Step::Invalid => return Err(DropReason::InvalidState),
        Step::Starts => return Ok(false),
    }
    // What was refused before both had agreed is not open either: scans would fill the room of those that are.
    if matches!(facts.flow.phase(), Phase::Single | Phase::Opening | Phase::Agreed | Phase::Reset) {
        maps::set_half_open(&facts.key, &facts.flow)?;
        return Ok(true);
    }
    maps::open(&facts.key, &facts.flow)?;
    maps::close_half_open(&facts.key);
    maps::count_opened(facts.slot);
    let endpoint = maps::judging_endpoint(facts.ifindex)?.ok_or(DropReason::UnknownEndpoint)?;
    maps::count_opened(endpoint.security().tenant);
    Ok(true)
}

/// Judges the connection that a packet belongs to by the rules of now: those about the packet that started it, from
/// `starter`. Returns the rule that lets it through; `None` if that keeps no connections, so that this is none any more. One that
/// is denied stays one, for both sides: what the other side of it sends would start it anew.
#[inline(always)]
fn again(facts: &mut Facts, starter: Side) -> Result<Option<u32>, DropReason> {
    let (side, detail) = (facts.side, facts.detail);
    let turned = facts.side() != starter;
    facts.detail = match (facts.family, facts.protocol, starter) {
        // Only a ping starts one.
        (4, protocol::ICMP, _) => [8, 0],
        (6, protocol::ICMPV6, _) => [128, 0],
        (_, _, Side::Own) => facts.key.peer_port,
        (_, _, Side::Peer) => facts.key.own_port,
    };
    facts.side = starter as u32;
    facts.is_turned = turned;
    if turned {
        core::mem::swap(&mut facts.source, &mut facts.destination);
    }
    let decided = by_rule(facts);
    if turned {
        core::mem::swap(&mut facts.source, &mut facts.destination);
    }
    facts.is_turned = false;
    (facts.side, facts.detail) = (side, detail);
    decided.map(|()| (!facts.stateless).then_some(facts.rule))
}

/// A packet of no connection: a rule must let it through, and it must start one unless the rule wants none.
#[inline(always)]
fn start(facts: &mut Facts, host: &HostConfig, now: u32) -> Result<(), DropReason> {
    if facts.kind == kind::ERROR {
        return unrelated(facts);
    }
    let Some(judged) = first(facts)? else { return Ok(()) };
    if facts.kind == kind::LATER_FRAGMENT {
        return Err(DropReason::NoConnection);
    }
    let Some(flow) = begin(facts, judged, now) else { return Err(DropReason::NoConnection) };
    facts.flow = flow;
    require_room(facts, host)?;
    facts.flow.count(facts.len);
    queue(facts, host.flows().half_open);
    maps::set_half_open(&facts.key, &facts.flow)
}

/// Whether the port and its tenant may have one more.
#[inline(always)]
fn require_room(facts: &Facts, host: &HostConfig) -> Result<(), DropReason> {
    let limits = host.flows();
    if maps::open_count(facts.slot) >= limits.per_port as u64 {
        return Err(DropReason::PortFlowQuota);
    }
    if maps::open_count(facts.tenant) >= limits.per_tenant as u64 {
        return Err(DropReason::TenantFlowQuota);
    }
    Ok(())
}

/// An error about a packet of no connection. Where rules keep none, one of them may let it through by itself.
#[inline(always)]
fn unrelated(facts: &mut Facts) -> Result<(), DropReason> {
    // Another port may judge it yet, by what it quotes.
    let quoted = facts.protocol;
    facts.protocol = if facts.family == 4 { protocol::ICMP } else { protocol::ICMPV6 };
    core::mem::swap(&mut facts.source, &mut facts.teller);
    let decided = policy::decide();
    core::mem::swap(&mut facts.source, &mut facts.teller);
    facts.protocol = quoted;
    decided?;
    if facts.allowed && facts.stateless { Ok(()) } else { Err(DropReason::UnrelatedError) }
}

/// What lets the first packet of a connection through, unless it is let through for itself.
#[inline(always)]
fn first(facts: &mut Facts) -> Result<Option<Judged>, DropReason> {
    // Before the rules are looked up: if they change meanwhile, it is judged again.
    let generation = maps::generation();
    by_rule(facts)?;
    Ok((!facts.stateless).then_some(Judged { generation, rule: facts.rule }))
}

#[inline(always)]
fn by_rule(facts: &mut Facts) -> Result<(), DropReason> {
    policy::decide()?;
    if facts.allowed { Ok(()) } else { Err(DropReason::PolicyDenied) }
}

#[inline(always)]
fn begin(facts: &Facts, judged: Judged, now: u32) -> Option<Flow> {
    Flow::start(facts.ifindex, signal(facts), facts.side(), now, judged)
}

/// Gives the connection the next place in its port's order, and has what was there go.
#[inline(always)]
fn queue(facts: &mut Facts, places: u32) {
    let Some(asked) = maps::count_asked(facts.slot) else { return };
    let Some(place) = (asked as u32).checked_rem(places) else { return };
    facts.half_open_key = HalfOpenKey { ifindex: facts.ifindex, place };
    // It may have been asked for again since, and have another place.
    if let Some(oldest) = maps::asked(&facts.half_open_key)
        && maps::half_open(oldest).is_some_and(|flow| flow.place() == place)
        && maps::close_half_open(oldest)
    {
        maps::count_displaced(facts.slot);
    }
    maps::ask(&facts.half_open_key, &facts.key);
    facts.flow.queue(place);
}

/// What the first fragment of the packet said.
#[inline(always)]
fn follow(facts: &mut Facts, now: u32) -> Result<(), DropReason> {
    facts.fragment = fragment_key(facts);
    let Some(first) = maps::fragment(&facts.fragment) else { return Err(DropReason::FragmentWithoutFirst) };
    if now.wrapping_sub(first.seen) >= Fragment::LIFETIME {
        return Err(DropReason::FragmentWithoutFirst);
    }
    facts.protocol = first.protocol;
    facts.detail = first.detail;
    (facts.source_port, facts.destination_port) = match facts.side() {
        Side::Own => (first.own_port, first.peer_port),
        Side::Peer => (first.peer_port, first.own_port),
    };
    Ok(())
}

#[inline(always)]
fn remember(facts: &mut Facts, now: u32) -> Result<(), DropReason> {
    facts.fragment = fragment_key(facts);
    let (own_port, peer_port) = match facts.side() {
        Side::Own => (facts.source_port, facts.destination_port),
        Side::Peer => (facts.destination_port, facts.source_port),
    };
    facts.first = Fragment {
        own_port,
        peer_port,
        detail: facts.detail,
        protocol: facts.protocol,
        padding: 0,
        seen: now,
    };
    maps::remember(&facts.fragment, &facts.first)
}

#[inline(always)]
fn fragment_key(facts: &Facts) -> FragmentKey {
    FragmentKey {
        ifindex: facts.ifindex,
        identification: facts.identification,
        family: facts.family,
        protocol: if facts.family == 4 { facts.protocol } else { 0 },
        side: facts.side as u8,
        padding: 0,
        source: facts.source,
        destination: facts.destination,
    }
}
