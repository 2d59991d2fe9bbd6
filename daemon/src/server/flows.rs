//! The connections: a list, who has the most, or with `follow` a stream of those that begin and end.
//!
//! The kernel does not tell of what begins: a task of each stream looks every second. It ends with its reader.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::{Query, rejection::QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use ipnet::IpNet;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use weft_api::kind::Kind;
use weft_api::resource::security::{Direction, Protocol};
use weft_api::view::security::{FlowEvent, FlowLine, FlowTop};
use weft_dataplane::FlowReader;

use super::Context;
use super::error::Refusal;
use super::handlers::query;
use super::stream::Follow;
use crate::engine::EngineError;
use crate::flows::{self, Filter, FlowsError};
use crate::intent::reference;
use crate::time::rfc3339;

/// Connections in an answer, unless another number is asked for.
const LIMIT: usize = 1000;
/// The most that are told at once.
const MOST: usize = 100_000;
/// Of ports, tenants and peers.
const TOP: usize = 10;
/// How often it is looked for what began.
const INTERVAL: Duration = Duration::from_secs(1);
/// Lines that wait for a reader: who does not read lets the task wait.
const WAITING: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowsQuery {
    follow: Option<Follow>,
    port: Option<String>,
    peer: Option<String>,
    protocol: Option<Protocol>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopQuery {
    port: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn flows(
    State(context): State<Context>,
    parameters: Result<Query<FlowsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let FlowsQuery { follow, port, peer, protocol, limit } = query(parameters)?;
    let filter = Filter {
        port,
        peer: peer.as_deref().map(prefix).transpose()?,
        protocol: protocol.and_then(Protocol::number),
    };
    require_port(&context, filter.port.as_deref())?;
    if Follow::is_wanted(follow) {
        let stop = context.stop.clone();
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(follow_flows(context, filter, sender));
        let lines = stream::unfold(receiver, |mut receiver| async move {
            Some((Arc::new(receiver.recv().await?), receiver))
        });
        return Ok(super::stream::answer(lines, stop));
    }
    let names = context.names.borrow().clone();
    let limit = limit.unwrap_or(LIMIT).min(MOST);
    Ok(Json(flows::list(&context.flows, &context.engine, &names, filter, limit).await?).into_response())
}

pub(super) async fn top(
    State(context): State<Context>,
    parameters: Result<Query<TopQuery>, QueryRejection>,
) -> Result<Json<FlowTop>, Refusal> {
    let TopQuery { port, limit } = query(parameters)?;
    require_port(&context, port.as_deref())?;
    let filter = Filter { port, ..Filter::default() };
    let names = context.names.borrow().clone();
    let counters = context.engine.counters().await?;
    let wanted = (filter, limit.unwrap_or(TOP).min(MOST));
    Ok(Json(flows::top::top(&context.flows, &names, &counters, context.room, wanted).await?))
}

/// Tells what begins and ends, until nobody reads any more.
async fn follow_flows(context: Context, filter: Filter, lines: mpsc::Sender<FlowLine>) {
    let mut ended = context.boards.ended.subscribe().live;
    let mut next = FlowReader::now();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let line = tokio::select! {
            () = lines.closed() => return,
            line = ended.recv() => match line {
                Ok(event) if is_wanted(&filter, &event) => FlowLine::Ended(Box::new(event.as_ref().clone())),
                Ok(_) => continue,
                Err(RecvError::Lagged(missed)) => FlowLine::Missed(missed),
                Err(RecvError::Closed) => return,
            },
            _ = ticks.tick() => {
                // The programs' clock may be a moment behind: what begins now can still be of the second before.
                let end = FlowReader::now().saturating_sub(1);
                let Some(told) = started(&context, &filter, (next, end)).await else { return };
                next = end.max(next);
                for line in told {
                    if lines.send(line).await.is_err() {
                        return;
                    }
                }
                continue;
            }
        };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

/// What began in these seconds; `None` if the kernel does not tell any more.
async fn started(context: &Context, filter: &Filter, seconds: (u32, u32)) -> Option<Vec<FlowLine>> {
    if seconds.0 >= seconds.1 {
        return Some(Vec::new());
    }
    let names = context.names.borrow().clone();
    let (found, left_out) = match flows::started(&context.flows, filter.clone(), seconds, MOST).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "connections are not followed any more");
            return None;
        }
    };
    let time = rfc3339(std::time::SystemTime::now());
    let views = flows::views(&context.engine, &names, &found).await;
    let event = |flow| FlowLine::Started(Box::new(FlowEvent { time: time.clone(), flow }));
    let mut lines: Vec<_> = views.into_iter().map(event).collect();
    lines.extend((left_out > 0).then(|| FlowLine::Missed(u64::try_from(left_out).unwrap_or(u64::MAX))));
    Some(lines)
}

fn is_wanted(filter: &Filter, event: &FlowEvent) -> bool {
    let flow = &event.flow;
    let other = match flow.direction {
        Direction::Egress => flow.destination,
        Direction::Ingress => flow.source,
    };
    let is_peer = |peer: IpNet| peer.contains(&other);
    filter.port.as_ref().is_none_or(|port| *port == flow.port)
        && filter.peer.is_none_or(is_peer)
        && filter.protocol.is_none_or(|protocol| flow.protocol == Protocol::Number(protocol))
}

/// That there is a port of the name, if one is given: a typing error is no port without connections.
fn require_port(context: &Context, port: Option<&str>) -> Result<(), Refusal> {
    match port.filter(|port| !context.names.borrow().model.ports.contains_key(*port)) {
        Some(port) => Err(EngineError::Missing(reference(Kind::Port, port)).into()),
        None => Ok(()),
    }
}

fn prefix(text: &str) -> Result<IpNet, Refusal> {
    let prefix = text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)));
    prefix.map_err(|_| {
        Refusal::one(
            StatusCode::BAD_REQUEST,
            text,
            "it is no address and no prefix; give one as 10.0.0.7 or fd00::/64",
        )
    })
}

impl From<FlowsError> for Refusal {
    fn from(error: FlowsError) -> Self {
        Self::one(StatusCode::INTERNAL_SERVER_ERROR, "flows", error)
    }
}
