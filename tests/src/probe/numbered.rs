//! Numbered datagrams one way, to see which arrive, how often, in what order, and whether as they were sent.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};

use super::ANSWER;
use super::echo::unspecified;
use crate::{Namespace, socket_option};

impl Namespace {
    /// Sends `count` datagrams of `length` bytes to `receiver`, whose address is `to`: the numbers of those that arrive,
    /// from 0, in the order in which they do.
    ///
    /// # Errors
    /// One arrives that was not sent so.
    pub fn numbered(&self, receiver: &Namespace, to: IpAddr, count: u32, length: usize) -> Result<Vec<u32>> {
        let (inbox, to) = inbox(receiver, to)?;
        let outbox = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0)))??;
        for number in 0..count {
            outbox.send_to(&datagram(number, length), to).with_context(|| format!("datagram {number}"))?;
        }
        let mut arrived = Vec::new();
        let mut buffer = vec![0; 65_536];
        // After a while without any, all that will arrive has.
        while let Ok(received) = inbox.recv(&mut buffer) {
            let got = &buffer[..received];
            let number = got.first_chunk().map_or(u32::MAX, |number| u32::from_be_bytes(*number));
            ensure!(
                number < count && got == datagram(number, length),
                "a datagram arrived changed: {got:x?}"
            );
            arrived.push(number);
        }
        Ok(arrived)
    }
}

/// A socket of `receiver` with room for a burst, and where it is reached by the address `to`.
pub(super) fn inbox(receiver: &Namespace, to: IpAddr) -> Result<(UdpSocket, SocketAddr)> {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    let inbox = receiver.run(|| UdpSocket::bind(any))??;
    let to = SocketAddr::new(to, inbox.local_addr()?.port());
    inbox.set_read_timeout(Some(ANSWER))?;
    // What is lost shall be lost on the way, not because we read slowly.
    socket_option::set_queue(&inbox, 64 << 20)?;
    Ok((inbox, to))
}

/// A datagram that shows by each of its words which one it is.
pub(super) fn datagram(number: u32, length: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(length).collect()
}
