//! What the daemon tells of BGP: peers, routes, and why an address is where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use weft_bgp::wire::Asn;
use weft_vxlan::Vtep;

/// `GET /v1/bgp/summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// This host's AS.
    pub asn: Asn,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Its peers, those with a name of their own first.
    pub peers: Vec<PeerSummary>,
}

/// A peer at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSummary {
    /// Its name; of a dynamic one its group and address, such as `leaves/192.0.2.7`.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether it connected from a range of its group, and no resource names it.
    pub dynamic: bool,
    /// Its AS; not known of an `external` one before it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<Asn>,
    /// How far its session is.
    pub state: PeerState,
    /// Seconds that it is so.
    pub since_seconds: u64,
    /// Routes by family.
    pub routes: BTreeMap<String, RouteCounts>,
    /// Why its last session ended, or could not begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// How far a session is (RFC 4271 section 8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// Administratively down.
    Shutdown,
    /// Pausing before the next attempt.
    Idle,
    /// Connecting.
    Connect,
    /// Waiting for the peer to connect.
    Active,
    /// This host's OPEN is sent.
    OpenSent,
    /// The peer's OPEN is good.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shutdown => "shutdown",
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::Active => "active",
            Self::OpenSent => "open-sent",
            Self::OpenConfirm => "open-confirm",
            Self::Established => "established",
        })
    }
}

/// Routes of a peer and a family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteCounts {
    /// Those that it sent and has not withdrawn.
    pub received: u64,
    /// Those of them that its import policy and the checks for loops let through.
    pub accepted: u64,
    /// Those that it was sent.
    pub sent: u64,
}

/// A line of `GET /v1/bgp/neighbors`: all about a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbor {
    /// As in the summary.
    #[serde(flatten)]
    pub summary: PeerSummary,
    /// What its resource says for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is to this host's AS.
    pub relation: PeerRelation,
    /// Its BGP identifier, once told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_id: Option<Ipv4Addr>,
    /// How often a session was established.
    pub established_count: u64,
    /// The connection of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// What each side can.
    pub capabilities: Vec<CapabilityStatus>,
    /// Timers.
    pub timers: Timers,
    /// Messages since weftd started.
    pub messages: Messages,
    /// UPDATEs with faults that did not end a session (RFC 7606), since weftd started. The log says which.
    pub faulty_updates: u64,
    /// The last NOTIFICATION that it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_sent: Option<NotificationStatus>,
    /// The last NOTIFICATION that it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_received: Option<NotificationStatus>,
    /// Whether its way is alive, if that is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<BfdStatus>,
    /// What is kept of it while it is away or was restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartStatus>,
}

/// What a peer is to this host's AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRelation {
    /// In another AS.
    External,
    /// In the same.
    Internal,
    /// In the same, and this host reflects routes to it.
    Client,
}

/// The connection of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transport {
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Whether the peer connected.
    pub accepted: bool,
    /// Whether segments are signed (TCP-MD5).
    pub signed: bool,
}

/// A capability (RFC 5492), and who announced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityStatus {
    /// Its name, such as `graceful-restart`.
    pub capability: String,
    /// What this host announced, in words; left out if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// What the peer announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// Whether it is in force in this session.
    pub negotiated: bool,
}

/// Timers of a session, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    /// Hold time that this host asks for; 0: never.
    pub hold_configured: u64,
    /// The lower one of both sides, once agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_negotiated: Option<u64>,
    /// Between KEEPALIVEs, once agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<u64>,
    /// The longest pause between attempts to connect.
    pub connect_retry: u64,
    /// Until the next attempt, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<u64>,
}

/// Messages in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// From the peer.
    pub received: MessageCounts,
    /// To the peer.
    pub sent: MessageCounts,
}

/// Messages by type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// OPEN
    pub open: u64,
    /// UPDATE
    pub update: u64,
    /// NOTIFICATION
    pub notification: u64,
    /// KEEPALIVE
    pub keepalive: u64,
    /// ROUTE-REFRESH
    pub route_refresh: u64,
}

/// A NOTIFICATION.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationStatus {
    /// Its code.
    pub code: u8,
    /// Its subcode.
    pub subcode: u8,
    /// Both in words, with what is inside of a hard reset (RFC 8538 section 3.1), and the text that came along (RFC 9003).
    pub text: String,
    /// How long ago.
    pub seconds_ago: u64,
}

/// BFD to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdStatus {
    /// `down`, `init`, `up` or `admin-down`.
    pub state: String,
    /// Milliseconds between packets that are sent.
    pub transmit_ms: u64,
    /// Milliseconds without a packet after which it is down; 0 while it is.
    pub detect_ms: u64,
    /// Why it went down last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<String>,
}

/// Graceful restart of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartStatus {
    /// What it is in.
    pub phase: RestartPhase,
    /// Stale routes by family.
    pub stale: BTreeMap<String, u64>,
    /// Seconds until they go, or become long-lived stale.
    pub remaining_seconds: u64,
}

/// What a peer that restarts is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPhase {
    /// It is away (RFC 4724).
    Away,
    /// It is away for long (RFC 9494).
    LongLived,
    /// It is back, and has not sent all its routes yet.
    Returning,
}

/// A line of `GET /v1/bgp/rib`: a route with its paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibRoute {
    /// Its family.
    pub family: String,
    /// What identifies it, such as `[2]:[0]:[48]:[02:00:00:00:00:09]:[32]:[10.0.0.9] RD 192.0.2.1:5001`.
    pub route: String,
    /// The best path first.
    pub paths: Vec<RibPath>,
}

/// A path of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibPath {
    /// The peer that it is from; left out for this host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Where it leads.
    pub next_hop: IpAddr,
    /// Its number, where a peer sends several (RFC 7911).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_id: Option<u32>,
    /// Labels; with VXLAN, VNIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<u32>,
    /// Its attributes, in words.
    pub attributes: Vec<String>,
    /// Whether it is used.
    pub best: bool,
    /// Whether it may be used: not rejected.
    pub valid: bool,
    /// Whether its peer is away.
    pub stale: bool,
    /// Why it is not the best one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/bgp/explain`: an address, a prefix or a MAC in one network or subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked for, or the prefix that contains it.
    pub subject: String,
    /// The network.
    pub network: String,
    /// The subnet, of a MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Whatever has it, or would have it if it were let; what is used comes first.
    pub candidates: Vec<Candidate>,
}

/// Something that has an address, a prefix or a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Who says so.
    pub source: CandidateSource,
    /// The VTEPs that it can be reached by.
    pub vteps: Vec<Vtep>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// Who says that something is somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateSource {
    /// A port of this host.
    Port(String),
    /// A subnet of this host.
    Own,
    /// A route of a peer.
    Route {
        /// As in the RIB.
        route: String,
        /// Name of the peer.
        peer: String,
    },
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is used.
    Used,
    /// Another one is better.
    Lost,
    /// None of its route targets is imported there.
    NotImported,
    /// It leads nowhere at the moment.
    NotUsable,
    /// It cannot be used at all.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Used => "used",
            Self::Lost => "lost",
            Self::NotImported => "not-imported",
            Self::NotUsable => "not-usable",
            Self::Refused => "refused",
        })
    }
}

/// Body of `POST /v1/bgp/clear`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clear {
    /// Only this one; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The session stays, and routes are sent and asked for again (RFC 2918).
    #[serde(default)]
    pub soft: bool,
}
