//! The drops, one by one: the last ones as a list, or with `follow` as a stream, one line of JSON each.
//!
//! A stream begins with the `last` lines, none unless asked for, and goes on with what happens, without a gap. A watcher
//! that reads too slowly is told how many lines it missed. The stream ends when weftd stops.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::{Query, rejection::QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use weft_api::view::DropLine;
use weft_dataplane_abi::DropReason;

use super::Context;
use super::error::Refusal;
use super::handlers::query;
use super::stream::Follow;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropsQuery {
    follow: Option<Follow>,
    port: Option<String>,
    reason: Option<String>,
    last: Option<usize>,
}

/// Which lines are wanted.
#[derive(Debug)]
struct Filter {
    port: Option<String>,
    reason: Option<String>,
}

pub(super) async fn drops(
    State(context): State<Context>,
    parameters: Result<Query<DropsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let DropsQuery { follow, port, reason, last } = query(parameters)?;
    if let Some(reason) = &reason {
        require_reason(reason)?;
    }
    let filter = Filter { port, reason };
    let subscription = context.boards.drops.subscribe();
    let mut lines: Vec<_> = subscription.last.into_iter().filter(|line| filter.wants(line)).collect();
    let follow = Follow::is_wanted(follow);
    let wanted = last.unwrap_or(if follow { 0 } else { usize::MAX });
    lines.drain(..lines.len().saturating_sub(wanted));
    if !follow {
        return Ok(Json(lines.iter().map(AsRef::as_ref).collect::<Vec<&DropLine>>()).into_response());
    }
    let live = live(subscription.live).filter(move |line| std::future::ready(filter.wants(line)));
    Ok(super::stream::answer(stream::iter(lines).chain(live), context.stop))
}

impl Filter {
    fn wants(&self, line: &DropLine) -> bool {
        let named = |port: &str| self.port.as_ref().is_none_or(|wanted| wanted == port);
        match line {
            DropLine::Drop(drop) => {
                let judged = drop.judged.as_ref().is_some_and(|judged| named(&judged.port));
                (named(&drop.port) || judged)
                    && self.reason.as_ref().is_none_or(|wanted| *wanted == drop.reason)
            }
            // Of which reasons they were is not known.
            DropLine::Untold(untold) => named(&untold.port),
            DropLine::Missed(_) => true,
        }
    }
}

fn require_reason(reason: &str) -> Result<(), Refusal> {
    if DropReason::ALL.iter().any(|known| known.name() == reason) {
        return Ok(());
    }
    let known = DropReason::ALL.map(DropReason::name).join(", ");
    let message = format!("there is no such reason of a drop; there are {known}");
    Err(Refusal::one(StatusCode::BAD_REQUEST, reason, message))
}

fn live(receiver: Receiver<Arc<DropLine>>) -> impl Stream<Item = Arc<DropLine>> {
    stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(line) => Some((line, receiver)),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(missed)) => Some((Arc::new(DropLine::Missed(missed)), receiver)),
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast;
    use weft_api::view::Untold;

    use super::*;

    fn untold(port: &str, count: u64) -> DropLine {
        DropLine::Untold(Untold { port: port.to_owned(), count })
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_much_it_missed() {
        let (sender, receiver) = broadcast::channel(2);
        (0..5).for_each(|count| drop(sender.send(Arc::new(untold("web", count)))));
        drop(sender);
        let lines: Vec<_> = live(receiver).map(|line| line.as_ref().clone()).collect().await;
        assert_eq!(lines, [DropLine::Missed(3), untold("web", 3), untold("web", 4)]);
    }

    #[test]
    fn what_is_wanted() {
        let filter =
            |port: Option<&str>| Filter { port: port.map(str::to_owned), reason: Some("no_route".into()) };
        assert!(filter(None).wants(&untold("web", 1)));
        assert!(filter(Some("web")).wants(&untold("web", 1)));
        assert!(!filter(Some("")).wants(&untold("web", 1)));
        assert!(filter(Some("db")).wants(&DropLine::Missed(1)));
        assert!(require_reason("no_route").is_ok());
        assert!(require_reason("no_rout").is_err());
    }
}
