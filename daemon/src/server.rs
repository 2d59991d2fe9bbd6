//! The HTTP API on a unix socket: JSON in, JSON out, and a stream of changes.
//!
//! A thin shell around the engine's [`Handle`]: [`router`] lists every path. Who may call is decided by the peer's
//! credentials ([`peer`]), not by the socket's mode alone. [`serve`] ends when it is told to stop: open requests get
//! their answers, watches end.

mod bgp;
mod body;
mod drops;
mod error;
mod flows;
mod handlers;
mod metrics;
mod peer;
mod policy;
mod socket;
mod stream;
mod watch;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::UnixListener;
use tokio::sync::watch as signal;
use weft_api::view::DropLine;
use weft_api::view::security::FlowEvent;
use weft_dataplane::FlowReader;

use crate::bgp::command::Handle as Speaker;
use crate::board::Board;
use crate::engine::Handle;
use crate::flows::top::Room;
use crate::names::Names;
pub use peer::Allowed;
use peer::Door;
pub use socket::{SocketError, answers, bind, remove_stale};

/// Bytes of the largest request: remotes with a million addresses in one file take some 80 MB.
const LARGEST_BODY: usize = 256 << 20;

/// What every handler has.
#[derive(Debug, Clone)]
struct Context {
    engine: Handle,
    /// `None`: this host speaks no BGP.
    bgp: Option<Speaker>,
    boards: Boards,
    flows: FlowReader,
    room: Room,
    names: signal::Receiver<Arc<Names>>,
    stop: signal::Receiver<bool>,
}

/// What handlers ask.
#[derive(Debug)]
pub struct Asked {
    /// The engine.
    pub engine: Handle,
    /// The speaker; `None`: this host speaks no BGP.
    pub bgp: Option<Speaker>,
    /// What tasks have told.
    pub boards: Boards,
    /// The connections that there are.
    pub flows: FlowReader,
    /// How many there may be.
    pub room: Room,
    /// What the kernel's numbers are called.
    pub names: signal::Receiver<Arc<Names>>,
}

/// Where tasks tell what they see.
#[derive(Debug, Clone, Default)]
pub struct Boards {
    /// Drops.
    pub drops: Board<DropLine>,
    /// Connections that ended.
    pub ended: Board<FlowEvent>,
}

/// Answers requests until `stop` is true and the last request has its answer.
///
/// # Errors
/// If the socket fails.
pub async fn serve(
    listener: UnixListener,
    asked: Asked,
    allowed: Allowed,
    stop: signal::Receiver<bool>,
) -> io::Result<()> {
    let Asked { engine, bgp, boards, flows, room, names } = asked;
    let context = Context { engine, bgp, boards, flows, room, names, stop: stop.clone() };
    let mut stopping = stop;
    axum::serve(Door::new(listener, allowed), router(context))
        .with_graceful_shutdown(async move {
            // An error says that nobody can tell us any more: the same as being told.
            let _ = stopping.wait_for(|stop| *stop).await;
        })
        .await
}

fn router(context: Context) -> Router {
    Router::new()
        .route("/v1/status", get(handlers::status))
        .route("/v1/routes", get(handlers::routes))
        .route("/v1/counters", get(handlers::counters))
        .route("/v1/metrics", get(metrics::metrics))
        .route("/v1/watch", get(watch::watch))
        .route("/v1/drops", get(drops::drops))
        .route("/v1/flows", get(flows::flows))
        .route("/v1/flows/top", get(flows::top))
        .route("/v1/policy/hits", get(policy::hits))
        .route("/v1/policy/test", get(policy::test))
        .route("/v1/apply", post(handlers::apply))
        .route("/v1/delete", post(handlers::delete_all))
        .route("/v1/teardown", post(handlers::teardown))
        .route("/v1/ports/{name}/attach", post(handlers::attach))
        .route("/v1/ports/{name}/detach", post(handlers::detach))
        .route("/v1/bgp/summary", get(bgp::summary))
        .route("/v1/bgp/neighbors", get(bgp::neighbors))
        .route("/v1/bgp/neighbors/{name}", get(bgp::neighbor))
        .route("/v1/bgp/rib", get(bgp::rib))
        .route("/v1/bgp/explain", get(bgp::explain))
        .route("/v1/bgp/clear", post(bgp::clear))
        .route("/v1/{kind}", get(handlers::list).post(handlers::create))
        .route("/v1/{kind}/{name}", get(handlers::read).put(handlers::replace).delete(handlers::delete))
        .fallback(handlers::no_such_path)
        .method_not_allowed_fallback(handlers::no_such_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(context)
}
