//! IPv4 options and IPv6 extension headers on the packets of real sockets.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::ANSWER;
use super::echo::unspecified;
use crate::{Namespace, socket_option};

/// What a socket puts between the IP header of its packets and what follows; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpOptions(Vec<(libc::c_int, libc::c_int, Vec<u8>)>);

impl IpOptions {
    /// IPv4 options (RFC 791 section 3.1), at most 40 bytes.
    #[must_use]
    pub fn v4(options: &[u8]) -> Self {
        Self(vec![(libc::IPPROTO_IP, libc::IP_OPTIONS, options.to_vec())])
    }

    /// Adds hop-by-hop options (RFC 8200 section 4.3): the header from its length on.
    #[must_use]
    pub fn hop_by_hop(self, body: &[u8]) -> Self {
        self.with(libc::IPV6_HOPOPTS, body)
    }

    /// Adds destination options (RFC 8200 section 4.6): the header from its length on.
    #[must_use]
    pub fn destination(self, body: &[u8]) -> Self {
        self.with(libc::IPV6_DSTOPTS, body)
    }

    fn with(mut self, option: libc::c_int, body: &[u8]) -> Self {
        // The kernel fills in what the header is followed by.
        self.0.push((libc::IPPROTO_IPV6, option, [&[0], body].concat()));
        self
    }

    /// Whether these are the same options, of each at least the first `fixed` bytes.
    #[must_use]
    pub fn agrees(&self, sent: &Self, fixed: usize) -> bool {
        let begins = |value: &[u8]| value[..value.len().min(fixed)].to_vec();
        self.0.len() == sent.0.len()
            && self.0.iter().zip(&sent.0).all(|((level, option, value), (sent_level, sent_option, sent))| {
                let same = value.len() == sent.len() && begins(value) == begins(sent);
                (level, option) == (sent_level, sent_option) && same
            })
    }

    /// Sets them on a socket.
    pub(super) fn apply(&self, socket: &impl AsFd) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|(level, option, value)| socket_option::set_bytes(socket, *level, *option, value))
    }
}

impl Namespace {
    /// Sends a datagram with these options to `receiver`, whose address is `to`: the options that its kernel found.
    ///
    /// # Errors
    /// The kernel takes no such options, or the datagram does not arrive as it was sent.
    pub fn options_heard(&self, receiver: &Namespace, to: IpAddr, options: &IpOptions) -> Result<IpOptions> {
        let inbox = receiver.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to), 0)))??;
        inbox.set_read_timeout(Some(ANSWER))?;
        let wanted: &[_] = match to {
            IpAddr::V4(_) => &[(libc::IPPROTO_IP, libc::IP_RECVOPTS)],
            IpAddr::V6(_) => {
                &[(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPOPTS), (libc::IPPROTO_IPV6, libc::IPV6_RECVDSTOPTS)]
            }
        };
        wanted.iter().try_for_each(|(level, option)| socket_option::set(&inbox, *level, *option, 1))?;
        let outbox = self.run(|| UdpSocket::bind(SocketAddr::new(unspecified(to), 0)))??;
        options.apply(&outbox)?;
        let said = b"with options";
        outbox.send_to(said, SocketAddr::new(to, inbox.local_addr()?.port()))?;
        heard(&inbox, said).with_context(|| format!("{options:02x?} from {} to {to}", self.name()))
    }
}

fn heard(inbox: &UdpSocket, said: &[u8]) -> Result<IpOptions> {
    let mut payload = [0; 256];
    let mut parts = [IoSliceMut::new(&mut payload)];
    let mut control = vec![0; 4096];
    let received = recvmsg::<()>(inbox.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut found = IpOptions::default();
    for message in received.cmsgs()? {
        let ControlMessageOwned::Unknown(message) = message else { continue };
        let header = message.cmsg_header;
        let mut value = message.data_bytes;
        let option = if header.cmsg_level == libc::IPPROTO_IP {
            libc::IP_OPTIONS
        } else {
            // What the header is followed by is not the sender's to say.
            value[0] = 0;
            header.cmsg_type
        };
        found.0.push((header.cmsg_level, option, value));
    }
    let bytes = received.bytes;
    ensure!(payload.get(..bytes) == Some(said), "the datagram arrived changed: {:02x?}", &payload[..bytes]);
    Ok(found)
}
