//! One datagram of each of many sizes: which arrive, and whether as they were sent.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result, ensure};

use super::IpOptions;
use super::echo::unspecified;
use super::numbered::{datagram, inbox};
use crate::Namespace;

impl Namespace {
    /// Sends datagrams of these sizes, each at least four bytes, to `receiver`, whose address is `to`: the sizes of
    /// those that do not arrive. What is larger than the path takes, the sender's kernel cuts into fragments.
    ///
    /// # Errors
    /// The kernel refuses to send, or one arrives that was not sent so.
    pub fn sizes(&self, receiver: &Namespace, to: IpAddr, sizes: &[usize]) -> Result<Vec<usize>> {
        self.sizes_with(receiver, to, sizes, &IpOptions::default())
    }

    /// The same with these options on the datagrams.
    ///
    /// # Errors
    /// As [`Namespace::sizes`].
    pub fn sizes_with(
        &self,
        receiver: &Namespace,
        to: IpAddr,
        sizes: &[usize],
        options: &IpOptions,
    ) -> Result<Vec<usize>> {
        let (inbox, to) = inbox(receiver, to)?;
        let outbox = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to.ip()), 0)))??;
        options.apply(&outbox)?;
        for (number, size) in (0..).zip(sizes) {
            outbox.send_to(&datagram(number, *size), to).with_context(|| format!("{size} bytes"))?;
        }
        let mut missing: BTreeSet<usize> = (0..sizes.len()).collect();
        let mut buffer = vec![0; 65_536];
        // Whatever is missing after the timeout is lost.
        while !missing.is_empty()
            && let Ok(received) = inbox.recv(&mut buffer)
        {
            let got = &buffer[..received];
            let number = got.first_chunk().map_or(u32::MAX, |number| u32::from_be_bytes(*number));
            let size = sizes.get(usize::try_from(number)?);
            ensure!(
                size.is_some_and(|size| got == datagram(number, *size)),
                "a datagram arrived changed: {received} bytes, {:x?}",
                &got[..received.min(64)]
            );
            missing.remove(&usize::try_from(number)?);
        }
        Ok(missing.into_iter().map(|number| sizes[number]).collect())
    }
}
