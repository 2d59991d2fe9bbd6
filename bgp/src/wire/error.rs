//! What can be wrong with a message, as the tree of RFC 4271 section 6: from the type of an error follows the
//! NOTIFICATION that ends the session, or the milder treatment of RFC 7606 section 2.

use super::{
    AttributeCode, EvpnError, Family, MessageKind, NextHopError, Notification, NotificationCode, RoutesError,
    header, open_error,
};

/// A message that ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// RFC 4271 section 6.1.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// RFC 4271 section 6.2.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// RFC 4271 section 6.3, as far as RFC 7606 leaves it.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// RFC 7313 section 5.
    #[error(transparent)]
    RouteRefresh(#[from] RouteRefreshError),
}

/// What is wrong with the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The marker is not all ones: subcode 1.
    #[error("the message does not start with sixteen bytes of ones")]
    NotSynchronized,
    /// Too short or too long for its type: subcode 2.
    #[error("message length {0} is not possible for its type")]
    Length(u16),
    /// Not a message: subcode 3.
    #[error("message type {0} does not exist")]
    Kind(u8),
}

/// What is wrong with an OPEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Subcode 1.
    #[error("BGP version {0}, not 4")]
    Version(u8),
    /// Subcode 2: AS 0 (RFC 7607 section 2).
    #[error("the peer's AS is 0")]
    ZeroAs,
    /// Subcode 3.
    #[error("the peer's BGP identifier is 0.0.0.0")]
    ZeroRouterId,
    /// Subcode 4.
    #[error("optional parameter {0} is unknown")]
    Parameter(u8),
    /// Subcode 6: 1 and 2 seconds are not allowed (RFC 4271 section 4.2).
    #[error("hold time of {0} s")]
    HoldTime(u16),
    /// Subcode 0: the lengths do not add up.
    #[error("the optional parameters are malformed")]
    Malformed,
    /// Subcode 0: a known capability with a body that it cannot have.
    #[error("capability {0} is malformed")]
    Capability(u8),
    /// Subcode 11: the role capability is given twice with different values (RFC 9234 section 4.2).
    #[error("two different BGP roles")]
    Roles,
}

/// What is so wrong with an UPDATE that the session ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The two length fields exceed the message: subcode 1.
    #[error("the lengths of withdrawn routes and attributes exceed the message")]
    Lengths,
    /// MP_REACH_NLRI or MP_UNREACH_NLRI twice (RFC 7606 section 3 g): subcode 1.
    #[error("attribute {0} twice")]
    Twice(AttributeCode),
    /// An unknown attribute that is not optional: subcode 2, with the attribute as data.
    #[error("unknown well-known attribute")]
    UnknownWellKnown(Vec<u8>),
    /// MP_REACH_NLRI or MP_UNREACH_NLRI whose routes cannot be found (RFC 7606 sections 5.3 and 7.11, RFC 4760
    /// section 7): subcode 9, with the attribute as data.
    #[error("attribute {code}: {problem}")]
    Multiprotocol {
        /// Which of the two.
        code: AttributeCode,
        /// What is wrong.
        problem: MultiprotocolProblem,
        /// Header and value as received.
        bytes: Vec<u8>,
    },
    /// The classic withdrawn routes or NLRI cannot be read: subcode 10.
    #[error("the IPv4 routes cannot be read: {0}")]
    Network(RoutesError),
    /// An error that would withdraw the routes, in a message without routes (RFC 7606 section 5.2): the error's
    /// own subcode.
    #[error("{0}, and no routes to withdraw")]
    NoRoutes(Fault),
}

/// Why the routes of a multiprotocol attribute cannot be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultiprotocolProblem {
    /// Not optional non-transitive.
    #[error("flags {0:#04x}")]
    Flags(u8),
    /// Shorter than its fixed fields.
    #[error("too short")]
    Short,
    /// The length of the next hop fits no address of the family.
    #[error("next hop of {len} bytes for {family}")]
    NextHopLength {
        /// The family.
        family: Family,
        /// The length field.
        len: u8,
    },
    /// A route crosses the end, or has a length that its family cannot have.
    #[error(transparent)]
    Routes(RoutesError),
}

