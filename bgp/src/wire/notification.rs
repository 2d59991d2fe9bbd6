//! NOTIFICATION: why a session ends (RFC 4271 section 4.5, RFC 4486 section 3, RFC 9003 section 2, RFC 8538 section 3).
//!
//! ```text
//! +---------------+---------------+------------------------+
//! | Error code    | Error subcode |   Data (variable)      |
//! +---------------+---------------+------------------------+
//! Data of Cease/2 and Cease/4:  | length (1) | UTF-8 text |
//! Data of Cease/9 (hard reset): | code | subcode | data   |
//! ```

use std::fmt;

use super::reader::Reader;
use super::{EncodeError, MAX_LEN, header, writer};

/// The class of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationCode(pub u8);

impl NotificationCode {
    /// RFC 4271 section 6.1.
    pub const MESSAGE_HEADER: Self = Self(1);
    /// RFC 4271 section 6.2.
    pub const OPEN: Self = Self(2);
    /// RFC 4271 section 6.3.
    pub const UPDATE: Self = Self(3);
    /// RFC 4271 section 6.5.
    pub const HOLD_TIMER_EXPIRED: Self = Self(4);
    /// RFC 4271 section 6.6, subcodes in RFC 6608.
    pub const FSM: Self = Self(5);
    /// RFC 4271 section 6.7, subcodes in [`cease`].
    pub const CEASE: Self = Self(6);
    /// RFC 7313 section 5.
    pub const ROUTE_REFRESH: Self = Self(7);
    /// RFC 9687 section 4.
    pub const SEND_HOLD_TIMER_EXPIRED: Self = Self(8);
}

/// Subcodes of an OPEN error that only the session can find (RFC 4271 section 6.2, RFC 5492 section 5, RFC 9234
/// section 4.2).
pub mod open_error {
    /// Not the AS that was configured.
    pub const BAD_PEER_AS: u8 = 2;
    /// The own identifier, or one that cannot be.
    pub const BAD_IDENTIFIER: u8 = 3;
    /// A hold time shorter than is accepted.
    pub const UNACCEPTABLE_HOLD_TIME: u8 = 6;
    /// A capability that must be there is not; the data are the missing ones.
    pub const UNSUPPORTED_CAPABILITY: u8 = 7;
    /// The two roles do not fit each other.
    pub const ROLE_MISMATCH: u8 = 11;
}

/// Subcodes of a state machine error (RFC 6608 section 3).
pub mod fsm {
    /// A message that OpenSent does not expect; its type is the data.
    pub const OPEN_SENT: u8 = 1;
    /// A message that OpenConfirm does not expect; its type is the data.
    pub const OPEN_CONFIRM: u8 = 2;
    /// A message that Established does not expect; its type is the data.
    pub const ESTABLISHED: u8 = 3;
}

/// Subcodes of Cease (RFC 4486 section 4, RFC 8538 section 3.1, RFC 9384 section 3).
pub mod cease {
    /// More prefixes than the neighbour may announce.
    pub const MAXIMUM_PREFIXES: u8 = 1;
    /// An operator shut the session down; may carry a text.
    pub const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
    /// The neighbour was removed from the configuration.
    pub const PEER_DECONFIGURED: u8 = 3;
    /// An operator reset the session; may carry a text.
    pub const ADMINISTRATIVE_RESET: u8 = 4;
    /// The neighbour is not welcome.
    pub const CONNECTION_REJECTED: u8 = 5;
    /// The configuration of the neighbour changed.
    pub const OTHER_CONFIGURATION_CHANGE: u8 = 6;
    /// The other connection of two was kept.
    pub const COLLISION_RESOLUTION: u8 = 7;
    /// Short of memory or similar.
    pub const OUT_OF_RESOURCES: u8 = 8;
    /// The session ends for good, graceful restart or not; the reason is inside.
    pub const HARD_RESET: u8 = 9;
    /// BFD says that the neighbour is gone.
    pub const BFD_DOWN: u8 = 10;
}

/// A NOTIFICATION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The class.
    pub code: NotificationCode,
    /// The error within its class.
    pub subcode: u8,
    /// What the class and the error say about the rest.
    pub data: Vec<u8>,
}

