//! Extended communities: eight bytes that a route carries along (RFC 4360 section 2).
//!
//! ```text
//! +----------+-------------+-----------------------------------------+
//! | type (1) | subtype (1) | value (6)                               |
//! +----------+-------------+-----------------------------------------+
//! type bit 0x40: not transitive, does not leave the AS
//! 0x00-0x02 / 0x02   route target          AS2:4, IPv4:2, AS4:2     RFC 4360 section 4, RFC 5668 section 2
//! 0x00-0x02 / 0x03   route origin          the same                 RFC 4360 section 5
//! 0x03 / 0x0c        encapsulation         0 (4) | tunnel type (2)  RFC 9012 section 4.1
//! 0x03 / 0x0d        default gateway       0 (6)                    RFC 7432 section 7.8
//! 0x03 / 0x57        weft's group          domain (2) | group (4)
//! 0x06 / 0x00        MAC mobility          flags | 0 | sequence (4) RFC 7432 section 7.7
//! 0x06 / 0x01        ESI label             flags | 0 (2) | label (3)  RFC 7432 section 7.5
//! 0x06 / 0x02        ES-import             MAC (6)                  RFC 7432 section 7.6
//! 0x06 / 0x03        router's MAC          MAC (6)                  RFC 9135 section 8.1
//! 0x06 / 0x08        ARP/ND flags          flags | 0 (5)            RFC 9047 section 2
//! ```
//!
//! A community is kept as its bytes, so that whatever a peer sent goes on unchanged, reserved bits and all;
//! [`ExtendedCommunity::value`] says what they mean.
//!
//! The group of a port is transitive opaque (0x03). The security identity must reach whoever gets the route,
//! also in another AS: a non-transitive one (0x43) would be removed between data centres, and the routes behind
//! it would match no rule. Routers that do not know it pass it on. The subtype is not assigned to anyone; the group
//! policy id that is (0x17) has 16 bits only. The domain tells apart group numbers of installations that do not share their intent; 0 is an
//! installation that never meets another.

use std::fmt;

use weft_vxlan::MacAddr;

use super::{Administered, Label, RouteOrigin, RouteTarget};

const OPAQUE: u8 = 0x03;
const EVPN: u8 = 0x06;
const NOT_TRANSITIVE: u8 = 0x40;

const ROUTE_TARGET: u8 = 0x02;
const ROUTE_ORIGIN: u8 = 0x03;
const ENCAPSULATION: u8 = 0x0c;
const DEFAULT_GATEWAY: u8 = 0x0d;
const GROUP: u8 = 0x57;
const MAC_MOBILITY: u8 = 0x00;
const ESI_LABEL: u8 = 0x01;
const ES_IMPORT: u8 = 0x02;
const ROUTER_MAC: u8 = 0x03;
const ND_FLAGS: u8 = 0x08;

const STICKY: u8 = 0x01;
const SINGLE_ACTIVE: u8 = 0x01;
const ND_ROUTER: u8 = 0x01;
const ND_OVERRIDE: u8 = 0x02;
const ND_IMMUTABLE: u8 = 0x08;

/// An extended community as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ExtendedCommunity([u8; 8]);

/// What an extended community means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtendedCommunityValue {
    /// Which VRFs import the route.
    RouteTarget(RouteTarget),
    /// Which site it came from.
    RouteOrigin(RouteOrigin),
    /// How packets are encapsulated.
    Encapsulation(TunnelType),
    /// The route is a gateway's.
    DefaultGateway,
    /// The group of the port.
    Group(GroupCommunity),
    /// How often the MAC address moved.
    MacMobility(MacMobility),
    /// How the segment is multihomed.
    EsiLabel(EsiLabel),
    /// Which segments import a type 4.
    EsImport(MacAddr),
    /// The inner destination of packets routed to the VTEP.
    RouterMac(MacAddr),
    /// How to answer for the address.
    NdFlags(NdFlags),
    /// Anything else.
    Other,
}

/// The encapsulation (IANA: BGP tunnel encapsulation types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelType(pub u16);

impl TunnelType {
    /// VXLAN.
    pub const VXLAN: Self = Self(8);
}

/// MAC mobility (RFC 7432 section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacMobility {
    /// The MAC address does not move.
    pub sticky: bool,
    /// Grows with each move.
    pub sequence: u32,
}

/// How a segment is multihomed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EsiLabel {
    /// One host forwards at a time, not all.
    pub single_active: bool,
    /// The label for split horizon; zero with VXLAN.
    pub label: Label,
}

/// How to answer ARP and neighbour solicitations for the address of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NdFlags {
    /// R: a router.
    pub router: bool,
    /// O: override.
    pub override_flag: bool,
    /// I: the binding of address and MAC does not change.
    pub immutable: bool,
}

/// The security group of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupCommunity {
    /// Whose numbers.
    pub domain: u16,
    /// The group's number.
    pub group: u32,
}

impl ExtendedCommunity {
    /// Bytes on the wire.
    pub const LEN: usize = 8;
    /// VXLAN encapsulation.
    pub const VXLAN: Self = Self([OPAQUE, ENCAPSULATION, 0, 0, 0, 0, 0, 8]);
    /// The default gateway.
    pub const DEFAULT_GATEWAY: Self = Self([OPAQUE, DEFAULT_GATEWAY, 0, 0, 0, 0, 0, 0]);

