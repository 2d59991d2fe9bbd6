//! The message header, and the cut of a byte stream into messages (RFC 4271 section 4.1, RFC 8654 section 2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Marker: 16 bytes of ones                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Length               |      Type     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::reader::Reader;
use super::{EncodeError, HeaderError};

/// Bytes of the header, which the length field counts too.
pub const HEADER_LEN: usize = 19;
/// The longest message to a peer that announced nothing.
pub const MAX_LEN: usize = 4096;
/// The longest message to a peer that announced extended messages (RFC 8654 section 2).
pub const MAX_EXTENDED_LEN: usize = 65535;

const MARKER: [u8; 16] = [0xff; 16];

/// The type field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// 1
    Open,
    /// 2
    Update,
    /// 3
    Notification,
    /// 4
    Keepalive,
    /// 5 (RFC 2918 section 3)
    RouteRefresh,
}

impl MessageKind {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Update),
            3 => Some(Self::Notification),
            4 => Some(Self::Keepalive),
            5 => Some(Self::RouteRefresh),
            _ => None,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Update => 2,
            Self::Notification => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh => 5,
        }
    }

    /// The shortest whole message of this kind (RFC 4271 section 6.1).
    const fn min_len(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update | Self::RouteRefresh => 23,
            Self::Notification => 21,
            Self::Keepalive => HEADER_LEN,
        }
    }

    /// The longest whole message of this kind: OPEN stays at 4096 whatever was agreed (RFC 8654 section 4).
    pub(super) const fn max_len(self, extended: bool) -> usize {
        match self {
            Self::Keepalive => HEADER_LEN,
            Self::Open => MAX_LEN,
            Self::Update | Self::Notification | Self::RouteRefresh if extended => MAX_EXTENDED_LEN,
            Self::Update | Self::Notification | Self::RouteRefresh => MAX_LEN,
        }
    }
}

/// One message cut out of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the body is.
    pub kind: MessageKind,
    /// The message without its header.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The message at the start of `stream`, or `None` while more bytes must come. Whoever calls it removes
    /// [`Frame::len`] bytes afterwards. A bad header is seen as soon as its bytes are there. `extended` is
    /// [`Dialect::receive_extended`](super::Dialect::receive_extended).
    ///
    /// # Errors
    /// [`HeaderError`]: the session cannot go on.
    pub fn next(stream: &'a [u8], extended: bool) -> Result<Option<Self>, HeaderError> {
        let marker = &stream[..stream.len().min(MARKER.len())];
        if marker.iter().any(|&byte| byte != 0xff) {
            return Err(HeaderError::NotSynchronized);
        }
        let mut reader = Reader::new(stream);
        let (Some(_), Some(len), Some(code)) = (reader.array::<16>(), reader.u16(), reader.u8()) else {
            return Ok(None);
        };
        let max = if extended { MAX_EXTENDED_LEN } else { MAX_LEN };
        let total = usize::from(len);
        if total < HEADER_LEN || total > max {
            return Err(HeaderError::Length(len));
        }
        let kind = MessageKind::from_code(code).ok_or(HeaderError::Kind(code))?;
        if total < kind.min_len() || total > kind.max_len(extended) {
            return Err(HeaderError::Length(len));
        }
        Ok(reader.take(total - HEADER_LEN).map(|body| Self { kind, body }))
    }

    /// Bytes of the whole message.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message has a header at least")]
    pub const fn len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }
}

/// Writes a header and the body, or leaves `out` as it was.
pub(super) fn encode(
    kind: MessageKind,
    extended: bool,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = out.len();
    out.extend(MARKER);
    out.extend([0, 0, kind.code()]);
    let written = body(out).and_then(|()| {
        let (len, max) = (out.len() - at, kind.max_len(extended));
        match u16::try_from(len) {
            Ok(field) if len <= max => Ok(field),
            _ => Err(EncodeError::TooLong { what: "message", len, max }),
        }
    });
    match written {
        Ok(len) => {
            out[at + 16..at + 18].copy_from_slice(&len.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(at);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: u16, kind: u8) -> Vec<u8> {
        let mut bytes = MARKER.to_vec();
        bytes.extend(len.to_be_bytes());
        bytes.push(kind);
        bytes
    }

    #[test]
    fn a_stream_is_cut_message_by_message() {
        let mut stream = header(19, 4);
        stream.extend(header(21, 3));
        stream.extend([6, 2]);
        let first = Frame::next(&stream, false).unwrap().unwrap();
        assert_eq!((first.kind, first.body, first.len()), (MessageKind::Keepalive, &[][..], 19));
        let rest = &stream[first.len()..];
        let second = Frame::next(rest, false).unwrap().unwrap();
        assert_eq!((second.kind, second.body), (MessageKind::Notification, &[6, 2][..]));
        for len in 0..rest.len() {
            assert_eq!(Frame::next(&rest[..len], false), Ok(None), "{len}");
        }
    }

    #[test]
    fn bad_headers() {
        assert_eq!(Frame::next(&[0xff, 0xfe], false), Err(HeaderError::NotSynchronized));
        for (len, kind) in [(18, 4), (20, 4), (28, 1), (22, 2), (20, 3), (22, 5), (4097, 2), (0, 2)] {
            let refused = Frame::next(&header(len, kind), false).unwrap_err();
            assert_eq!(refused, HeaderError::Length(len), "{kind}");
        }
        for kind in [0, 6, 255] {
            assert_eq!(Frame::next(&header(19, kind), false), Err(HeaderError::Kind(kind)));
        }
    }

    #[test]
    fn extended_messages_once_agreed_but_never_for_open() {
        assert_eq!(Frame::next(&header(4097, 2), true), Ok(None));
        assert_eq!(Frame::next(&header(65535, 2), true), Ok(None));
        assert_eq!(Frame::next(&header(4097, 1), true), Err(HeaderError::Length(4097)));
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_no_trace() {
        let mut out = vec![1];
        let fill = |out: &mut Vec<u8>| {
            out.resize(out.len() + 4078, 0);
            Ok(())
        };
        let refused = encode(MessageKind::Update, false, &mut out, fill);
        assert_eq!(refused, Err(EncodeError::TooLong { what: "message", len: 4097, max: 4096 }));
        assert_eq!(out, [1]);
        assert_eq!(encode(MessageKind::Update, true, &mut out, fill), Ok(()));
    }
}
