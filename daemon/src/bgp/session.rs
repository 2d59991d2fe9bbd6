//! What a peer's session is like, with everything filled in: its own fields, its group's, and the defaults.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use weft_api::resource::bgp::{NextHop, PeerFamily, PeerRole, PeerSettings};
use weft_api::resource::{Bfd, PeerAs, Secret};
use weft_bgp::bfd;
use weft_bgp::peer::PeerKind;
use weft_bgp::rib::{NextHopPolicy, Policy};
use weft_bgp::wire::{Asn, Family, Role};

use super::policy;
use crate::config::Speaker;

/// TCP port of BGP (RFC 4271 section 8).
const TCP_PORT: u16 = 179;
const HOLD_TIME_S: u16 = 9;
const CONNECT_RETRY_S: u16 = 30;
const WARN_PERCENT: u8 = 75;
/// Long enough for a full table after a restart.
const STALE_TIME_S: u16 = 360;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The AS that the peer must be of.
    pub asn: RemoteAs,
    /// What the peer is to this host's AS.
    pub kind: PeerKind,
    /// TCP port that the peer listens on.
    pub port: u16,
    /// Address of this host for the session; `None`: the kernel chooses.
    pub local_address: Option<IpAddr>,
    /// This host does not connect.
    pub passive: bool,
    /// TCP-MD5.
    pub password: Option<Secret>,
    /// How far away the peer may be.
    pub distance: Distance,
    /// Without a message for so long the session ends; zero: never.
    pub hold_time: Duration,
    /// The longest pause between attempts to connect: the first is short, and each further one twice as long.
    pub connect_retry: Duration,
    /// In the order that the user gave, route target membership behind EVPN.
    pub families: Vec<Family>,
    /// Where announced routes lead to.
    pub next_hop: NextHopPolicy,
    /// For each family.
    pub max_routes: Option<MaxRoutes>,
    /// `None`: its routes go with the session.
    pub graceful_restart: Option<Retention>,
    /// `None`: its way is not watched.
    pub bfd: Option<bfd::Config>,
    /// What this host is to the peer.
    pub role: Option<Role>,
    /// For routes that it sends.
    pub import: Policy,
    /// For routes that it gets.
    pub export: Policy,
    /// It is administratively down, with this text for it (RFC 9003).
    pub shutdown: Option<String>,
}

/// The AS that a peer must be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Number(Asn),
    /// Any but this host's.
    External,
}

/// How far away a peer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// As is usual: an external peer is a direct neighbour, an internal one can be anywhere.
    Usual,
    /// Packets to it have this TTL.
    Ttl(u8),
    /// Packets are sent with TTL 255, and those that passed as many hops or more are refused (RFC 5082).
    Security(u8),
}

/// How many routes of each family a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRoutes {
    /// With more, the session ends.
    pub limit: u32,
    /// With more, the log warns.
    pub warn: u32,
    /// After which it may try again; `None`: when it is cleared.
    pub restart: Option<Duration>,
}

/// How long the routes of a peer stay that has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// As stale ones (RFC 4724).
    pub stale: Duration,
    /// After that, as long-lived stale ones (RFC 9494); zero: not.
    pub long_lived: Duration,
}

