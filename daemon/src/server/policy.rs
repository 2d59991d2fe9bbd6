//! What rules do: how often they decided, and what becomes of a packet that nobody sent.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::extract::{Query, rejection::QueryRejection};
use axum::http::StatusCode;
use serde::Deserialize;
use weft_api::kind::Kind;
use weft_api::resource::RuleVerdict;
use weft_api::resource::security::Protocol;
use weft_api::view::Route;
use weft_api::view::security::{DecidedBy, EndTest, Ground, Hits, PolicyTest, Verdict};
use weft_dataplane::Trial;
use weft_policy::{Action, Packet, Rule};

use super::Context;
use super::error::Refusal;
use super::handlers::{all_routes, query};
use crate::decided::direction;
use crate::engine::EngineError;
use crate::intent::reference;
use crate::names::Names;
use crate::policy_test::{End, Question, QuestionError, Walked, ends};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HitsQuery {
    group: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestQuery {
    source: String,
    destination: String,
    protocol: Protocol,
    port: Option<u16>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    network: Option<String>,
}

/// Hits of the rules of a group, or of all groups and of the defaults. Rules that never decided are missing.
pub(super) async fn hits(
    State(context): State<Context>,
    parameters: Result<Query<HitsQuery>, QueryRejection>,
) -> Result<Json<Vec<Hits>>, Refusal> {
    let HitsQuery { group } = query(parameters)?;
    let names = context.names.borrow().clone();
    if let Some(group) = group.as_ref().filter(|group| !names.model.security_groups.contains_key(*group)) {
        return Err(EngineError::Missing(reference(Kind::SecurityGroup, group)).into());
    }
    let counted = context.engine.rule_hits().await?;
    let by_rule: BTreeMap<Rule, u64> =
        counted.iter().filter_map(|hits| Some((hits.by.rule?, hits.hits))).collect();
    let wanted: BTreeSet<Rule> = by_rule.keys().copied().collect();
    let mut told = Vec::new();
    for name in
        names.model.security_groups.keys().filter(|name| group.as_ref().is_none_or(|group| group == *name))
    {
        let places = names.places_in(name, &wanted);
        told.extend(places.into_iter().filter_map(|(rule, index)| {
            let by = DecidedBy::Rule(names.reference(name, index));
            Some(Hits { direction: direction(rule.direction()), by, hits: *by_rule.get(&rule)? })
        }));
    }
    let defaults = counted.iter().filter(|hits| group.is_none() && hits.by.rule.is_none());
    told.extend(defaults.map(|hits| Hits {
        direction: direction(hits.by.direction),
        by: DecidedBy::Default,
        hits: hits.hits,
    }));
    Ok(Json(told))
}

/// What the ports of this host say of a packet: by a walk over the stored rules, and by the loaded programs.
pub(super) async fn test(
    State(context): State<Context>,
    parameters: Result<Query<TestQuery>, QueryRejection>,
) -> Result<Json<PolicyTest>, Refusal> {
    let question = question(query(parameters)?)?;
    let names = context.names.borrow().clone();
    let ends = ends(&question, &names.model)?;
    let mut told =
        PolicyTest { verdict: RuleVerdict::Allow, agree: true, ends: Vec::new(), notes: Vec::new() };
    for end in &ends {
        let routes = all_routes(&context, Some(end.network.clone())).await?;
        let tested = test_end(&context, end, &question, &routes, &names).await?;
        told.agree &= tested.agree;
        if !matches!(tested.programs, Verdict::Allow(_)) {
            told.verdict = RuleVerdict::Deny;
        }
        let peer = end.peer_by(&routes);
        if !peer.is_routed {
            // What is sent there ends here, whatever rules say.
            if end.direction == weft_policy::Direction::Egress {
                told.verdict = RuleVerdict::Deny;
            }
            told.notes.push(format!("no route of network/{} leads to {}", end.network, end.peer()));
        } else if let Some(vtep) = peer.vtep {
            told.notes.push(format!("{} is behind VTEP {vtep}: its own rules are judged there", end.peer()));
        }
        told.ends.push(tested);
    }
    Ok(Json(told))
}

async fn test_end(
    context: &Context,
    end: &End,
    question: &Question,
    routes: &[Route],
    names: &Names,
) -> Result<EndTest, Refusal> {
    let peer = end.peer_by(routes);
    let gone = || Refusal::from(QuestionError::NoPort(end.port.clone()));
    let walked = end.walk(question, &peer, names).ok_or_else(gone)?;
    let trial = Trial {
        port: end.port.clone(),
        direction: end.direction,
        source: end.source,
        destination: end.destination,
        protocol: question.protocol,
        detail: question.detail,
        from: peer.vtep.filter(|_| end.direction == weft_policy::Direction::Ingress),
    };
    let judged = context.engine.trial(trial).await?;
    let judged = judged
        .map_err(|error| Refusal::one(StatusCode::CONFLICT, reference(Kind::Port, &end.port), error))?;
    let groups = peer.groups.iter().map(|id| {
        let named = names.model.security_groups.iter().find(|(_, group)| group.id == id);
        named.map_or_else(|| id.0.to_string(), |(name, _)| name.clone())
    });
    let packet = Packet {
        peer: end.peer(),
        groups: &peer.groups,
        protocol: question.protocol,
        detail: question.detail,
    };
    Ok(EndTest {
        port: end.port.clone(),
        direction: direction(end.direction),
        peer_groups: groups.collect(),
        agree: agree(&walked, &judged, &packet),
        rules: said(walked.action == Action::Allow, walked.stateless, walked.by),
        programs: programs(&judged, end, names),
    })
}

/// Whether both say the same. Of rules that count alike either may be named.
fn agree(walked: &Walked, judged: &weft_dataplane::Verdict, packet: &Packet<'_>) -> bool {
    match judged {
        weft_dataplane::Verdict::Judged { allowed, stateless, by } => {
            let same_ground = by.is_some_and(|by| match (by.rule, walked.rule) {
                (None, None) => true,
                (Some(one), Some(other)) => one.matches(packet) && one.priority() == other.priority(),
                (None, Some(_)) | (Some(_), None) => false,
            });
            *allowed == (walked.action == Action::Allow) && *stateless == walked.stateless && same_ground
        }
        weft_dataplane::Verdict::Dropped(_) => false,
    }
}

fn programs(judged: &weft_dataplane::Verdict, end: &End, names: &Names) -> Verdict {
    match judged {
        weft_dataplane::Verdict::Judged { allowed, stateless, by } => {
            let place = |rule: Rule| {
                let place = names.rules_of(&end.port, &[rule].into()).remove(&rule);
                place.map_or(DecidedBy::Unknown, DecidedBy::Rule)
            };
            let by = by.map_or(DecidedBy::Unknown, |by| by.rule.map_or(DecidedBy::Default, place));
            said(*allowed, *stateless, by)
        }
        weft_dataplane::Verdict::Dropped(reason) => Verdict::Drop(reason.name().to_owned()),
    }
}

const fn said(allowed: bool, stateless: bool, by: DecidedBy) -> Verdict {
    let ground = Ground { by, stateless };
    if allowed { Verdict::Allow(ground) } else { Verdict::Deny(ground) }
}

fn question(given: TestQuery) -> Result<Question, Refusal> {
    let TestQuery { source, destination, protocol, port, icmp_type, icmp_code, network } = given;
    let refuse = |field: &str, message: &str| Err(Refusal::one(StatusCode::BAD_REQUEST, field, message));
    let Some(protocol) = protocol.number() else {
        return refuse("protocol", "a packet has one protocol; name it, such as tcp, or give its number");
    };
    let detail = match (protocol, port, icmp_type) {
        (6 | 17 | 132, Some(port), None) => port,
        (6 | 17 | 132, None, None) => {
            return refuse("port", "it is missing: tcp, udp and sctp have a destination port");
        }
        (1, None, Some(3..=5 | 11 | 12)) | (58, None, Some(0..128)) => {
            return refuse(
                "icmp_type",
                "an ICMP error is judged by the connection that it quotes; without one, only a stateless rule lets it in",
            );
        }
        (1, None, kind) => Packet::icmp(kind.unwrap_or(8), icmp_code.unwrap_or(0)),
        (58, None, kind) => Packet::icmp(kind.unwrap_or(128), icmp_code.unwrap_or(0)),
        (_, Some(_), _) => return refuse("port", "only tcp, udp and sctp have ports"),
        (0 | 43 | 44 | 51 | 60, None, None) => {
            return refuse("protocol", "it is an extension header of IPv6; name what it leads to");
        }
        (_, None, Some(_)) => return refuse("icmp_type", "only icmp and icmpv6 have types"),
        (_, None, None) => 0,
    };
    Ok(Question { source, destination, protocol, detail, network })
}

impl From<QuestionError> for Refusal {
    fn from(error: QuestionError) -> Self {
        let status = match error {
            QuestionError::NoPort(_) | QuestionError::UnknownNetwork(_) => StatusCode::NOT_FOUND,
            QuestionError::Detached(_) | QuestionError::NotHere(..) => StatusCode::CONFLICT,
            QuestionError::NoAddress(_)
            | QuestionError::NoNetwork
            | QuestionError::Apart(..)
            | QuestionError::OtherNetwork(..)
            | QuestionError::Mixed(..) => StatusCode::BAD_REQUEST,
        };
        Self::one(status, "packet", error)
    }
}