    /// The community of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// Whether it crosses the border of an AS.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        self.0[0] & NOT_TRANSITIVE == 0
    }

    /// Whether it is a route target, of a VRF or of a segment: all of them count where routes are announced only to
    /// who wants them (RFC 4684 section 3, RFC 7432 section 7.6).
    #[must_use]
    pub const fn is_route_target(self) -> bool {
        matches!(self.0, [0..=2, ROUTE_TARGET, ..] | [EVPN, ES_IMPORT, ..])
    }

    /// What it means. Reserved bits are not looked at.
    #[must_use]
    pub fn value(self) -> ExtendedCommunityValue {
        use ExtendedCommunityValue as Value;
        let [kind, subtype, body @ ..] = self.0;
        let [a, b, c, d, e, f] = body;
        match (kind, subtype) {
            (0..=2, ROUTE_TARGET) => Administered::from_parts(kind, body)
                .map_or(Value::Other, |value| Value::RouteTarget(RouteTarget(value))),
            (0..=2, ROUTE_ORIGIN) => Administered::from_parts(kind, body)
                .map_or(Value::Other, |value| Value::RouteOrigin(RouteOrigin(value))),
            (OPAQUE, ENCAPSULATION) => Value::Encapsulation(TunnelType(u16::from_be_bytes([e, f]))),
            (OPAQUE, DEFAULT_GATEWAY) => Value::DefaultGateway,
            (OPAQUE, GROUP) => Value::Group(GroupCommunity {
                domain: u16::from_be_bytes([a, b]),
                group: u32::from_be_bytes([c, d, e, f]),
            }),
            (EVPN, MAC_MOBILITY) => Value::MacMobility(MacMobility {
                sticky: a & STICKY != 0,
                sequence: u32::from_be_bytes([c, d, e, f]),
            }),
            (EVPN, ESI_LABEL) => Value::EsiLabel(EsiLabel {
                single_active: a & SINGLE_ACTIVE != 0,
                label: Label::from_bytes([d, e, f]),
            }),
            (EVPN, ES_IMPORT) => Value::EsImport(MacAddr::new(body)),
            (EVPN, ROUTER_MAC) => Value::RouterMac(MacAddr::new(body)),
            (EVPN, ND_FLAGS) => Value::NdFlags(NdFlags {
                router: a & ND_ROUTER != 0,
                override_flag: a & ND_OVERRIDE != 0,
                immutable: a & ND_IMMUTABLE != 0,
            }),
            _ => Value::Other,
        }
    }

    const fn new(kind: u8, subtype: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self([kind, subtype, a, b, c, d, e, f])
    }

    /// The ES-import route target of a segment.
    #[must_use]
    pub const fn es_import(mac: MacAddr) -> Self {
        Self::new(EVPN, ES_IMPORT, mac.bytes())
    }

    /// The router's MAC address.
    #[must_use]
    pub const fn router_mac(mac: MacAddr) -> Self {
        Self::new(EVPN, ROUTER_MAC, mac.bytes())
    }
}

impl From<RouteTarget> for ExtendedCommunity {
    fn from(target: RouteTarget) -> Self {
        let (kind, body) = target.0.to_parts();
        Self::new(kind, ROUTE_TARGET, body)
    }
}

impl From<RouteOrigin> for ExtendedCommunity {
    fn from(origin: RouteOrigin) -> Self {
        let (kind, body) = origin.0.to_parts();
        Self::new(kind, ROUTE_ORIGIN, body)
    }
}

impl From<TunnelType> for ExtendedCommunity {
    fn from(TunnelType(kind): TunnelType) -> Self {
        let [e, f] = kind.to_be_bytes();
        Self::new(OPAQUE, ENCAPSULATION, [0, 0, 0, 0, e, f])
    }
}

impl From<GroupCommunity> for ExtendedCommunity {
    fn from(GroupCommunity { domain, group }: GroupCommunity) -> Self {
        let ([a, b], [c, d, e, f]) = (domain.to_be_bytes(), group.to_be_bytes());
        Self::new(OPAQUE, GROUP, [a, b, c, d, e, f])
    }
}

impl From<MacMobility> for ExtendedCommunity {
    fn from(MacMobility { sticky, sequence }: MacMobility) -> Self {
        let [c, d, e, f] = sequence.to_be_bytes();
        Self::new(EVPN, MAC_MOBILITY, [if sticky { STICKY } else { 0 }, 0, c, d, e, f])
    }
}

impl From<EsiLabel> for ExtendedCommunity {
    fn from(EsiLabel { single_active, label }: EsiLabel) -> Self {
        let [d, e, f] = label.to_bytes();
        Self::new(EVPN, ESI_LABEL, [if single_active { SINGLE_ACTIVE } else { 0 }, 0, 0, d, e, f])
    }
}

impl From<NdFlags> for ExtendedCommunity {
    fn from(NdFlags { router, override_flag, immutable }: NdFlags) -> Self {
        let flag = |set, bit| if set { bit } else { 0 };
        let flags =
            flag(router, ND_ROUTER) | flag(override_flag, ND_OVERRIDE) | flag(immutable, ND_IMMUTABLE);
        Self::new(EVPN, ND_FLAGS, [flags, 0, 0, 0, 0, 0])
    }
}

impl fmt::Debug for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        if value == ExtendedCommunityValue::Other {
            return write!(f, "0x{:016x}", u64::from_be_bytes(self.0));
        }
        fmt::Debug::fmt(&value, f)
    }
}

#[cfg(test)]
mod tests;