/// What is wrong with a ROUTE-REFRESH.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteRefreshError {
    /// Subcode 1: begin or end of refresh with a body, kept here, that is not four bytes.
    #[error("route refresh of {} bytes", .0.len())]
    Length(Vec<u8>),
}

/// What an error costs; the strongest of a message wins (RFC 7606 section 3 h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// The attribute is dropped, the routes stay.
    AttributeDiscard,
    /// The one route is withdrawn as far as its key can be read, the others stay.
    RouteWithdraw,
    /// All routes of the message are withdrawn.
    TreatAsWithdraw,
}

/// An error in an UPDATE that the session survives. The message that comes with it is already treated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An attribute is malformed, missing, or not for us.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// The last attribute crosses the end of the attributes (RFC 7606 section 4).
    #[error("the last attribute crosses the end of the attributes")]
    Overrun,
    /// An EVPN route whose type and length can be read and whose content cannot.
    #[error("EVPN route withdrawn: {0}")]
    Route(#[from] EvpnError),
    /// A route target membership with a length from 1 to 31: its origin AS is no prefix (RFC 4684 section 4).
    /// It is ignored, as a prefix that can be read and makes no sense is (RFC 4271 section 6.3).
    #[error("route target membership of {0} bits ignored")]
    MembershipLength(u8),
}

