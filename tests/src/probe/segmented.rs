//! UDP segmentation offload: one send call, many datagrams.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};

use super::echo::unspecified;
use super::numbered::{self, inbox};
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
        let (inbox, to) = inbox(receiver, to)?;
        let collecting = std::thread::spawn(move || collect(&inbox, count, length));
        let outbox = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0)))??;
        socket_option::set(&outbox, libc::SOL_UDP, libc::UDP_SEGMENT, libc::c_int::try_from(length)?)?;
        let datagrams: Vec<Vec<u8>> = (0..count).map(|number| numbered::datagram(number, length)).collect();
        for batch in datagrams.chunks(batch) {
            outbox.send_to(&batch.concat(), to).context("sending with UDP GSO")?;
        }
        Ok(collecting.join().unwrap_or_default())
    }
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
        if datagram == numbered::datagram(number, length) {
            arrived.insert(number);
        }
    }
    arrived.len()
}
