//! What a vxlan device's forwarding table gets, as the kernel tells it. Asking for the table instead would hold up those who
//! fill it: the kernel locks it for the answer.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::neighbour::NeighbourAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::libc::RTNLGRP_NEIGH;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;

use crate::Namespace;

/// Bytes of news that may wait: some 100,000 entries.
const BUFFER: usize = 256 << 20;

/// The MACs that a vxlan device has got other hosts for.
#[derive(Debug)]
pub struct Stations {
    socket: Socket,
    device: u32,
    macs: HashSet<Vec<u8>>,
}

impl Namespace {
    /// Listens from now on.
    ///
    /// # Errors
    /// There is no such device.
    pub fn watch_stations(&self, device: &str) -> Result<Stations> {
        let device = self.link(device)?.index;
        let socket = self.run(|| -> Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(RTNLGRP_NEIGH)?;
            Ok(socket)
        })?;
        Ok(Stations {
            socket: socket.context("a socket for news of neighbours")?,
            device,
            macs: HashSet::new(),
        })
    }
}

impl Stations {
    /// Waits for so many MACs; when the last one was told.
    ///
    /// # Errors
    /// There are fewer in time.
    pub fn wait_for(&mut self, count: usize, patience: Duration) -> Result<Instant> {
        let deadline = Instant::now() + patience;
        while self.macs.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} of {count} MACs after {patience:?}", self.macs.len());
            }
            SockRef::from(&self.socket).set_read_timeout(Some(left))?;
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => self.take(&datagram)?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("news of neighbours"),
            }
        }
        Ok(Instant::now())
    }

    fn take(&mut self, datagram: &[u8]) -> Result<()> {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram)?;
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry)) = message.payload else {
            return Ok(());
        };
        // The bridge tells of the same MAC behind the same device, but of no host.
        let leads = entry.attributes.iter().any(|one| matches!(one, NeighbourAttribute::Destination(_)));
        if entry.header.family == AddressFamily::Bridge && entry.header.ifindex == self.device && leads {
            for one in entry.attributes {
                if let NeighbourAttribute::LinkLayerAddress(mac) = one {
                    self.macs.insert(mac);
                }
            }
        }
        Ok(())
    }
}
