//! UDP segmentation offload: one send call, many datagrams.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};

use super::ANSWER;
use super::echo::unspecified;
use crate::{Namespace, socket_option};

impl Namespace {
    /// Sends `count` datagrams of `length` bytes, `batch` to a call, to `receiver`, whose address is `to`; how many
    /// different ones arrive whole.
    ///
    /// # Errors
    /// The kernel has no UDP GSO or refuses to send.
    pub fn segmented(
        &self,
        receiver: &Namespace,
        to: IpAddr,
        count: u32,
        length: usize,
        batch: usize,
    ) -> Result<usize> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let inbox = receiver.run(|| UdpSocket::bind(any))??;
        let to = SocketAddr::new(to, inbox.local_addr()?.port());
        inbox.set_read_timeout(Some(ANSWER))?;
        // What is lost shall be lost on the way, not because we read slowly.
        socket_option::set_queue(&inbox, 64 << 20)?;
        let collecting = std::thread::spawn(move || collect(&inbox, count, length));
        let outbox = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0)))??;
        socket_option::set(&outbox, libc::SOL_UDP, libc::UDP_SEGMENT, libc::c_int::try_from(length)?)?;
        let datagrams: Vec<Vec<u8>> = (0..count).map(|number| datagram(number, length)).collect();
        for batch in datagrams.chunks(batch) {
            outbox.send_to(&batch.concat(), to).context("sending with UDP GSO")?;
        }
        Ok(collecting.join().unwrap_or_default())
    }
}

/// A datagram that shows by each of its words which one it is.
fn datagram(number: u32, length: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn collect(inbox: &UdpSocket, count: u32, length: usize) -> usize {
    let mut arrived = BTreeSet::new();
    let mut buffer = vec![0; 65_536];
    while arrived.len() < count as usize {
        // Whatever is missing after the timeout is lost.
        let Ok(received) = inbox.recv(&mut buffer) else { break };
        let Some(datagram) = buffer.get(..received) else { continue };
        let Some((number, _)) = datagram.split_first_chunk() else { continue };
        let number = u32::from_be_bytes(*number);
        if datagram == self::datagram(number, length) {
            arrived.insert(number);
        }
    }
    arrived.len()
}
