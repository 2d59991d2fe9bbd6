//! Who weft speaks BGP with: peers, groups of peers, and networks that see each other's routes.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::policy::Rule;
use super::secret::Secret;
use super::words::{Bfd, ExportTargets, ImportTargets, PeerAs};

/// Declares what peers and groups have in common in one place: a peer, a group, and the common part alone.
macro_rules! peers {
    ($($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// A BGP neighbour. What it leaves out is as in its group.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Peer {
            /// Unique among peers.
            pub name: String,
            /// Its address.
            pub address: IpAddr,
            /// Name of the peer group whose fields are its defaults.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub group: Option<String>,
            /// For people.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub description: Option<String>,
            $(
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        /// Defaults for peers, and prefixes from which peers that nobody named may connect.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct PeerGroup {
            /// Unique among groups.
            pub name: String,
            /// For people.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub description: Option<String>,
            /// Whoever connects from one of these is a peer of this group.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub ranges: Vec<IpNet>,
            /// How many such peers there may be at a time.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub max_peers: Option<NonZeroU32>,
            $(
                $(#[$meta])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        /// What peers and groups have in common.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct PeerSettings {
            $(
                $(#[$meta])*
                pub $field: Option<$type>,
            )*
        }

        impl Peer {
            /// What it says itself.
            #[must_use]
            pub fn settings(&self) -> PeerSettings {
                PeerSettings { $($field: self.$field.clone(),)* }
            }
        }

        impl PeerGroup {
            /// What it says to its peers.
            #[must_use]
            pub fn settings(&self) -> PeerSettings {
                PeerSettings { $($field: self.$field.clone(),)* }
            }
        }

        impl PeerSettings {
            /// With what is left out as in `defaults`.
            #[must_use]
            pub fn or(self, mut defaults: Self) -> Self {
                // The two exclude each other: who says one does not want the other.
                if self.ttl_security.is_some() || self.multihop.is_some() {
                    (defaults.ttl_security, defaults.multihop) = (None, None);
                }
                Self { $($field: self.$field.or(defaults.$field),)* }
            }
        }
    };
}

peers! {
    /// Its AS.
    asn: PeerAs,
    /// TCP port that it listens on; 179 unless given.
    port: NonZeroU16,
    /// Address of this host for the session; what the kernel chooses unless given.
    local_address: IpAddr,
    /// It connects, this host only waits.
    passive: bool,
    /// TCP-MD5 (RFC 2385): 1 to 80 bytes.
    password: Secret,
    /// Hops that it is away at most; packets from further away are refused (RFC 5082). 1 is a direct neighbour.
    ttl_security: u8,
    /// TTL of packets to an external peer that is no direct neighbour.
    multihop: u8,
    /// Seconds without a message after which the session ends; 0: never.
    hold_time_s: u16,
    /// Seconds of the longest pause between attempts to connect.
    connect_retry_s: NonZeroU16,
    /// What routes are exchanged.
    families: Vec<PeerFamily>,
    /// Routes of internal peers are reflected to it, and its own to them (RFC 4456).
    route_reflector_client: bool,
    /// Where routes lead to that are announced to it.
    next_hop: NextHop,
    /// How many routes of each family it may send.
    max_routes: MaxRoutes,
    /// Its routes stay while it restarts (RFC 4724).
    graceful_restart: bool,
    /// Seconds that they stay at most.
    stale_time_s: u16,
    /// Seconds that they stay after that as a last resort (RFC 9494); 0: not at all.
    long_lived_stale_time_s: u32,
    /// Whether its way is watched (RFC 5880).
    bfd: Bfd,
    /// What this host is to it (RFC 9234).
    role: PeerRole,
    /// Rules for routes from it.
    import: Vec<Rule>,
    /// Rules for routes to it.
    export: Vec<Rule>,
    /// It is administratively down, and is told this text (RFC 9003), which may be empty.
    shutdown: String,
}

/// A family of routes that a peer can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerFamily {
    /// EVPN, and with it route target membership.
    Evpn,
    /// IPv4 unicast.
    Ipv4Unicast,
    /// IPv6 unicast.
    Ipv6Unicast,
}

/// Where routes lead to that are announced to a peer, if not where it is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHop {
    /// As received.
    Unchanged,
    /// To this host.
    #[serde(rename = "self")]
    Own,
}

/// How many routes of each family a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxRoutes {
    /// With more, the session ends.
    pub limit: NonZeroU32,
    /// Percentage of the limit at which weftd's log warns; 75 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_percent: Option<u8>,
    /// Seconds after which it may try again; until it is cleared by hand unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<NonZeroU16>,
}

/// What this host is to an external peer (RFC 9234).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// It sells transit to the peer.
    Provider,
    /// It is a route server.
    RouteServer,
    /// It is a client of a route server.
    RouteServerClient,
    /// It buys transit of the peer.
    Customer,
    /// Both exchange their own and their customers' routes.
    Peer,
}

/// Two networks that see each other's routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    /// Unique among peerings.
    pub name: String,
    /// Names of the two networks.
    pub networks: Vec<String>,
    /// Where both have an address, a network's own comes first, then that of the peering with the lowest number.
    /// Unless given, prefixes that overlap are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u16>,
}

/// Which routes a network or subnet takes, and what its own carry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTargets {
    /// Which routes it takes; `auto` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportTargets>,
    /// What its own carry; `auto` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportTargets>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(rest: &str) -> Peer {
        let text = format!(r#"{{"name":"tor-1","address":"192.0.2.254"{rest}}}"#);
        serde_json::from_str(&text).expect(rest)
    }

    #[test]
    fn what_a_peer_leaves_out_is_as_in_its_group() {
        let group: PeerGroup = serde_json::from_str(
            r#"{"name":"tor","asn":65001,"hold_time_s":30,"multihop":3,"passive":true,"families":["evpn"]}"#,
        )
        .unwrap();
        let merged = peer(r#","hold_time_s":9,"passive":false"#).settings().or(group.settings());
        assert_eq!((merged.hold_time_s, merged.passive), (Some(9), Some(false)));
        assert_eq!((merged.asn, merged.multihop), (group.asn, Some(3)));
        assert_eq!(merged.families, Some(vec![PeerFamily::Evpn]));
        // Either of two that exclude each other replaces both.
        let merged = peer(r#","ttl_security":1"#).settings().or(group.settings());
        assert_eq!((merged.ttl_security, merged.multihop), (Some(1), None));
    }

    #[test]
    fn a_password_is_not_printed() {
        let peer = peer(r#","password":"hunter2""#);
        assert!(!format!("{peer:?} {:?}", peer.settings()).contains("hunter2"));
    }
}
