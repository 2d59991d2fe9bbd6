//! Who may use the API: root, weftd's own user, and whom the config file names.
//!
//! It is decided when they connect, so that others cannot hold connections open until none is left. They are told so
//! once, a few at a time, and within a second.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{SocketAddr, UCred};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::warn;
use weft_api::view::{ErrorBody, Problem};

use crate::config::Api;

/// How many are told at a time that they may not; more are hung up on.
const EXPLANATIONS: usize = 4;
/// How long one of them may take to ask.
const PATIENCE: Duration = Duration::from_secs(1);
/// What to do when the kernel has no connection to give, such as when descriptors ran out: try again this much later.
const RETRY: Duration = Duration::from_millis(100);
/// Bytes of a request that are read of somebody who may not ask.
const LARGEST_HEAD: usize = 16 << 10;

/// The process at the other end, as the kernel knew it when it connected (`SO_PEERCRED`): its user and group, unless
/// the kernel does not say.
type Peer = Option<(u32, u32)>;

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
    fn admits(&self, peer: Peer) -> bool {
        peer.is_some_and(|(uid, gid)| {
            uid == 0 || uid == self.own_uid || self.uids.contains(&uid) || self.gids.contains(&gid)
        })
    }
}

/// The socket, and who may come in.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    allowed: Allowed,
    explanations: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(listener: UnixListener, allowed: Allowed) -> Self {
        Self { listener, allowed, explanations: Arc::new(Semaphore::new(EXPLANATIONS)) }
    }

    fn turn_away(&self, stream: UnixStream, peer: Peer) {
        let Ok(permit) = Arc::clone(&self.explanations).try_acquire_owned() else { return };
        let who = peer.map_or_else(|| "unknown".to_owned(), |(uid, gid)| format!("uid {uid}, gid {gid}"));
        warn!(peer = who, "caller refused");
        tokio::spawn(async move {
            // Whoever goes away or takes too long is not told; there is nothing else to do for it.
            let _ = timeout(PATIENCE, explain(stream, &who)).await;
            drop(permit);
        });
    }
}

impl Listener for Door {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let ids = |credentials: UCred| (credentials.uid(), credentials.gid());
                    let peer = stream.peer_cred().ok().map(ids);
                    if self.allowed.admits(peer) {
                        return (stream, address);
                    }
                    self.turn_away(stream, peer);
                }
                Err(error) => {
                    warn!(%error, "no connection can be taken; trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Answers the first request, which is read up to its head: what is left unread would cost the caller the answer.
async fn explain(mut stream: UnixStream, who: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < LARGEST_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let message = format!(
        "the caller ({who}) may not use weftd; call as root, or add it to api.allow_uids or api.allow_gids in \
         weftd.toml"
    );
    let body = serde_json::to_string(&ErrorBody { errors: vec![Problem::new("caller", message)] })?;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A body may still be coming.
    while stream.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_own_and_named_ones() {
        let allowed = Allowed { own_uid: 900, uids: vec![1000], gids: vec![50] };
        let admits = |uid, gid| allowed.admits(Some((uid, gid)));
        assert!(admits(0, 0) && admits(900, 900) && admits(1000, 1) && admits(1001, 50));
        assert!(!admits(1001, 1001) && !admits(50, 1000));
        assert!(!allowed.admits(None));
    }
}
