//! Who may use the API: root, weftd's own user, and whom the config file names.

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;
use tracing::warn;

use super::error::Refusal;
use crate::config::Api;

/// The process at the other end, as the kernel knew it when it connected (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user and group, unless the kernel does not say.
    pub ids: Option<(u32, u32)>,
}

/// Who may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    own_uid: u32,
    uids: Vec<u32>,
    gids: Vec<u32>,
}

impl Allowed {
    /// As the config file says, for a weftd that runs as `own_uid`.
    #[must_use]
    pub fn of(config: &Api, own_uid: u32) -> Self {
        Self { own_uid, uids: config.allow_uids.clone(), gids: config.allow_gids.clone() }
    }

    /// Whether this peer may.
    #[must_use]
    pub fn admits(&self, peer: Peer) -> bool {
        peer.ids.is_some_and(|(uid, gid)| {
            uid == 0 || uid == self.own_uid || self.uids.contains(&uid) || self.gids.contains(&gid)
        })
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { ids: stream.io().peer_cred().ok().map(|credentials| (credentials.uid(), credentials.gid())) }
    }
}

/// Lets a request through, or explains why not.
pub(super) async fn check(
    State(allowed): State<Allowed>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if allowed.admits(peer) {
        return Ok(next.run(request).await);
    }
    let who = peer.ids.map_or_else(|| "unknown".to_owned(), |(uid, gid)| format!("uid {uid}, gid {gid}"));
    warn!(peer = who, path = request.uri().path(), "request refused");
    let message = format!(
        "the caller ({who}) may not use weftd; call as root, or add it to api.allow_uids or api.allow_gids in \
         weftd.toml"
    );
    Err(Refusal::one(StatusCode::FORBIDDEN, "caller", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_own_and_named_ones() {
        let allowed = Allowed { own_uid: 900, uids: vec![1000], gids: vec![50] };
        let admits = |uid, gid| allowed.admits(Peer { ids: Some((uid, gid)) });
        assert!(admits(0, 0) && admits(900, 900) && admits(1000, 1) && admits(1001, 50));
        assert!(!admits(1001, 1001) && !admits(50, 1000));
        assert!(!allowed.admits(Peer { ids: None }));
    }
}
