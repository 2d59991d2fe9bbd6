//! What two OPENs settle (RFC 4271 section 4.2, RFC 5492, and the RFC of each capability).

use std::net::SocketAddr;
use std::time::Duration;

use super::config::{Config, Expected};
use super::connection::ConnectionId;
use crate::peer::PeerKind;
use crate::rib::{Retain, RetainFamily};
use crate::wire::{
    AddPathFamilies, AddPathMode, Afi, Asn, Capability, Dialect, Family, GracefulRestart, LongLived,
    Notification, NotificationCode, Open, Role, RouterId, open_error,
};

/// A session that is established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established {
    /// Its connection.
    pub connection: ConnectionId,
    /// The own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// What the neighbour is to the own AS.
    pub kind: PeerKind,
    /// Its AS.
    pub asn: Asn,
    /// Its identifier.
    pub router_id: RouterId,
    /// How its messages are read and written.
    pub dialect: Dialect,
    /// Families that both sides announced.
    pub families: Vec<Family>,
    /// The neighbour's role, if the own one is set.
    pub role: Option<Role>,
    /// Silence for so long ends the session; zero: it does not.
    pub hold_time: Duration,
    /// It can be asked for its routes again.
    pub route_refresh: bool,
    /// Its answers to that, and those to it, stand between marks (RFC 7313).
    pub enhanced_refresh: bool,
    /// What it says about restarts, if both sides do.
    pub restart: Option<GracefulRestart>,
    /// What it says about long ones, if both sides do.
    pub long_lived: Option<LongLived>,
    /// All that it announced.
    pub capabilities: Vec<Capability>,
}

/// Why an OPEN is not good, as the NOTIFICATION that says so, and in words.
pub(super) type Refusal = (Notification, String);

