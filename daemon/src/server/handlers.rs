//! What each path does: read the request, ask the engine, answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse};
use serde::Deserialize;
use weft_api::kind::{Kind, Reference};
use weft_api::resource::Resource;
use weft_api::view::{Counters, Outcome, Route, Status, Stored};

use super::error::Refusal;
use super::{Context, body};
use crate::change::Change;
use crate::engine::EngineError;

type Answer<T> = Result<Json<T>, Refusal>;
type Body = Result<Bytes, BytesRejection>;
type Parameters<T> = Result<Query<T>, QueryRejection>;
type Segments<T> = Result<Path<T>, PathRejection>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoutesQuery {
    network: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteQuery {
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttachQuery {
    #[serde(default, rename = "move")]
    may_move: bool,
}

pub(super) async fn status(State(context): State<Context>) -> Answer<Status> {
    Ok(Json(context.engine.status().await?))
}

pub(super) async fn routes(
    State(context): State<Context>,
    parameters: Parameters<RoutesQuery>,
) -> Answer<Vec<Route>> {
    let RoutesQuery { network } = query(parameters)?;
    Ok(Json(all_routes(&context, network).await?))
}

/// The routes of this host, and those that were learned.
pub(super) async fn all_routes(
    context: &Context,
    network: Option<String>,
) -> Result<Vec<Route>, EngineError> {
    let mut all = context.engine.routes(network.clone()).await?;
    // Without a speaker, or while it does not run, there is nothing learned to tell.
    if let Some(speaker) = &context.bgp
        && let Ok(learned) = speaker.routes(network).await
    {
        crate::routes::add_learned(&mut all, learned);
    }
    Ok(all)
}

pub(super) async fn counters(State(context): State<Context>) -> Answer<Vec<Counters>> {
    Ok(Json(context.engine.counters().await?))
}

/// The header tells the revision from which a watch misses nothing.
pub(super) async fn list(
    State(context): State<Context>,
    segments: Segments<String>,
) -> Result<impl IntoResponse, Refusal> {
    let listing = context.engine.list(kind(&path(segments)?)?).await?;
    let revision = AppendHeaders([("weft-revision", listing.revision.to_string())]);
    Ok((revision, Json(listing.resources)))
}

pub(super) async fn read(
    State(context): State<Context>,
    segments: Segments<(String, String)>,
) -> Answer<Stored> {
    Ok(Json(context.engine.get(named(segments)?).await?))
}

pub(super) async fn create(
    State(context): State<Context>,
    segments: Segments<String>,
    parameters: Parameters<WriteQuery>,
    body: Body,
) -> Result<(StatusCode, Json<Outcome>), Refusal> {
    let kind = kind(&path(segments)?)?;
    let resource = body::resource(kind, None, &bytes(body)?)?;
    let outcome = change(&context, vec![Change::Create(resource)], parameters).await?;
    Ok((StatusCode::CREATED, outcome))
}

pub(super) async fn replace(
    State(context): State<Context>,
    segments: Segments<(String, String)>,
    parameters: Parameters<WriteQuery>,
    body: Body,
) -> Answer<Outcome> {
    let id = named(segments)?;
    let resource = body::resource(id.kind, Some(&id.name), &bytes(body)?)?;
    change(&context, vec![Change::Replace(resource)], parameters).await
}

pub(super) async fn delete(
    State(context): State<Context>,
    segments: Segments<(String, String)>,
    parameters: Parameters<WriteQuery>,
) -> Answer<Outcome> {
    change(&context, vec![Change::Delete(named(segments)?)], parameters).await
}

pub(super) async fn apply(
    State(context): State<Context>,
    parameters: Parameters<WriteQuery>,
    body: Body,
) -> Answer<Outcome> {
    let resources: Vec<Resource> = body::resources(&bytes(body)?)?;
    change(&context, resources.into_iter().map(Change::Apply).collect(), parameters).await
}

pub(super) async fn delete_all(
    State(context): State<Context>,
    parameters: Parameters<WriteQuery>,
    body: Body,
) -> Answer<Outcome> {
    let ids = body::references(&bytes(body)?)?;
    change(&context, ids.into_iter().map(Change::Delete).collect(), parameters).await
}

pub(super) async fn attach(
    State(context): State<Context>,
    segments: Segments<String>,
    parameters: Parameters<AttachQuery>,
    body: Body,
) -> Answer<Outcome> {
    let port = path(segments)?;
    let AttachQuery { may_move } = query(parameters)?;
    let attachment = body::read(&format!("port/{port}"), &bytes(body)?)?;
    Ok(Json(context.engine.attach(port, attachment, may_move).await?))
}

pub(super) async fn detach(State(context): State<Context>, segments: Segments<String>) -> Answer<Outcome> {
    let port = path(segments)?;
    Ok(Json(context.engine.change(vec![Change::Detach { port }], false).await?))
}

pub(super) async fn teardown(State(context): State<Context>) -> Answer<Vec<String>> {
    // Done whole, though the caller may go away meanwhile.
    let work = tokio::spawn(async move {
        if let Some(speaker) = &context.bgp {
            // One that does not run has no peers to tell.
            let _ = speaker.leave().await;
        }
        context.engine.teardown().await
    });
    Ok(Json(work.await.unwrap_or(Err(EngineError::Stopped))?))
}

pub(super) async fn no_such_path(uri: Uri) -> Refusal {
    let message = "there is no such path; /v1/status, /v1/routes, /v1/counters, /v1/metrics, /v1/drops, /v1/flows, \
                   /v1/flows/top, /v1/policy/hits, /v1/policy/test, /v1/watch, /v1/apply, \
                   /v1/delete, /v1/teardown, /v1/bgp/summary, /v1/bgp/neighbors, /v1/bgp/rib, /v1/bgp/explain, \
                   /v1/bgp/clear and /v1/KINDS/NAME are";
    Refusal::one(StatusCode::NOT_FOUND, uri.path(), message)
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    Refusal::one(StatusCode::METHOD_NOT_ALLOWED, uri.path(), format!("it does not take {method}"))
}

async fn change(
    context: &Context,
    changes: Vec<Change>,
    parameters: Parameters<WriteQuery>,
) -> Answer<Outcome> {
    let WriteQuery { dry_run } = query(parameters)?;
    Ok(Json(context.engine.change(changes, dry_run).await?))
}

fn named(segments: Segments<(String, String)>) -> Result<Reference, Refusal> {
    let (plural, name) = path(segments)?;
    Ok(Reference { kind: kind(&plural)?, name })
}

fn kind(plural: &str) -> Result<Kind, Refusal> {
    Kind::ALL.into_iter().find(|kind| kind.plural() == plural).ok_or_else(|| {
        let message = "there is no such kind of resource; there are networks, security-groups, subnets, ports, remotes, peerings, \
                       peer-groups and peers";
        Refusal::one(StatusCode::NOT_FOUND, plural, message)
    })
}

pub(super) fn query<T>(parameters: Parameters<T>) -> Result<T, Refusal> {
    let Query(parameters) =
        parameters.map_err(|error| Refusal::one(StatusCode::BAD_REQUEST, "query", error.body_text()))?;
    Ok(parameters)
}

pub(super) fn path<T>(segments: Segments<T>) -> Result<T, Refusal> {
    let Path(segments) =
        segments.map_err(|error| Refusal::one(StatusCode::BAD_REQUEST, "path", error.body_text()))?;
    Ok(segments)
}

pub(super) fn bytes(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|error| Refusal::one(error.status(), "body", error.body_text()))
}
