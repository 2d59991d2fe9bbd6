//! Watches the kernel for changes that may call for a reconciliation: netlink's multicast groups, filtered and
//! debounced.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use weft_vxlan::MacAddr;

use crate::netlink::{Neighbour, split};

/// Links, neighbours, and addresses, routes and rules of both families (`RTNLGRP_*`).
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];

/// Changes come in crowds: after the first, this long is waited for the others.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// What to do when the socket itself fails: try again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// A socket that hears of changes.
#[derive(Debug)]
pub(crate) struct Watch {
    socket: AsyncFd<Socket>,
    /// When the first change that has not been told yet is to be told. It outlives a `changed` that is dropped: whoever
    /// drops it often puts nothing off.
    due: Option<Instant>,
    /// Changes were lost since the socket was last seen empty.
    lost: bool,
    neighbours: Neighbours,
}

/// The MACs of the next hops that matter, as last heard. The kernel tells of every confirmation, but only another
/// MAC, or none, calls for anything.
#[derive(Debug, Default)]
struct Neighbours(BTreeMap<(u32, IpAddr), Option<MacAddr>>);

impl Watch {
    /// Listens in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        // SAFETY: a `Socket` owns its descriptor, the same one until it is dropped, and nothing here takes it out.
        let socket = unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)?;
        Ok(Self { socket, due: None, lost: false, neighbours: Neighbours::default() })
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) {
        let due = loop {
            match self.due {
                Some(due) => break due,
                None => self.receive().await,
            }
        };
        tokio::time::sleep_until(due).await;
        self.drain();
        self.due = None;
    }

    /// Hears all that lies in the socket.
    fn drain(&mut self) {
        while let Some(received) = self.try_receive() {
            match received {
                Ok(bytes) => self.hear(&bytes),
                Err(error) => {
                    self.lost = true;
                    if error.raw_os_error() != Some(libc::ENOBUFS) {
                        tracing::warn!(%error, "cannot hear of the kernel's changes");
                        break;
                    }
                }
            }
        }
        // Not before the socket is empty: what was heard meanwhile is older than what was lost.
        if std::mem::take(&mut self.lost) {
            self.neighbours.forget();
        }
    }

    async fn receive(&mut self) {
        match self.socket.readable().await {
            Ok(mut guard) => match guard.try_io(|socket| socket.get_ref().recv_from_full()) {
                Ok(Ok((bytes, _))) => self.hear(&bytes),
                // Changes were lost: there were some.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => self.note_loss(),
                Ok(Err(error)) => self.fail(&error).await,
                Err(_would_block) => {}
            },
            Err(error) => self.fail(&error).await,
        }
    }

    /// Noted first: whoever drops this while it pauses must not make an error go unnoticed.
    async fn fail(&mut self, error: &io::Error) {
        tracing::warn!(%error, "cannot hear of the kernel's changes");
        self.note_loss();
        tokio::time::sleep(RETRY).await;
    }

    /// What lies in the socket; `None` if nothing does.
    fn try_receive(&self) -> Option<io::Result<Vec<u8>>> {
        match self.socket.get_ref().recv_from_full() {
            Ok((bytes, _)) => Some(Ok(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn hear(&mut self, datagram: &[u8]) {
        for bytes in split(datagram) {
            // One that does not parse is of a foreign object, or new: better to look once too often.
            if NetlinkMessage::deserialize(bytes)
                .map_or(true, |message| self.neighbours.matters(&message.payload))
            {
                self.note();
            }
        }
    }

    fn note_loss(&mut self) {
        self.lost = true;
        self.note();
    }

    fn note(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + DEBOUNCE);
    }
}

impl Neighbours {
    /// Whether the event may call for a reconciliation.
    fn matters(&mut self, event: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
        let NetlinkPayload::InnerMessage(event) = event else { return false };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "links, addresses and routes matter without a look"
        )]
        match event {
            RouteNetlinkMessage::NewNeighbour(message) => {
                Neighbour::parse(message).is_some_and(|neighbour| self.update(&neighbour, false))
            }
            RouteNetlinkMessage::DelNeighbour(message) => {
                Neighbour::parse(message).is_some_and(|neighbour| self.update(&neighbour, true))
            }
            _ => true,
        }
    }

    fn update(&mut self, neighbour: &Neighbour, gone: bool) -> bool {
        let key = (neighbour.ifindex, neighbour.address);
        // The kernel's own are of no use: a next hop's is ours, or somebody's who set it.
        if neighbour.protocol == 0 && !neighbour.permanent && !neighbour.managed {
            return self.0.remove(&key).is_some();
        }
        if gone {
            self.0.remove(&key);
            return true;
        }
        self.0.insert(key, neighbour.mac) != Some(neighbour.mac)
    }

    /// What was heard is not what is: whatever comes is news.
    fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLM_F_REQUEST;
    use netlink_packet_route::link::LinkMessage;
    use netlink_sys::SocketAddr;
    use tokio::time::timeout;

    use super::*;
    use crate::names::PROTOCOL;

    fn neighbour(protocol: u8, mac: Option<u8>) -> Neighbour {
        let address = IpAddr::from([192, 0, 2, 1]);
        let mac = mac.map(|byte| MacAddr::new([2, 0, 0, 0, 0, byte]));
        Neighbour { ifindex: 1, address, mac, managed: protocol != 0, permanent: false, protocol }
    }

    /// As one who waits for this or a question, and is asked all the time.
    #[tokio::test]
    async fn who_drops_it_often_puts_nothing_off() {
        let mut watch = Watch::open().unwrap();
        watch.note();
        for _ in 0..100 {
            if timeout(DEBOUNCE / 4, watch.changed()).await.is_ok() {
                return;
            }
        }
        panic!("a change was never told");
    }

    /// Fills the socket until the kernel drops what it has to say, by questions whose answers nobody reads.
    fn overflow(watch: &mut Watch) {
        const LEAST: usize = 1;
        let mut question = NetlinkMessage::from(RouteNetlinkMessage::GetLink({
            let mut loopback = LinkMessage::default();
            loopback.header.index = 1;
            loopback
        }));
        question.header.flags = NLM_F_REQUEST;
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);
        let socket = watch.socket.get_mut();
        socket.set_rx_buf_sz(LEAST).unwrap();
        for _ in 0..100 {
            // The kernel may refuse a question whose answer has no room.
            let _ = socket.send_to(&bytes, &SocketAddr::new(0, 0), 0);
        }
    }

    /// The MAC moves to another and back, and the socket is too full to tell of the first.
    async fn loss_is_followed_by_news(at_once: bool) {
        let heard = neighbour(PROTOCOL, Some(1));
        let mut watch = Watch::open().unwrap();
        watch.neighbours.update(&heard, false);
        overflow(&mut watch);
        if at_once {
            // It finds the loss when it gathers what followed a first change.
            watch.note();
        } else {
            watch.receive().await;
            assert!(watch.due.is_some(), "a loss is told");
            // This one was in the socket before it was full.
            watch.neighbours.update(&heard, false);
        }
        timeout(DEBOUNCE * 100, watch.changed()).await.unwrap();
        assert!(watch.neighbours.update(&heard, false), "the MAC that was heard before the loss is news");
        assert!(!watch.neighbours.update(&heard, false), "and then it is not");
    }

    #[tokio::test]
    async fn after_a_loss_the_old_mac_is_news() {
        loss_is_followed_by_news(false).await;
    }

    #[tokio::test]
    async fn after_a_loss_among_gathered_changes_too() {
        loss_is_followed_by_news(true).await;
    }

    #[test]
    fn only_another_mac_of_a_next_hop_is_news() {
        let mut heard = Neighbours::default();
        assert!(!heard.update(&neighbour(0, Some(1)), false), "learned by the kernel");
        assert!(heard.update(&neighbour(PROTOCOL, Some(1)), false), "resolved");
        assert!(!heard.update(&neighbour(PROTOCOL, Some(1)), false), "confirmed");
        assert!(heard.update(&neighbour(PROTOCOL, Some(2)), false), "moved");
        assert!(heard.update(&neighbour(PROTOCOL, None), false), "lost");
        assert!(heard.update(&neighbour(PROTOCOL, None), true), "removed");
    }
}