impl Notification {
    /// A NOTIFICATION without data.
    #[must_use]
    pub const fn new(code: NotificationCode, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// Administrative shutdown (2) or reset (4) with a text for the other side's operator (RFC 9003 section 2).
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if the text has more than 255 bytes.
    pub fn shutdown(subcode: u8, text: &str) -> Result<Self, EncodeError> {
        let mut data = Vec::with_capacity(text.len() + 1);
        writer::counted_u8(&mut data, "shutdown message", |out| {
            out.extend(text.as_bytes());
            Ok(())
        })?;
        Ok(Self { code: NotificationCode::CEASE, subcode, data })
    }

    /// Wrapped so that a peer with graceful restart does not keep the routes (RFC 8538 section 3.1).
    #[must_use]
    pub fn into_hard_reset(self) -> Self {
        let mut data = vec![self.code.0, self.subcode];
        data.extend(self.data);
        Self { code: NotificationCode::CEASE, subcode: cease::HARD_RESET, data }
    }

    /// The reason inside of a hard reset.
    #[must_use]
    pub fn hard_reset_reason(&self) -> Option<Self> {
        match (self.code, self.subcode, self.data.as_slice()) {
            (NotificationCode::CEASE, cease::HARD_RESET, [code, subcode, data @ ..]) => {
                Some(Self { code: NotificationCode(*code), subcode: *subcode, data: data.to_vec() })
            }
            _ => None,
        }
    }

    /// What the other side's operator wrote. A text with a wrong length is no text; bytes that are not UTF-8
    /// are replaced (RFC 9003 sections 2 and 6).
    #[must_use]
    pub fn shutdown_text(&self) -> Option<String> {
        let told = matches!(self.subcode, cease::ADMINISTRATIVE_SHUTDOWN | cease::ADMINISTRATIVE_RESET);
        if self.code != NotificationCode::CEASE || !told {
            return None;
        }
        let text = Reader::new(&self.data).counted_u8()?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Reads the body. Never an error: nobody answers a NOTIFICATION with another (RFC 4271 section 6.4).
    pub(super) fn decode(body: &[u8]) -> Self {
        let mut reader = Reader::new(body);
        let code = NotificationCode(reader.u8().unwrap_or(0));
        let subcode = reader.u8().unwrap_or(0);
        Self { code, subcode, data: reader.rest().to_vec() }
    }

    /// Writes the body; data that no peer could take is cut off.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend([self.code.0, self.subcode]);
        let room = MAX_LEN - header::HEADER_LEN - 2;
        out.extend(&self.data[..self.data.len().min(room)]);
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.code {
            NotificationCode::MESSAGE_HEADER => "message header error",
            NotificationCode::OPEN => "OPEN error",
            NotificationCode::UPDATE => "UPDATE error",
            NotificationCode::HOLD_TIMER_EXPIRED => "hold timer expired",
            NotificationCode::FSM => "state machine error",
            NotificationCode::CEASE => "cease",
            NotificationCode::ROUTE_REFRESH => "ROUTE-REFRESH error",
            NotificationCode::SEND_HOLD_TIMER_EXPIRED => "send hold timer expired",
            NotificationCode(_) => "unknown error",
        };
        write!(f, "{class} ({}/{})", self.code.0, self.subcode)?;
        if let Some(reason) = self.hard_reset_reason() {
            // Not one inside of another, however often a peer wrapped it.
            let Self { code, subcode, .. } = reason;
            write!(f, ", hard reset for {}/{subcode}", code.0)?;
            return match reason.shutdown_text() {
                Some(text) => write!(f, ": {text:?}"),
                None => Ok(()),
            };
        }
        match self.shutdown_text() {
            Some(text) => write!(f, ": {text:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values() {
        let text = Notification::shutdown(cease::ADMINISTRATIVE_SHUTDOWN, "böse").unwrap();
        for (bytes, value) in [
            (&[6, 3][..], Notification::new(NotificationCode::CEASE, cease::PEER_DECONFIGURED)),
            (&[6, 2, 5, b'b', 0xc3, 0xb6, b's', b'e'], text.clone()),
            (&[6, 9, 6, 2, 5, b'b', 0xc3, 0xb6, b's', b'e'], text.clone().into_hard_reset()),
        ] {
            let mut out = Vec::new();
            value.encode(&mut out);
            assert_eq!(out, bytes);
            assert_eq!(Notification::decode(bytes), value);
        }
        assert_eq!(text.clone().into_hard_reset().hard_reset_reason(), Some(text.clone()));
        assert_eq!(text.to_string(), "cease (6/2): \"böse\"");
        assert_eq!(text.into_hard_reset().to_string(), "cease (6/9), hard reset for 6/2: \"böse\"");
    }

    #[test]
    fn texts_that_are_none() {
        assert_eq!(Notification::decode(&[6, 2, 9, b'x']).shutdown_text(), None);
        assert_eq!(Notification::decode(&[6, 2]).shutdown_text(), None);
        assert_eq!(Notification::decode(&[6, 3, 1, b'x']).shutdown_text(), None);
        assert_eq!(Notification::decode(&[6, 4, 1, 0xff]).shutdown_text(), Some("\u{fffd}".into()));
        assert!(Notification::shutdown(cease::ADMINISTRATIVE_RESET, &"x".repeat(256)).is_err());
    }

    #[test]
    fn long_data_is_cut() {
        let data = vec![0; 70_000];
        let mut out = Vec::new();
        Notification { code: NotificationCode::UPDATE, subcode: 9, data }.encode(&mut out);
        assert_eq!(out.len() + header::HEADER_LEN, MAX_LEN);
    }
}
