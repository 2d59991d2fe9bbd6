//! A whole message, either way, and what both sides agreed on that changes its bytes.

use super::header::{self, Frame, MessageKind};
use super::{EncodeError, Family, Fault, MessageError, Notification, Open, RouteRefresh, Update, update};

/// What the two OPENs settled, as far as bytes are read or written differently for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// The peer is in the own AS (or confederation).
    pub internal: bool,
    /// Both announced four-byte AS numbers.
    pub four_octet_as: bool,
    /// weft announced extended messages: the peer may send them, whether it announced them itself or not
    /// (RFC 8654 section 4).
    pub receive_extended: bool,
    /// The peer announced extended messages.
    pub send_extended: bool,
    /// IPv4 routes may have IPv6 next hops.
    pub extended_next_hop: bool,
    /// Families whose routes the peer sends with path identifiers.
    pub receive_path_ids: AddPathFamilies,
    /// Families whose routes weft sends with path identifiers.
    pub send_path_ids: AddPathFamilies,
}

/// Families whose routes carry path identifiers. Route target membership never does: it has one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddPathFamilies {
    /// IPv4 unicast.
    pub ipv4: bool,
    /// IPv6 unicast.
    pub ipv6: bool,
    /// L2VPN EVPN.
    pub evpn: bool,
}

impl Dialect {
    /// An external peer that announced nothing.
    #[must_use]
    pub const fn plain() -> Self {
        let none = AddPathFamilies { ipv4: false, ipv6: false, evpn: false };
        Self {
            internal: false,
            four_octet_as: false,
            receive_extended: false,
            send_extended: false,
            extended_next_hop: false,
            receive_path_ids: none,
            send_path_ids: none,
        }
    }
}

impl AddPathFamilies {
    /// Whether `family` is one of them.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        match family {
            Family::IPV4_UNICAST => self.ipv4,
            Family::IPV6_UNICAST => self.ipv6,
            Family::EVPN => self.evpn,
            _ => false,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every message is an UPDATE: a box would cost each one")]
pub enum Message {
    /// Who speaks.
    Open(Open),
    /// Routes come and go.
    Update(Update),
    /// An UPDATE that says: these were all my routes (RFC 4724 section 2).
    EndOfRib(Family),
    /// The session ends.
    Notification(Notification),
    /// Still here.
    Keepalive,
    /// Routes again, please.
    RouteRefresh(RouteRefresh),
}

/// A message from a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message, treated as its faults want it.
    pub message: Message,
    /// What was wrong with it: to be counted and logged.
    pub faults: Vec<Fault>,
}

impl Received {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] if the session must end; it says with which NOTIFICATION.
    pub fn decode(frame: Frame<'_>, dialect: &Dialect) -> Result<Self, MessageError> {
        let mut faults = Vec::new();
        let message = match frame.kind {
            MessageKind::Open => Message::Open(Open::decode(frame.body)?),
            MessageKind::Update => match Update::decode_end_of_rib(frame.body) {
                Some(family) => Message::EndOfRib(family),
                None => {
                    let (update, found) = update::decode(frame.body, dialect)?;
                    faults = found;
                    Message::Update(update)
                }
            },
            MessageKind::Notification => Message::Notification(Notification::decode(frame.body)),
            MessageKind::Keepalive => Message::Keepalive,
            MessageKind::RouteRefresh => Message::RouteRefresh(RouteRefresh::decode(frame.body)?),
        };
        Ok(Self { message, faults })
    }
}

impl Message {
    /// Appends the whole message to `out`, or leaves it as it was.
    ///
    /// # Errors
    /// [`EncodeError`] if the message is too long or a value has no form on the wire.
    pub fn encode(&self, dialect: &Dialect, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        header::encode(self.kind(), dialect.send_extended, out, |out| {
            match self {
                Self::Open(open) => open.encode(out)?,
                Self::Update(update) => update.encode(dialect, out)?,
                Self::EndOfRib(family) => Update::encode_end_of_rib(*family, out)?,
                Self::Notification(notification) => notification.encode(out),
                Self::Keepalive => {}
                Self::RouteRefresh(refresh) => refresh.encode(out),
            }
            Ok(())
        })
    }

    /// The type in the header.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Open(_) => MessageKind::Open,
            Self::Update(_) | Self::EndOfRib(_) => MessageKind::Update,
            Self::Notification(_) => MessageKind::Notification,
            Self::Keepalive => MessageKind::Keepalive,
            Self::RouteRefresh(_) => MessageKind::RouteRefresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_rib_of_each_family() {
        let vpn = Family::new(super::super::Afi(1), super::super::Safi(128));
        for (family, body) in [
            (Family::IPV4_UNICAST, &[0, 0, 0, 0][..]),
            (Family::EVPN, &[0, 0, 0, 6, 0x80, 15, 3, 0, 25, 70]),
            (vpn, &[0, 0, 0, 6, 0x80, 15, 3, 0, 1, 128]),
        ] {
            let message = Message::EndOfRib(family);
            let mut out = Vec::new();
            message.encode(&Dialect::plain(), &mut out).unwrap();
            let frame = Frame::next(&out, false).unwrap().unwrap();
            assert_eq!(frame.body, body);
            assert_eq!(Received::decode(frame, &Dialect::plain()).unwrap().message, message);
        }
    }

    #[test]
    fn keepalive_is_a_header() {
        let mut out = Vec::new();
        Message::Keepalive.encode(&Dialect::plain(), &mut out).unwrap();
        assert_eq!(out[16..], [0, 19, 4]);
    }
}
