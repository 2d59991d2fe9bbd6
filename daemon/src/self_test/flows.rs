//! The sockets that probes leave through, one for each flow: all probes of a flow have the same addresses and ports, with a
//! checksum or without, so that they go the same way.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tracing::debug;
use weft_vxlan::{MacAddr, Vtep};

use super::address::UDP_PORT;
use super::bulk::{self, Bulk};
use super::core::Round;
use super::namespace;
use super::probe::{self, Kind, Probe};

/// The sockets.
#[derive(Debug)]
pub(super) struct Flows {
    sockets: Vec<UdpSocket>,
    bulk: Bulk,
    /// Our own VTEP, and our gateway's MAC.
    own: Vtep,
    gateway: MacAddr,
}

impl Flows {
    /// Takes them over.
    ///
    /// # Errors
    /// There is no runtime that waits for them.
    pub(super) fn new(
        sockets: Vec<std::net::UdpSocket>,
        bulk: Bulk,
        (own, gateway): (Vtep, MacAddr),
    ) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(UdpSocket::from_std).collect::<io::Result<_>>()?;
        Ok(Self { sockets, bulk, own, gateway })
    }

    /// The next answer: from whom, and in which flow. Nothing is lost if it is dropped.
    pub(super) async fn answer(&self) -> (Ipv6Addr, usize, Probe) {
        poll_fn(|cx| {
            for (flow, socket) in self.sockets.iter().enumerate() {
                if let Poll::Ready((from, answer)) = poll(socket, cx) {
                    return Poll::Ready((from, flow, answer));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Sends a round. A probe that cannot be sent is one that does not arrive.
    pub(super) fn send(&self, round: &Round) {
        let to = SocketAddr::new(round.to.into(), UDP_PORT);
        for probe in round.probes {
            let datagram = probe.encode();
            for socket in round.flows.iter().filter_map(|flow| self.sockets.get(*flow)) {
                let sent = match probe.kind {
                    Kind::Bulk => self.send_bulk(socket, round.to, &datagram),
                    Kind::Unsummed | Kind::Plain | Kind::Segmented => {
                        namespace::leave_out_checksums(socket, probe.kind == Kind::Unsummed)
                            .and_then(|()| socket.try_send_to(&datagram, to).map(|_| ()))
                    }
                };
                if let Err(error) = sent {
                    debug!(%to, %error, "a probe of the self-test was not sent");
                }
            }
        }
    }
}

impl Flows {
    /// Over TCP, from the port that the answer is to come to.
    fn send_bulk(&self, socket: &UdpSocket, to: Ipv6Addr, payload: &[u8]) -> io::Result<()> {
        let port = socket.local_addr()?.port();
        self.bulk.send(bulk::Ends { own: self.own, gateway: self.gateway, to, port }, payload)
    }
}

/// The socket's next answer; what is none is passed over.
fn poll(socket: &UdpSocket, cx: &mut Context<'_>) -> Poll<(Ipv6Addr, Probe)> {
    loop {
        let mut datagram = [0; probe::LEN];
        let mut buffer = ReadBuf::new(&mut datagram);
        match std::task::ready!(socket.poll_recv_from(cx, &mut buffer)) {
            Ok(SocketAddr::V6(from)) if from.port() == UDP_PORT => {
                if let Some(answer) = Probe::decode_answer(buffer.filled()) {
                    return Poll::Ready((*from.ip(), answer));
                }
            }
            // An error is that of a probe that found nobody, and is told once.
            Ok(_) | Err(_) => {}
        }
    }
}
