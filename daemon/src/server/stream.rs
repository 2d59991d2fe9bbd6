//! Answers that go on: a line of JSON for each thing that happens, until weftd stops.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// `follow` alone means yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Follow {
    #[serde(alias = "")]
    True,
    False,
}

impl Follow {
    pub(super) fn is_wanted(given: Option<Self>) -> bool {
        given == Some(Self::True)
    }
}

/// An answer of `lines`, which ends when `stop` says so.
pub(super) fn answer<T: Serialize + Send + Sync + 'static>(
    lines: impl Stream<Item = Arc<T>> + Send + 'static,
    mut stop: watch::Receiver<bool>,
) -> Response {
    let stopped = async move {
        // An error says that nobody can tell us any more: the same as being told.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let texts = lines.filter_map(|line| std::future::ready(text(&*line))).map(Ok::<_, Infallible>);
    let body = Body::from_stream(texts.take_until(Box::pin(stopped)));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn text<T: Serialize>(line: &T) -> Option<Bytes> {
    let mut line = serde_json::to_vec(line).ok()?;
    line.push(b'\n');
    Some(line.into())
}
