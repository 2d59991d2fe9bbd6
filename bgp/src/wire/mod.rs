//! The codec: what stands in the bytes of a BGP session, as values.
//!
//! The way in: [`Frame::next`] cuts a message out of the stream, [`Received::decode`] reads it. The way out:
//! [`Message::encode`]. What the two OPENs settled that changes how bytes are read is the [`Dialect`].
//!
//! The contract for input from a peer: no bytes panic; nothing is reserved that the message could not hold;
//! every refusal is a typed error, from which the NOTIFICATION (RFC 4271 section 6) or the milder reaction of
//! RFC 7606 section 2 follows. What is transitive and unknown is kept, byte for byte.

mod administered;
mod asn;
mod attribute;
mod batch;
mod capability;
mod error;
mod esi;
mod evpn;
mod extended_community;
mod family;
mod header;
mod label;
mod membership;
mod message;
mod notification;
mod open;
mod prefix;
mod reader;
mod route_refresh;
mod routes;
#[cfg(feature = "serde")]
mod serde_text;
mod update;
mod writer;

pub use administered::{Administered, ParseAdministeredError, RouteDistinguisher, RouteOrigin, RouteTarget};
pub use asn::{Asn, RouterId, RouterIdError};
pub use attribute::{
    Aggregator, AsPath, AttributeCode, Attributes, Community, LargeCommunity, Origin, ParseCommunityError,
    PartialBits, PmsiTunnel, Segment, SegmentKind, TunnelId, UnknownAttribute,
};
pub use batch::{Batch, Route};
pub use capability::{
    AddPath, AddPathMode, Capability, ExtendedNextHop, Fqdn, GracefulRestart, LongLived, LongLivedFamily,
    RestartFamily, Role,
};
pub use error::{
    AttributeError, AttributeProblem, EncodeError, Fault, HeaderError, MessageError, MultiprotocolProblem,
    OpenError, RouteRefreshError, Treatment, UpdateError,
};
pub use esi::{EthernetSegmentId, EthernetTag};
pub use evpn::{
    EthernetAd, EthernetSegment, EvpnError, EvpnRoute, InclusiveMulticast, IpPrefixRoute, MacIp, UnknownRoute,
};
pub use extended_community::{
    EsiLabel, ExtendedCommunity, ExtendedCommunityValue, GroupCommunity, MacMobility, NdFlags, TunnelType,
};
pub use family::{Afi, Family, Safi};
pub use header::{Frame, HEADER_LEN, MAX_EXTENDED_LEN, MAX_LEN, MessageKind};
pub use label::Label;
pub use membership::{RouteTargetMembership, RouteTargetPrefix, RouteTargetPrefixError};
pub use message::{AddPathFamilies, Dialect, Message, Received};
pub use notification::{Notification, NotificationCode, cease, fsm, open_error};
pub use open::Open;
pub use route_refresh::{RouteRefresh, RouteRefreshKind};
pub use routes::{NextHop, NextHopError, Nlri, Routes, RoutesError};
pub use update::{Reachable, Update};