impl Session {
    /// With everything filled in; `None` if there is no AS.
    #[must_use]
    pub fn of(settings: &PeerSettings, speaker: &Speaker) -> Option<Self> {
        let (asn, kind) = remote_as(settings, speaker)?;
        let rules =
            |rules: &Option<Vec<_>>| policy::compile(rules.as_deref().unwrap_or_default(), speaker.asn);
        Some(Self {
            asn,
            kind,
            port: settings.port.map_or(TCP_PORT, NonZeroU16::get),
            local_address: settings.local_address,
            passive: settings.passive.unwrap_or_default(),
            password: settings.password.clone(),
            distance: match (settings.ttl_security, settings.multihop) {
                (Some(hops), _) => Distance::Security(hops),
                (None, Some(ttl)) => Distance::Ttl(ttl),
                (None, None) => Distance::Usual,
            },
            hold_time: seconds(settings.hold_time_s.unwrap_or(HOLD_TIME_S)),
            connect_retry: seconds(settings.connect_retry_s.map_or(CONNECT_RETRY_S, NonZeroU16::get)),
            families: families(settings.families.as_deref().unwrap_or(&[PeerFamily::Evpn])),
            next_hop: match settings.next_hop {
                None => NextHopPolicy::Standard,
                Some(NextHop::Own) => NextHopPolicy::Own,
                Some(NextHop::Unchanged) => NextHopPolicy::Unchanged,
            },
            max_routes: settings.max_routes.map(max_routes),
            graceful_restart: settings.graceful_restart.unwrap_or(true).then(|| Retention {
                stale: seconds(settings.stale_time_s.unwrap_or(STALE_TIME_S)),
                long_lived: seconds(settings.long_lived_stale_time_s.unwrap_or_default()),
            }),
            bfd: settings.bfd.and_then(|bfd| timers(bfd).ok().flatten()),
            role: settings.role.map(role),
            import: rules(&settings.import),
            export: rules(&settings.export),
            shutdown: settings.shutdown.clone(),
        })
    }
}

/// The AS that a peer must be of, and what that makes of it.
#[must_use]
pub fn remote_as(settings: &PeerSettings, speaker: &Speaker) -> Option<(RemoteAs, PeerKind)> {
    let number = match settings.asn? {
        PeerAs::External => return Some((RemoteAs::External, PeerKind::External)),
        PeerAs::Internal => speaker.asn,
        PeerAs::Number(number) => number,
    };
    let kind = match settings.route_reflector_client {
        _ if number != speaker.asn => PeerKind::External,
        Some(true) => PeerKind::Client,
        Some(false) | None => PeerKind::Internal,
    };
    Some((RemoteAs::Number(number), kind))
}

/// The timers of BFD, if it is on.
///
/// # Errors
/// What is wrong with them.
pub fn timers(bfd: Bfd) -> Result<Option<bfd::Config>, bfd::ConfigError> {
    match bfd {
        Bfd::Off => Ok(None),
        Bfd::On(timers) => {
            let interval = Duration::from_millis(timers.interval_ms.into());
            bfd::Config::new(interval, interval, timers.multiplier).map(Some)
        }
    }
}

/// A family in the codec's words.
#[must_use]
pub const fn family(family: PeerFamily) -> Family {
    match family {
        PeerFamily::Evpn => Family::EVPN,
        PeerFamily::Ipv4Unicast => Family::IPV4_UNICAST,
        PeerFamily::Ipv6Unicast => Family::IPV6_UNICAST,
    }
}

fn families(wanted: &[PeerFamily]) -> Vec<Family> {
    let mut families: Vec<_> = wanted.iter().copied().map(family).collect();
    if let Some(index) = families.iter().position(|family| *family == Family::EVPN) {
        families.insert(index + 1, Family::ROUTE_TARGETS);
    }
    families
}

fn max_routes(max: weft_api::resource::bgp::MaxRoutes) -> MaxRoutes {
    let limit = max.limit.get();
    let percent = max.warn_percent.unwrap_or(WARN_PERCENT);
    let warn = u64::from(limit) * u64::from(percent) / 100;
    // More than all of the limit is refused before.
    let warn = u32::try_from(warn).unwrap_or(limit);
    MaxRoutes { limit, warn, restart: max.restart_s.map(|time| seconds(time.get())) }
}

const fn role(role: PeerRole) -> Role {
    match role {
        PeerRole::Provider => Role::Provider,
        PeerRole::RouteServer => Role::RouteServer,
        PeerRole::RouteServerClient => Role::RouteServerClient,
        PeerRole::Customer => Role::Customer,
        PeerRole::Peer => Role::Peer,
    }
}

fn seconds(seconds: impl Into<u64>) -> Duration {
    Duration::from_secs(seconds.into())
}
