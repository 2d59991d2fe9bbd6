//! What security groups do to packets: what decided, connections, hits, and the verdict on a packet that nobody sent.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::resource::RuleVerdict;
use crate::resource::security::{Direction, Protocol};

/// What decided about a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// A rule of a group of the port; the first one, where groups repeat a rule.
    Rule(RuleReference),
    /// No rule is about it: the network's `default_ingress` or `default_egress`.
    Default,
    /// It is not known any more: rules have changed since.
    Unknown,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleReference {
    /// The group's name.
    pub group: String,
    /// Which of its rules, in the order in which they are written; the first is 0.
    pub index: usize,
    /// What it is there for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// By which port's rules a packet was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The port's name; empty if it has gone.
    pub port: String,
    /// Whether the packet was for it, or from it.
    pub direction: Direction,
    /// The rule.
    pub by: DecidedBy,
}

/// A connection of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The port's name; empty if it has gone.
    pub port: String,
    /// The port's network, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Who began it: `egress`, the port; `ingress`, the other side.
    pub direction: Direction,
    /// The protocol.
    pub protocol: Protocol,
    /// Address of who began it.
    pub source: IpAddr,
    /// Its port, of protocols that have ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Address of the other side.
    pub destination: IpAddr,
    /// Its port, of protocols that have ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Identifier of pings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_id: Option<u16>,
    /// How far it is.
    pub state: FlowState,
    /// Whether the other side has yet to answer. Those have room of their own.
    pub half_open: bool,
    /// What let it through.
    pub by: DecidedBy,
    /// Seconds since it began.
    pub age_seconds: u64,
    /// Seconds since its last packet.
    pub idle_seconds: u64,
    /// Packets of both sides; a super-packet (GSO) counts as one.
    pub packets: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowState {
    /// Only one side has sent; not of TCP.
    Single,
    /// TCP: one side has asked (SYN).
    Opening,
    /// TCP: the other side has agreed (SYN and ACK).
    Agreed,
    /// Both sides send.
    Open,
    /// TCP: one side has nothing more to send (FIN).
    HalfClosed,
    /// TCP: neither has.
    Closed,
    /// TCP: one side has aborted it (RST).
    Reset,
    /// The rules do not allow it any more.
    Revoked,
}

/// Answer of `GET /v1/flows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Those that are wanted, as many as were asked for.
    pub flows: Vec<Flow>,
    /// How many more there are.
    pub left_out: usize,
}

/// One line of `GET /v1/flows?follow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowLine {
    /// It began, within the last seconds.
    Started(Box<FlowEvent>),
    /// It is over, or was removed with its port.
    Ended(Box<FlowEvent>),
    /// So many lines were lost on the way to this reader.
    Missed(u64),
}

/// A connection at a time; a line of the flow log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEvent {
    /// When this was told, in UTC: `2026-01-31T23:59:59.123Z`.
    pub time: String,
    /// The connection.
    #[serde(flatten)]
    pub flow: Flow,
}

/// Answer of `GET /v1/flows/top`: who has the most connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowTop {
    /// All of this host.
    pub host: FlowCount,
    /// Those of tenants, the most first.
    pub tenants: Vec<FlowCount>,
    /// Those of ports, the most first.
    pub ports: Vec<FlowCount>,
    /// Those with an address at the other side, the most first.
    pub peers: Vec<FlowCount>,
}

/// How many connections somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCount {
    /// Who.
    pub name: String,
    /// Open ones.
    pub open: u64,
    /// How many of these there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_limit: Option<u64>,
    /// Those whose other side has yet to answer.
    pub half_open: u64,
    /// How many of these there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_open_limit: Option<u64>,
    /// Packets that the port sent and that were dropped because there was no room for their connection, since it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// How often a rule decided about a packet that belonged to no connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// Whether packets were for the port or from it.
    pub direction: Direction,
    /// The rule, or the default.
    pub by: DecidedBy,
    /// On this host since weftd started.
    pub hits: u64,
}

/// Answer of `GET /v1/policy/test`: what becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTest {
    /// What the ports of this host say together.
    pub verdict: RuleVerdict,
    /// Whether the programs in the kernel say the same as the rules that are stored.
    pub agree: bool,
    /// The ports of this host at its ends, the sender first.
    pub ends: Vec<EndTest>,
    /// What is not known here: an end on another host is judged there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a port's rules say in [`PolicyTest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndTest {
    /// The port.
    pub port: String,
    /// Whether it sends the packet or gets it.
    pub direction: Direction,
    /// Names or ids of the groups that the other end is known to be a member of.
    pub peer_groups: Vec<String>,
    /// By a walk over the stored rules.
    pub rules: Verdict,
    /// By the programs that are loaded, with the tables that are in force.
    pub programs: Verdict,
    /// Whether these are the same.
    pub agree: bool,
}

/// What is said of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes on.
    Allow(Ground),
    /// Rules deny it.
    Deny(Ground),
    /// It is dropped before rules are asked, for this reason.
    Drop(String),
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// The rule.
    pub by: DecidedBy,
    /// Whether packets are judged one by one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateless: bool,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Default => f.write_str("the network's default"),
            Self::Unknown => f.write_str("a rule that has changed since"),
        }
    }
}

impl fmt::Display for RuleReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}", self.group, self.index)?;
        self.description.as_ref().map_or(Ok(()), |description| write!(f, " ({description})"))
    }
}

impl fmt::Display for FlowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Single => "single",
            Self::Opening => "opening",
            Self::Agreed => "agreed",
            Self::Open => "open",
            Self::HalfClosed => "half-closed",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Revoked => "revoked",
        })
    }
}
