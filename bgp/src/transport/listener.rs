//! Where peers can connect to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::warn;

use super::{Kind, socket};
use crate::speaker::{Neighbours, Password};

/// How long after a failure, such as too many open files, the next connection is accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Why peers cannot connect as they should.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not at all.
    #[error("BGP cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Not with signatures.
    #[error("the kernel does not sign TCP segments of {peers} on {address}: {source}")]
    Signature {
        /// Whose.
        peers: IpNet,
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// All listening sockets.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: BTreeMap<SocketAddr, Listener>,
    signed: BTreeMap<IpNet, Password>,
}

#[derive(Debug)]
struct Listener {
    socket: Arc<TcpListener>,
    task: AbortHandle,
}

impl Listeners {
    /// Opens and closes sockets until these are open.
    pub(super) fn set(
        &mut self,
        addresses: &[SocketAddr],
        inputs: &mpsc::Sender<Kind>,
    ) -> Result<(), ListenError> {
        let wanted: BTreeSet<_> = addresses.iter().copied().collect();
        self.open.retain(|address, _| wanted.contains(address));
        let mut result = Ok(());
        for address in wanted {
            if self.open.contains_key(&address) {
                continue;
            }
            match socket::listen(address) {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    let task = tokio::spawn(accept(Arc::clone(&socket), inputs.clone())).abort_handle();
                    let listener = Listener { socket, task };
                    result = result.and(demand(&listener, address, &self.signed));
                    self.open.insert(address, listener);
                }
                Err(source) => result = result.and(Err(ListenError::Bind { address, source })),
            }
        }
        result
    }

    /// Demands what these neighbours are configured with.
    pub(super) fn demand_signatures(&mut self, neighbours: &Neighbours) -> Result<(), ListenError> {
        let signed: BTreeMap<_, _> = neighbours.passwords().map(|(net, word)| (net, word.clone())).collect();
        let before = std::mem::replace(&mut self.signed, signed);
        let changed: BTreeMap<_, _> = self
            .signed
            .iter()
            .filter(|(net, word)| before.get(*net) != Some(*word))
            .map(|(net, word)| (*net, word.clone()))
            .collect();
        let gone: Vec<_> = before.into_keys().filter(|net| !self.signed.contains_key(net)).collect();
        let mut result = Ok(());
        for (&address, listener) in &self.open {
            for &peers in gone.iter().filter(|net| net.addr().is_ipv4() == address.is_ipv4()) {
                let removed = socket::demand_signatures(&listener.socket, peers, None);
                result =
                    result.and(removed.map_err(|source| ListenError::Signature { peers, address, source }));
            }
            result = result.and(demand(listener, address, &changed));
        }
        result
    }
}

fn demand(
    listener: &Listener,
    address: SocketAddr,
    signed: &BTreeMap<IpNet, Password>,
) -> Result<(), ListenError> {
    let mut result = Ok(());
    for (&peers, password) in signed.iter().filter(|(net, _)| net.addr().is_ipv4() == address.is_ipv4()) {
        let demanded = socket::demand_signatures(&listener.socket, peers, Some(password));
        result = result.and(demanded.map_err(|source| ListenError::Signature { peers, address, source }));
    }
    result
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: Arc<TcpListener>, inputs: mpsc::Sender<Kind>) {
    loop {
        let accepted = listener.accept().await;
        let accepted = accepted.and_then(|(stream, remote)| Ok((stream.local_addr()?, stream, remote)));
        match accepted {
            Ok((local, stream, remote)) => {
                if inputs.send(Kind::Accepted { stream, local, remote }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "a BGP connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
