//! A blocking route netlink socket, and the kernel's links, addresses, routes and neighbours as plain values.
//!
//! A socket belongs to the network namespace of the thread that opened it, for good: one opened inside a
//! workload's namespace can be used from anywhere.

mod address;
mod filter;
mod learned;
mod link;
mod neighbour;
mod netdev;
mod nsid;
mod route;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

pub(crate) use address::Address;
pub(crate) use filter::{Filter, Slot};
pub(crate) use link::{Kind, Link, NewVeth, Peer};
pub(crate) use neighbour::Neighbour;
pub(crate) use netdev::{XDP_BASIC, XDP_REDIRECT, XDP_TAKES, xdp_features};
#[cfg(test)]
pub(crate) use route::Hop;
pub(crate) use route::{DefaultRoute, Way};

/// Length of a message's header, and what messages are aligned to.
const HEADER_LEN: usize = 16;
const ALIGN: usize = 4;
/// `NLMSGERR_ATTR_MSG`: the kernel's own words on an error.
const ERROR_TEXT: u16 = 1;
/// A dump that changes under our feet is asked for again, this often.
const DUMP_ATTEMPTS: usize = 8;

/// Why the kernel did not do what a message asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetlinkError {
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused, perhaps with words of its own.
    #[error("{source}{}{text}", if text.is_empty() { "" } else { ": " })]
    Refused { source: io::Error, text: String },
    /// The answer is not what the kernel documents.
    #[error("the kernel's answer does not parse: {0}")]
    Malformed(String),
    /// Every attempt at a dump was interrupted by changes.
    #[error("the kernel's tables change faster than they can be read")]
    Restless,
}

impl NetlinkError {
    /// The error number of a refusal.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            Self::Socket(_) | Self::Malformed(_) | Self::Restless => None,
        }
    }
}

/// A netlink socket of one network namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// A socket of the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Without the request repeated in them, errors start with the kernel's words at a known place.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The socket, for questions that are not asked by netlink.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has the kernel carry out `message`.
    fn execute(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.send(message, flags | NLM_F_ACK)?;
        self.collect(|_| true).map(drop)
    }

    /// The one answer to `message`.
    fn get(&mut self, message: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, NetlinkError> {
        self.send(message, NLM_F_ACK)?;
        let (mut answers, _) = self.collect(|_| true)?;
        answers.pop().ok_or_else(|| NetlinkError::Malformed("no answer".to_owned()))
    }

    /// All the objects that `message` asks for, in a consistent state.
    fn dump(&mut self, message: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.dump_some(message, |_| true)
    }

    /// The same, but for those objects whose bytes are not to be `kept`: a workload may have any number of them.
    fn dump_some(
        &mut self,
        message: &RouteNetlinkMessage,
        kept: fn(&[u8]) -> bool,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            self.send(message.clone(), NLM_F_DUMP)?;
            let (answers, interrupted) = self.collect(kept)?;
            if !interrupted {
                return Ok(answers);
            }
        }
        Err(NetlinkError::Restless)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Reads answers up to the acknowledgement or the end of the dump, and whether the dump was interrupted.
    fn collect(&mut self, kept: fn(&[u8]) -> bool) -> Result<(Vec<RouteNetlinkMessage>, bool), NetlinkError> {
        let mut answers = Vec::new();
        let mut interrupted = false;
        loop {
            let bytes = self.receive()?;
            for bytes in split(&bytes).filter(|bytes| kept(bytes)) {
                match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) {
                    // An answer to a request that an error made us give up.
                    Ok(message) if message.header.sequence_number != self.sequence => {}
                    Ok(message) => {
                        interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                        #[expect(clippy::wildcard_enum_match_arm, reason = "no-ops carry nothing")]
                        match message.payload {
                            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                            NetlinkPayload::Done(_) => return Ok((answers, interrupted)),
                            NetlinkPayload::Error(error) if error.code.is_none() => {
                                return Ok((answers, interrupted));
                            }
                            NetlinkPayload::Error(error) => {
                                return Err(NetlinkError::Refused {
                                    source: error.to_io(),
                                    text: words(&error.header),
                                });
                            }
                            _ => {}
                        }
                    }
                    // Attributes of foreign objects may be newer than this program. One of ours that went missing
                    // is found when it is made again.
                    Err(error) => tracing::debug!(%error, "skipped a netlink message that does not parse"),
                }
            }
        }
    }

    fn receive(&mut self) -> Result<Vec<u8>, NetlinkError> {
        loop {
            match self.socket.recv_from_full() {
                Ok((bytes, _)) => return Ok(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The messages of a datagram.
pub(crate) fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        if length < HEADER_LEN {
            return None;
        }
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(message)
    })
}

/// The kernel's words in the attributes of an error, which follow the header of the request.
fn words(error: &[u8]) -> String {
    let attributes = error.get(HEADER_LEN..).unwrap_or_default();
    NlasIterator::new(attributes)
        .flatten()
        .find(|attribute| attribute.kind() == ERROR_TEXT)
        .map(|attribute| String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_split_at_aligned_lengths() {
        let message = |length: u32, fill: u8| {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.resize(usize::try_from(length).unwrap().next_multiple_of(ALIGN), fill);
            bytes
        };
        let bytes = [message(18, 1), message(16, 2)].concat();
        assert_eq!(split(&bytes).map(<[u8]>::len).collect::<Vec<_>>(), [18, 16]);
        // A length that lies ends the datagram.
        assert_eq!(split(&message(3, 0)).count(), 0);
        assert_eq!(split(&message(64, 0)[..20]).count(), 0);
    }

    #[test]
    fn the_kernels_words_follow_the_header() {
        let mut error = vec![0; HEADER_LEN];
        error.extend([8, 0, 1, 0, b'n', b'o', b'!', 0]);
        assert_eq!(words(&error), "no!");
        assert_eq!(words(&[]), "");
    }
}
