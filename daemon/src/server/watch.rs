//! The stream of changes: one line of JSON each.
//!
//! Without `since` it begins with what happens next. With `since=REV` it begins with everything after that revision,
//! without a gap, or is refused (410). It ends when weftd stops or when the watcher reads so slowly that changes would
//! be lost; the watcher then asks again, since the last revision that it saw.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::{Query, rejection::QueryRejection};
use axum::response::Response;
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing::warn;
use weft_api::view::Event;

use super::Context;
use super::error::Refusal;
use super::handlers::query;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchQuery {
    since: Option<u64>,
}

pub(super) async fn watch(
    State(context): State<Context>,
    parameters: Result<Query<WatchQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let WatchQuery { since } = query(parameters)?;
    let subscription = context.engine.watch(since).await?;
    let events = stream::iter(subscription.missed).chain(live(subscription.live));
    Ok(super::stream::answer(events, context.stop))
}

fn live(receiver: Receiver<Arc<Event>>) -> impl Stream<Item = Arc<Event>> {
    stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(event) => Some((event, receiver)),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(lost)) => {
                warn!(lost, "a watcher reads too slowly; its stream ends");
                None
            }
        }
    })
}