/// An attribute and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attribute {code}: {problem}")]
pub struct AttributeError {
    /// Which.
    pub code: AttributeCode,
    /// What.
    pub problem: AttributeProblem,
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeProblem {
    /// Optional and transitive bits are not what the attribute has (RFC 7606 section 3 c).
    #[error("flags {0:#04x}")]
    Flags(u8),
    /// A length that the attribute cannot have.
    #[error("length {0}")]
    Length(usize),
    /// A value that the attribute cannot have.
    #[error("illegal value")]
    Value,
    /// AS 0 (RFC 7607 section 2).
    #[error("AS 0")]
    ZeroAs,
    /// ASes in no known order, which nobody may send any more (RFC 9774 section 3).
    #[error("an AS_SET")]
    AsSet,
    /// The next hop is no host's address.
    #[error(transparent)]
    NextHop(#[from] NextHopError),
    /// Mandatory and not there.
    #[error("missing")]
    Missing,
    /// Not the first one of its type.
    #[error("given twice")]
    Twice,
    /// Only internal peers send it, or only peers of two-byte AS numbers.
    #[error("not for a peer of this kind")]
    Unexpected,
    /// Routes of a family that weft does not know.
    #[error("unknown family {0}")]
    Family(Family),
}

impl AttributeError {
    /// What the error costs (RFC 7606 sections 3 and 7, RFC 6793 section 6, RFC 8092 section 6,
    /// RFC 9774 section 3).
    #[must_use]
    pub fn treatment(&self) -> Treatment {
        match self.problem {
            AttributeProblem::Twice | AttributeProblem::Unexpected | AttributeProblem::Family(_) => {
                Treatment::AttributeDiscard
            }
            AttributeProblem::AsSet => Treatment::TreatAsWithdraw,
            AttributeProblem::Flags(_)
            | AttributeProblem::Length(_)
            | AttributeProblem::Value
            | AttributeProblem::ZeroAs
            | AttributeProblem::NextHop(_)
            | AttributeProblem::Missing => match self.code {
                AttributeCode::ATOMIC_AGGREGATE
                | AttributeCode::AGGREGATOR
                | AttributeCode::AS4_PATH
                | AttributeCode::AS4_AGGREGATOR => Treatment::AttributeDiscard,
                _ => Treatment::TreatAsWithdraw,
            },
        }
    }

    /// The subcode of RFC 4271 section 6.3, for a session that ends because of it.
    fn subcode(&self) -> u8 {
        match (self.problem, self.code) {
            (AttributeProblem::Missing, _) => 3,
            (AttributeProblem::Flags(_), _) => 4,
            (_, AttributeCode::ORIGIN) if self.problem == AttributeProblem::Value => 6,
            (AttributeProblem::NextHop(_), _) => 8,
            (
                AttributeProblem::Value | AttributeProblem::ZeroAs | AttributeProblem::AsSet,
                AttributeCode::AS_PATH,
            ) => 11,
            (AttributeProblem::Length(_), _) => 5,
            _ => 9,
        }
    }
}

impl Fault {
    /// What the error costs.
    #[must_use]
    pub fn treatment(&self) -> Treatment {
        match self {
            Self::Attribute(error) => error.treatment(),
            Self::Overrun => Treatment::TreatAsWithdraw,
            Self::Route(_) | Self::MembershipLength(_) => Treatment::RouteWithdraw,
        }
    }
}

impl MessageError {
    /// What the peer is told before the session is closed.
    #[must_use]
    pub fn notification(&self) -> Notification {
        let (code, subcode, data) = match self {
            Self::Header(error) => {
                let (subcode, data) = error.subcode_and_data();
                (NotificationCode::MESSAGE_HEADER, subcode, data)
            }
            Self::Open(error) => {
                let (subcode, data) = error.subcode_and_data();
                (NotificationCode::OPEN, subcode, data)
            }
            Self::Update(error) => {
                let (subcode, data) = error.subcode_and_data();
                (NotificationCode::UPDATE, subcode, data)
            }
            Self::RouteRefresh(RouteRefreshError::Length(body)) => {
                // The data is the whole message.
                let mut data = Vec::new();
                let whole = header::encode(MessageKind::RouteRefresh, true, &mut data, |out| {
                    out.extend(body);
                    Ok(())
                });
                // Nothing that came in a message is too long for one.
                whole.unwrap_or_default();
                (NotificationCode::ROUTE_REFRESH, 1, data)
            }
        };
        Notification { code, subcode, data }
    }
}

impl HeaderError {
    fn subcode_and_data(self) -> (u8, Vec<u8>) {
        match self {
            Self::NotSynchronized => (1, Vec::new()),
            Self::Length(len) => (2, len.to_be_bytes().to_vec()),
            Self::Kind(kind) => (3, vec![kind]),
        }
    }
}

impl OpenError {
    fn subcode_and_data(self) -> (u8, Vec<u8>) {
        match self {
            // The data is the largest version below the peer's that we speak.
            Self::Version(_) => (1, vec![0, 4]),
            Self::ZeroAs => (open_error::BAD_PEER_AS, Vec::new()),
            Self::ZeroRouterId => (open_error::BAD_IDENTIFIER, Vec::new()),
            Self::Parameter(_) => (4, Vec::new()),
            Self::HoldTime(_) => (open_error::UNACCEPTABLE_HOLD_TIME, Vec::new()),
            Self::Malformed | Self::Capability(_) => (0, Vec::new()),
            Self::Roles => (open_error::ROLE_MISMATCH, Vec::new()),
        }
    }
}

impl UpdateError {
    fn subcode_and_data(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Lengths | Self::Twice(_) => (1, Vec::new()),
            Self::UnknownWellKnown(attribute) => (2, attribute.clone()),
            Self::Multiprotocol { bytes, .. } => (9, bytes.clone()),
            Self::Network(_) => (10, Vec::new()),
            Self::NoRoutes(Fault::Attribute(error)) => (error.subcode(), Vec::new()),
            Self::NoRoutes(Fault::Overrun | Fault::Route(_) | Fault::MembershipLength(_)) => (1, Vec::new()),
        }
    }
}

/// Why a value cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Something does not fit into its length field, or into a message.
    #[error("{what} of {len} bytes, at most {max} fit")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        len: usize,
        /// What would fit.
        max: usize,
    },
    /// A message has one MP_UNREACH_NLRI at most.
    #[error("withdrawn routes of {0} families in one message")]
    Families(usize),
    /// A path identifier where the peer does not expect one, or none where it does (RFC 7911 section 3).
    #[error("routes of {0} and the peer disagree on path identifiers")]
    PathId(Family),
    /// A field has no form on the wire.
    #[error("{0}")]
    NotEncodable(&'static str),
}
