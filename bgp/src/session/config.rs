//! How a session is led.

use std::time::Duration;

use crate::wire::{AddPathFamilies, Asn, Capability, Family, Fqdn, Role, RouterId};

/// Whom the neighbour may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This AS.
    Asn(Asn),
    /// The own AS.
    Internal,
    /// Any other AS.
    External,
}

/// How a session is led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The own AS.
    pub asn: Asn,
    /// The own identifier.
    pub router_id: RouterId,
    /// The name that the neighbour's operators see.
    pub host_name: Option<Fqdn>,
    /// Whom the neighbour may be.
    pub expected: Expected,
    /// Whether routes are reflected to and from it, if it is internal (RFC 4456).
    pub client: bool,
    /// Whether it is left to the neighbour to connect.
    pub passive: bool,
    /// An operator wants no session; the neighbour is told this text.
    pub shutdown: Option<String>,
    /// Families that are announced. There is no session if none is common.
    pub families: Vec<Family>,
    /// Families of which several paths are understood (RFC 7911).
    pub receive_path_ids: AddPathFamilies,
    /// Seconds of silence after which the session ends: 0, never, or 3 and more.
    pub hold_time: u16,
    /// First pause after a failure; each further one is twice as long, up to the longest.
    pub retry: Duration,
    /// The longest pause.
    pub longest_retry: Duration,
    /// The own role (RFC 9234).
    pub role: Option<Role>,
    /// Whether there is a session only with a neighbour that says its role too.
    pub strict_role: bool,
    /// What is said about restarts, and how long routes of a neighbour are kept that restarts.
    pub restart: Option<Restart>,
}

/// Graceful restart (RFC 4724, RFC 8538, RFC 9494).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// How long the neighbour is asked to wait, up to 4095 s.
    pub time: Duration,
    /// The speaker has restarted, and peers are still to tell their routes.
    pub restarted: bool,
    /// The data plane kept its routes over the last start of the speaker.
    pub forwarding: bool,
    /// Routes of a neighbour are kept as long as it asks for, but no longer.
    pub longest: Duration,
    /// After that, as long-lived stale ones; zero: not at all.
    pub long_lived: Duration,
}

impl Config {
    /// The least hold time that RFC 4271 section 4.2 allows, but for none.
    pub const LEAST_HOLD_TIME: u16 = 3;

    /// A session with `expected`, with weft's timers: a lost neighbour is noticed after 9 s.
    #[must_use]
    pub fn new(asn: Asn, router_id: RouterId, expected: Expected) -> Self {
        Self {
            asn,
            router_id,
            host_name: None,
            expected,
            client: false,
            passive: false,
            shutdown: None,
            families: vec![Family::EVPN],
            receive_path_ids: AddPathFamilies::default(),
            hold_time: 9,
            retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(30),
            role: None,
            strict_role: false,
            restart: None,
        }
    }

    /// The hold time while nothing is agreed: long (RFC 4271 section 8.2.2).
    pub(super) const FIRST_HOLD: Duration = Duration::from_secs(240);

    /// How long a write may take (RFC 9687 section 3.1).
    pub(super) fn send_hold(&self) -> Duration {
        Duration::from_secs(480).max(2 * Duration::from_secs(self.hold_time.into()))
    }

    /// What the own OPEN says. `forwarding`: routes that the neighbour has of an earlier session are still good.
    #[must_use]
    pub fn capabilities(&self, forwarding: bool) -> Vec<Capability> {
        use crate::wire::{
            AddPath, AddPathMode, Afi, ExtendedNextHop, GracefulRestart, LongLived, LongLivedFamily,
            RestartFamily,
        };
        let mut all: Vec<_> = self.families.iter().copied().map(Capability::Multiprotocol).collect();
        all.extend([Capability::RouteRefresh, Capability::EnhancedRouteRefresh]);
        if self.families.contains(&Family::IPV4_UNICAST) {
            let next_hop = ExtendedNextHop { family: Family::IPV4_UNICAST, next_hop: Afi::IPV6 };
            all.push(Capability::ExtendedNextHop(vec![next_hop]));
        }
        all.extend([Capability::ExtendedMessage, Capability::FourOctetAs(self.asn)]);
        let add_path = self.families.iter().filter(|family| self.receive_path_ids.has(**family));
        let add_path: Vec<_> =
            add_path.map(|family| AddPath { family: *family, mode: AddPathMode::Receive }).collect();
        if !add_path.is_empty() {
            all.push(Capability::AddPath(add_path));
        }
        // Roles are for other ASes (RFC 9234 section 4).
        let internal = match self.expected {
            Expected::Asn(asn) => asn == self.asn,
            Expected::Internal => true,
            Expected::External => false,
        };
        all.extend(self.role.filter(|_| !internal).map(Capability::Role));
        if let Some(restart) = self.restart {
            let families = self.families.iter().map(|family| RestartFamily { family: *family, forwarding });
            all.push(Capability::GracefulRestart(GracefulRestart {
                restarted: restart.restarted,
                notification: true,
                time: u16::try_from(restart.time.as_secs()).unwrap_or(u16::MAX).min(0xfff),
                families: families.collect(),
            }));
            if !restart.long_lived.is_zero() {
                let stale_time =
                    u32::try_from(restart.long_lived.as_secs()).unwrap_or(u32::MAX).min(0xff_ffff);
                let families = self.families.iter();
                let families =
                    families.map(|family| LongLivedFamily { family: *family, forwarding, stale_time });
                all.push(Capability::LongLived(LongLived { families: families.collect() }));
            }
        }
        all.extend(self.host_name.clone().map(Capability::Fqdn));
        all
    }
}
