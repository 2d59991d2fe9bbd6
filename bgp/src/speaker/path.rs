//! How a peer is reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;

/// How a peer is reached by TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Its address and port.
    pub remote: SocketAddr,
    /// The own address; else the route decides.
    pub local: Option<IpAddr>,
    /// How far away it may be.
    pub distance: Distance,
    /// With which all segments are signed.
    pub password: Option<Password>,
}

/// How far away a peer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distance {
    /// As far as packets go.
    #[default]
    Any,
    /// Packets to it have this TTL.
    Reach(NonZeroU8),
    /// So many hops, the next router being one: what has come farther is not heeded, so that nobody else can attack the
    /// session (RFC 5082). The peer must send with a TTL of 255, as weft does.
    Within(NonZeroU8),
}

/// A secret that both sides know.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

/// A text that is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TCP MD5 password has 1 to 80 bytes, not {0}")]
pub struct PasswordError(usize);

impl Password {
    /// The kernel's limit.
    pub const MOST_BYTES: usize = 80;

    /// Checks the length.
    ///
    /// # Errors
    /// [`PasswordError`] without bytes, or with too many.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::MOST_BYTES {
            return Err(PasswordError(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    #[cfg(feature = "sockets")]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    /// Never in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