impl Established {
    /// What the neighbour's OPEN settles.
    pub(super) fn negotiate(
        config: &Config,
        open: &Open,
        connection: ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Self, Refusal> {
        let kind = check_identity(config, open)?;
        let role = check_role(config, open, kind)?;
        let families = common_families(config, open)?;
        let has = |wanted: &Capability| open.capabilities.contains(wanted);
        let both_restart = config.restart.is_some();
        // Of two, the last one counts (RFC 4724 section 3).
        let restart = open.capabilities.iter().rev().find_map(|capability| {
            if let Capability::GracefulRestart(restart) = capability { Some(restart.clone()) } else { None }
        });
        let long_lived = open.capabilities.iter().rev().find_map(|capability| {
            if let Capability::LongLived(long_lived) = capability { Some(long_lived.clone()) } else { None }
        });
        let long = config.restart.is_some_and(|restart| !restart.long_lived.is_zero());
        Ok(Self {
            connection,
            local,
            remote,
            kind,
            asn: open.asn,
            router_id: open.router_id,
            dialect: Dialect {
                internal: kind != PeerKind::External,
                four_octet_as: open
                    .capabilities
                    .iter()
                    .any(|capability| matches!(capability, Capability::FourOctetAs(_))),
                receive_extended: true,
                send_extended: has(&Capability::ExtendedMessage),
                extended_next_hop: extended_next_hop(config, open),
                receive_path_ids: received_path_ids(config, open),
                send_path_ids: AddPathFamilies::default(),
            },
            families,
            role,
            hold_time: Duration::from_secs(config.hold_time.min(open.hold_time).into()),
            route_refresh: has(&Capability::RouteRefresh),
            enhanced_refresh: has(&Capability::EnhancedRouteRefresh),
            // Long-lived restarts mean nothing without short ones (RFC 9494 section 3).
            long_lived: long_lived.filter(|_| long && both_restart && restart.is_some()),
            restart: restart.filter(|_| both_restart),
            capabilities: open.capabilities.clone(),
        })
    }

    /// How long the neighbour's routes are kept if the session breaks (RFC 4724 section 4.2, RFC 9494 section 4.2).
    pub(super) fn retain(&self, config: &Config) -> Retain {
        let (Some(own), Some(restart)) = (config.restart, &self.restart) else { return Retain::default() };
        let time = Duration::from_secs(restart.time.into()).min(own.longest);
        let long = |family| {
            let families = self.long_lived.iter().flat_map(|long| &long.families);
            let of = families.filter(|of| of.family == family).map(|of| of.stale_time).next();
            Duration::from_secs(of.unwrap_or(0).into()).min(own.long_lived)
        };
        let short = |family| restart.families.iter().any(|of| of.family == family);
        let kept = self.families.iter().filter(|family| short(**family) || !long(**family).is_zero());
        let families = kept.map(|&family| RetainFamily {
            family,
            // A family of the long-lived form alone has no time before it.
            restart: if short(family) { time } else { Duration::ZERO },
            long_lived: long(family),
        });
        Retain { families: families.collect() }
    }

    /// The families of which the neighbour kept the forwarding state through its restart: what is stale of others is not
    /// good any more.
    #[must_use]
    pub fn forwards(&self, family: Family) -> bool {
        let short = self.restart.iter().flat_map(|restart| &restart.families);
        let long = self.long_lived.iter().flat_map(|long| &long.families);
        short
            .map(|of| (of.family, of.forwarding))
            .chain(long.map(|of| (of.family, of.forwarding)))
            .any(|of| of == (family, true))
    }

    /// Whether a NOTIFICATION ends the session without ending what is kept (RFC 8538).
    pub(super) fn survives_notification(&self) -> bool {
        self.restart.as_ref().is_some_and(|restart| restart.notification)
    }
}

fn refuse<T>(subcode: u8, reason: impl Into<String>) -> Result<T, Refusal> {
    Err((Notification::new(NotificationCode::OPEN, subcode), reason.into()))
}

fn check_identity(config: &Config, open: &Open) -> Result<PeerKind, Refusal> {
    let internal = open.asn == config.asn;
    let fits = match config.expected {
        Expected::Asn(asn) => open.asn == asn,
        Expected::Internal => internal,
        Expected::External => !internal,
    };
    if !fits {
        let expected = match config.expected {
            Expected::Asn(asn) => format!("AS {asn}"),
            Expected::Internal => format!("AS {}, the own one", config.asn),
            Expected::External => "another AS than the own one".to_owned(),
        };
        return refuse(open_error::BAD_PEER_AS, format!("it is AS {}, expected was {expected}", open.asn));
    }
    // Between ASes, identifiers may be the same (RFC 6286 section 2.1).
    if internal && open.router_id == config.router_id {
        return refuse(
            open_error::BAD_IDENTIFIER,
            format!("it has the identifier {}, which is this speaker's", open.router_id.get()),
        );
    }
    Ok(match (internal, config.client) {
        (false, _) => PeerKind::External,
        (true, false) => PeerKind::Internal,
        (true, true) => PeerKind::Client,
    })
}

/// RFC 9234 section 4.2; roles are for external sessions.
fn check_role(config: &Config, open: &Open, kind: PeerKind) -> Result<Option<Role>, Refusal> {
    let Some(own) = config.role.filter(|_| kind == PeerKind::External) else { return Ok(None) };
    let theirs = open
        .capabilities
        .iter()
        .find_map(|capability| if let Capability::Role(role) = capability { Some(*role) } else { None });
    match (own, theirs) {
        (_, None) if config.strict_role => {
            refuse(open_error::ROLE_MISMATCH, "it says no role, which is demanded")
        }
        // It is then what the own role makes it.
        (_, None) => Ok(Some(match own {
            Role::Provider => Role::Customer,
            Role::Customer => Role::Provider,
            Role::RouteServer => Role::RouteServerClient,
            Role::RouteServerClient => Role::RouteServer,
            Role::Peer => Role::Peer,
        })),
        (Role::Provider, Some(Role::Customer))
        | (Role::Customer, Some(Role::Provider))
        | (Role::RouteServer, Some(Role::RouteServerClient))
        | (Role::RouteServerClient, Some(Role::RouteServer))
        | (Role::Peer, Some(Role::Peer)) => Ok(theirs),
        (
            Role::Provider | Role::Customer | Role::RouteServer | Role::RouteServerClient | Role::Peer,
            Some(theirs),
        ) => refuse(open_error::ROLE_MISMATCH, format!("its role is {theirs:?}, the own one {own:?}")),
    }
}

/// In the own order. A neighbour that names no family speaks IPv4 unicast (RFC 4760 section 8).
fn common_families(config: &Config, open: &Open) -> Result<Vec<Family>, Refusal> {
    let mut theirs: Vec<_> = open
        .capabilities
        .iter()
        .filter_map(
            |capability| {
                if let Capability::Multiprotocol(family) = capability { Some(*family) } else { None }
            },
        )
        .collect();
    if theirs.is_empty() {
        theirs.push(Family::IPV4_UNICAST);
    }
    let common: Vec<_> = config.families.iter().copied().filter(|family| theirs.contains(family)).collect();
    if !common.is_empty() {
        return Ok(common);
    }
    let mut notification = Notification::new(NotificationCode::OPEN, open_error::UNSUPPORTED_CAPABILITY);
    for family in &config.families {
        // The data are the capabilities that are missing (RFC 5492 section 5).
        let written = Capability::Multiprotocol(*family).encode(&mut notification.data);
        debug_assert_eq!(written, Ok(()), "a family has a fixed length");
    }
    Err((notification, "it has no address family in common with this speaker".to_owned()))
}

fn extended_next_hop(config: &Config, open: &Open) -> bool {
    config.families.contains(&Family::IPV4_UNICAST)
        && open.capabilities.iter().any(|capability| {
            let Capability::ExtendedNextHop(all) = capability else { return false };
            all.iter().any(|of| of.family == Family::IPV4_UNICAST && of.next_hop == Afi::IPV6)
        })
}

/// Families that the neighbour sends with path identifiers: those that it may, of those that are understood.
fn received_path_ids(config: &Config, open: &Open) -> AddPathFamilies {
    let sends = |family| {
        config.receive_path_ids.has(family)
            && open.capabilities.iter().any(|capability| {
                let Capability::AddPath(all) = capability else { return false };
                all.iter()
                    .any(|of| of.family == family && matches!(of.mode, AddPathMode::Send | AddPathMode::Both))
            })
    };
    AddPathFamilies {
        ipv4: sends(Family::IPV4_UNICAST),
        ipv6: sends(Family::IPV6_UNICAST),
        evpn: sends(Family::EVPN),
    }
}

#[cfg(test)]
mod tests;
