//! What is done to routes of a peer on their way in and out: rules in order.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use weft_bgp::wire::{Asn, Community, LargeCommunity, RouteTarget};

use super::bgp::PeerFamily;
use super::words::Med;

/// A rule. The first one that matches and accepts or rejects ends it; a route that none decides is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// All of these hold; none at all match every route.
    #[serde(default, rename = "match", skip_serializing_if = "is_default")]
    pub matches: RouteMatch,
    /// What is changed before the action.
    #[serde(default, skip_serializing_if = "is_default")]
    pub set: RouteChange,
    /// How it goes on.
    pub action: RuleAction,
}

/// How it goes on behind a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// The route is good.
    Accept,
    /// The route is dropped.
    Reject,
    /// The next rule decides.
    Next,
}

/// What a route must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteMatch {
    /// Its prefix, of unicast or of an EVPN prefix route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixMatch>,
    /// It has all of these communities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<Community>,
    /// It has all of these large communities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub large_communities: Vec<LargeCommunity>,
    /// It has all of these route targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route_targets: Vec<RouteTarget>,
    /// It passed all of these ASes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_path: Vec<Asn>,
    /// This AS started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_as: Option<Asn>,
    /// It passed between so many ASes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_path_length: Option<LengthMatch>,
    /// Its family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<PeerFamily>,
    /// Type of an EVPN route, such as 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evpn_type: Option<u8>,
}

/// Prefixes within another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixMatch {
    /// The covering prefix.
    pub within: IpNet,
    /// The shortest length; that of `within` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u8>,
    /// The longest length; a single address unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u8>,
}

/// How many ASes a path has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthMatch {
    /// At least; 0 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u16>,
    /// At most; no limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u16>,
}

/// What is done to a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteChange {
    /// `LOCAL_PREF`: higher is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// `MED`: lower is better; `none` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<Med>,
    /// Taken away before others are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_communities: Vec<Community>,
    /// Added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_communities: Vec<Community>,
    /// Taken away before others are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_large_communities: Vec<LargeCommunity>,
    /// Added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_large_communities: Vec<LargeCommunity>,
    /// Makes the path longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepend: Option<Prepend>,
}

/// An AS that is put before the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepend {
    /// The AS; this host's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<Asn>,
    /// How often.
    pub times: u8,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
