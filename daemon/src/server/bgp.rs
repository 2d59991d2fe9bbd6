//! What the paths under `/v1/bgp` do: read the request, ask the speaker, answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use weft_api::view::bgp::{Clear, Explanation, Neighbor, RibRoute, Summary};
use weft_bgp::wire::Family;

use super::error::Refusal;
use super::handlers::{bytes, path, query};
use super::{Context, body};
use crate::bgp::NO_BGP;
use crate::bgp::command::{BgpError, Handle, RibQuery, RibTable};
use crate::bgp::subject::{NoSubject, Subject};

type Answer<T> = Result<Json<T>, Refusal>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RibParameters {
    #[serde(rename = "in")]
    from: Option<String>,
    #[serde(rename = "out")]
    to: Option<String>,
    family: Option<String>,
    network: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainParameters {
    address: String,
    network: Option<String>,
}

pub(super) async fn summary(State(context): State<Context>) -> Answer<Summary> {
    Ok(Json(speaker(&context)?.summary().await?))
}

pub(super) async fn neighbors(State(context): State<Context>) -> Answer<Vec<Neighbor>> {
    Ok(Json(speaker(&context)?.neighbors().await?))
}

pub(super) async fn neighbor(
    State(context): State<Context>,
    segments: Result<Path<String>, PathRejection>,
) -> Answer<Neighbor> {
    let name = path(segments)?;
    Ok(Json(speaker(&context)?.neighbor(name).await?))
}

pub(super) async fn rib(
    State(context): State<Context>,
    parameters: Result<Query<RibParameters>, QueryRejection>,
) -> Answer<Vec<RibRoute>> {
    let wanted = wanted(query(parameters)?)?;
    Ok(Json(speaker(&context)?.rib(wanted).await?))
}

pub(super) async fn explain(
    State(context): State<Context>,
    parameters: Result<Query<ExplainParameters>, QueryRejection>,
) -> Answer<Vec<Explanation>> {
    let ExplainParameters { address, network } = query(parameters)?;
    let subject: Subject = address.parse().map_err(|error: NoSubject| {
        Refusal::one(StatusCode::BAD_REQUEST, "query", format!("address: {error}"))
    })?;
    Ok(Json(speaker(&context)?.explain(subject, network).await?))
}

pub(super) async fn clear(
    State(context): State<Context>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Vec<String>> {
    let Clear { peer, soft } = body::read("clear", &bytes(body)?)?;
    Ok(Json(speaker(&context)?.clear(peer, soft).await?))
}

fn speaker(context: &Context) -> Result<&Handle, Refusal> {
    context.bgp.as_ref().ok_or_else(|| {
        let message = format!("{NO_BGP}; add one with its asn and restart weftd");
        Refusal::one(StatusCode::CONFLICT, "bgp", message)
    })
}

fn wanted(parameters: RibParameters) -> Result<RibQuery, Refusal> {
    let refusal = |message: String| Refusal::one(StatusCode::BAD_REQUEST, "query", message);
    let table = match (parameters.from, parameters.to) {
        (None, None) => RibTable::Local,
        (Some(peer), None) => RibTable::In(peer),
        (None, Some(peer)) => RibTable::Out(peer),
        (Some(_), Some(_)) => {
            return Err(refusal("in and out exclude each other; leave one out".to_owned()));
        }
    };
    let family = match parameters.family.as_deref() {
        None => None,
        Some("evpn") => Some(Family::EVPN),
        Some("ipv4-unicast") => Some(Family::IPV4_UNICAST),
        Some("ipv6-unicast") => Some(Family::IPV6_UNICAST),
        Some("route-targets") => Some(Family::ROUTE_TARGETS),
        Some(family) => {
            let message = format!(
                "family: {family:?} is none; there are evpn, ipv4-unicast, ipv6-unicast and route-targets"
            );
            return Err(refusal(message));
        }
    };
    Ok(RibQuery { table, family, network: parameters.network })
}

impl From<BgpError> for Refusal {
    fn from(error: BgpError) -> Self {
        match error {
            BgpError::NoPeer(name) => {
                let message = "it does not exist; `weft bgp summary` lists the peers that do";
                Self::one(StatusCode::NOT_FOUND, format_args!("peer/{name}"), message)
            }
            BgpError::NoSession(name) => {
                let message =
                    "it has no session in which routes could be exchanged anew; `weft bgp summary` says why";
                Self::one(StatusCode::CONFLICT, format_args!("peer/{name}"), message)
            }
            BgpError::NoNetwork(name) => {
                let message = "it does not exist; `weft get networks` lists the networks that do";
                Self::one(StatusCode::NOT_FOUND, format_args!("network/{name}"), message)
            }
            BgpError::Stopped => Self::one(StatusCode::SERVICE_UNAVAILABLE, "bgp", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_routes() {
        let parameters = |from: Option<&str>, to: Option<&str>, family: Option<&str>| {
            let [from, to, family] = [from, to, family].map(|text| text.map(str::to_owned));
            wanted(RibParameters { from, to, family, network: Some("red".to_owned()) })
        };
        let query = |table, family| RibQuery { table, family, network: Some("red".to_owned()) };
        for (asked, query) in [
            (parameters(None, None, None), query(RibTable::Local, None)),
            (
                parameters(Some("a"), None, Some("evpn")),
                query(RibTable::In("a".to_owned()), Some(Family::EVPN)),
            ),
            (
                parameters(None, Some("a"), Some("route-targets")),
                query(RibTable::Out("a".to_owned()), Some(Family::ROUTE_TARGETS)),
            ),
            (
                parameters(None, None, Some("ipv4-unicast")),
                query(RibTable::Local, Some(Family::IPV4_UNICAST)),
            ),
            (
                parameters(None, None, Some("ipv6-unicast")),
                query(RibTable::Local, Some(Family::IPV6_UNICAST)),
            ),
        ] {
            assert_eq!(asked.unwrap(), query);
        }
        assert!(parameters(Some("a"), Some("b"), None).is_err());
        assert!(parameters(None, None, Some("l2vpn-evpn")).is_err());
    }
}
