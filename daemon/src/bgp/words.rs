//! What the RIB and the instances of EVPN know, as the API tells it. Pure.
//!
//! Routes are written as FRR and most others write them: the fields of the NLRI in brackets, then the distinguisher.

use std::net::IpAddr;

use weft_api::view::bgp::{Candidate, CandidateSource, PeerRelation, RibPath, Verdict};
use weft_bgp::evpn::{self, Lost};
use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Key, PathView, Step};
use weft_bgp::wire::{
    Attributes, ExtendedCommunity, ExtendedCommunityValue, Family, Label, NextHop, Origin, TunnelId,
    TunnelType,
};

/// A family, as in a resource.
#[must_use]
pub fn family(family: Family) -> String {
    if family == Family::EVPN { "evpn".to_owned() } else { family.to_string() }
}

/// What identifies a route.
#[must_use]
pub fn route(key: &Key) -> String {
    match key {
        Key::EthernetAd { rd, segment, tag } => format!("[1]:[{tag}]:[{segment}] RD {rd}"),
        Key::MacIp { rd, tag, mac, ip: None } => format!("[2]:[{tag}]:[48]:[{mac}] RD {rd}"),
        Key::MacIp { rd, tag, mac, ip: Some(ip) } => {
            format!("[2]:[{tag}]:[48]:[{mac}]:[{}]:[{ip}] RD {rd}", bits(*ip))
        }
        Key::InclusiveMulticast { rd, tag, originator } => {
            format!("[3]:[{tag}]:[{}]:[{originator}] RD {rd}", bits(*originator))
        }
        Key::EthernetSegment { rd, segment, originator } => {
            format!("[4]:[{segment}]:[{}]:[{originator}] RD {rd}", bits(*originator))
        }
        Key::IpPrefix { rd, tag, prefix } => {
            format!("[5]:[{tag}]:[{}]:[{}] RD {rd}", prefix.prefix_len(), prefix.addr())
        }
        Key::UnknownEvpn { kind, value } => {
            let bytes: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("[{kind}]:[0x{bytes}]")
        }
        Key::Ipv4(prefix) => prefix.to_string(),
        Key::Ipv6(prefix) => prefix.to_string(),
        Key::RouteTargets(membership) => membership.to_string(),
    }
}

/// A path of a route. `peer` knows names; `lost` is why it is not the best one.
pub fn path(view: &PathView, lost: Option<Step>, peer: impl Fn(PeerId) -> String) -> RibPath {
    let labels = [Some(view.payload.label), view.payload.l3_label];
    let mut attributes = attributes(&view.shared.attributes);
    let segment = view.payload.segment();
    if !segment.is_single_homed() {
        attributes.push(format!("segment {segment}"));
    }
    attributes.extend(view.payload.gateway().map(|gateway| format!("gateway {gateway}")));
    RibPath {
        peer: view.peer.map(peer),
        next_hop: next_hop(view.shared.next_hop),
        path_id: (view.path_id != 0).then_some(view.path_id),
        labels: labels.into_iter().flatten().filter(|label| *label != Label::ZERO).map(number).collect(),
        attributes,
        best: lost.is_none() && !view.rejected,
        valid: !view.rejected,
        stale: view.stale,
        reason: lost.map(|step| step.to_string()),
    }
}

/// Something that has a subject. `peer` knows names.
pub fn candidate(explained: &evpn::Explained, peer: impl Fn(PeerId) -> String) -> Candidate {
    let source = match &explained.source {
        evpn::Source::Port(name) => CandidateSource::Port(name.clone()),
        evpn::Source::Own => CandidateSource::Own,
        evpn::Source::Route { key, from } => CandidateSource::Route { route: route(key), peer: peer(*from) },
    };
    let (verdict, reason) = match explained.verdict {
        evpn::Verdict::Used => (Verdict::Used, "it is used".to_owned()),
        evpn::Verdict::Lost(lost) => (Verdict::Lost, lost_to(lost).to_owned()),
        evpn::Verdict::NotImported => {
            (Verdict::NotImported, "none of its route targets is imported here".to_owned())
        }
        evpn::Verdict::NotUsable => {
            let reason =
                "no host of its segment is attached to it, or this host itself has the address or prefix";
            (Verdict::NotUsable, reason.to_owned())
        }
        evpn::Verdict::Refused(refusal) => (Verdict::Refused, refusal.to_string()),
    };
    Candidate { source, vteps: explained.members.clone(), verdict, reason }
}

/// What a peer is to this host's AS.
#[must_use]
pub const fn relation(kind: PeerKind) -> PeerRelation {
    match kind {
        PeerKind::External => PeerRelation::External,
        PeerKind::Internal => PeerRelation::Internal,
        PeerKind::Client => PeerRelation::Client,
    }
}

/// Attributes in the order of their codes, without the next hop.
#[must_use]
pub fn attributes(attributes: &Attributes) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(attributes.origin.map(|origin| {
        let word = match origin {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        };
        format!("origin {word}")
    }));
    let path = attributes.as_path.as_ref().filter(|path| !path.segments.is_empty());
    words.extend(path.map(|path| format!("as-path {path}")));
    words.extend(attributes.med.map(|med| format!("med {med}")));
    words.extend(attributes.local_pref.map(|value| format!("local-pref {value}")));
    words.extend(attributes.atomic_aggregate.then(|| "atomic-aggregate".to_owned()));
    words.extend(attributes.aggregator.map(|by| format!("aggregator AS {} {}", by.asn, by.address)));
    words.extend(attributes.communities.iter().map(|community| format!("community {community}")));
    words.extend(attributes.originator_id.map(|id| format!("originator {id}")));
    if !attributes.cluster_list.is_empty() {
        let clusters: Vec<_> = attributes.cluster_list.iter().map(ToString::to_string).collect();
        words.push(format!("clusters {}", clusters.join(" ")));
    }
    words.extend(attributes.extended_communities.iter().copied().map(extended_community));
    words.extend(attributes.pmsi.as_ref().map(|pmsi| match &pmsi.tunnel {
        TunnelId::IngressReplication(address) => {
            format!("ingress-replication {address} VNI {}", number(pmsi.label))
        }
        TunnelId::Other { kind, .. } => format!("pmsi-tunnel of type {kind}"),
    }));
    words.extend(attributes.large_communities.iter().map(|community| format!("large-community {community}")));
    words.extend(attributes.only_to_customer.map(|asn| format!("only-to-customer {asn}")));
    words.extend(attributes.unknown.iter().map(|unknown| format!("attribute {}", unknown.code)));
    words
}

fn extended_community(community: ExtendedCommunity) -> String {
    match community.value() {
        ExtendedCommunityValue::RouteTarget(target) => format!("rt {target}"),
        ExtendedCommunityValue::RouteOrigin(origin) => format!("soo {}", origin.0),
        ExtendedCommunityValue::Encapsulation(TunnelType::VXLAN) => "encapsulation vxlan".to_owned(),
        ExtendedCommunityValue::Encapsulation(TunnelType(kind)) => format!("encapsulation {kind}"),
        ExtendedCommunityValue::DefaultGateway => "default-gateway".to_owned(),
        ExtendedCommunityValue::Group(group) => format!("group {}:{}", group.domain, group.group),
        ExtendedCommunityValue::MacMobility(mobility) => {
            let sticky = if mobility.sticky { " sticky" } else { "" };
            format!("mac-mobility {}{sticky}", mobility.sequence)
        }
        ExtendedCommunityValue::EsiLabel(label) => {
            format!("esi-label {}", if label.single_active { "single-active" } else { "all-active" })
        }
        ExtendedCommunityValue::EsImport(mac) => format!("es-import {mac}"),
        ExtendedCommunityValue::RouterMac(mac) => format!("router-mac {mac}"),
        ExtendedCommunityValue::NdFlags(flags) => {
            let set = [
                (flags.router, " router"),
                (flags.override_flag, " override"),
                (flags.immutable, " immutable"),
            ];
            let words: String = set.into_iter().filter(|(set, _)| *set).map(|(_, word)| word).collect();
            format!("arp-nd{words}")
        }
        ExtendedCommunityValue::Other => format!("extended-community {community:?}"),
    }
}

const fn lost_to(lost: Lost) -> &'static str {
    match lost {
        Lost::Order => "another is of the network itself, or of a peering with a lower order",
        Lost::Gateway => "it is a gateway's, and another is a host's",
        Lost::Sticky => "another says that the address does not move",
        Lost::Sequence => "another has a higher MAC mobility sequence: the address moved there later",
        Lost::Stale => "it is stale, and another is not",
        Lost::LocalPref => "another has a higher local preference",
        Lost::AsPath => "another has a shorter AS path",
        Lost::Origin => "another has a lower origin",
        Lost::Med => "another has a lower MED",
        Lost::Detached => "its VTEP is not attached to the segment any more",
        Lost::Vtep => "another has a lower VTEP",
        Lost::Other => "another has a lower route distinguisher, MAC or address",
        Lost::Frozen => "the address moved too often, and stays where it is for a while",
    }
}

const fn next_hop(next_hop: NextHop) -> IpAddr {
    match next_hop {
        NextHop::V4(address) => IpAddr::V4(address),
        NextHop::V6(address) => IpAddr::V6(address),
        NextHop::V6LinkLocal { global, .. } => IpAddr::V6(global),
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(label: Label) -> u32 {
    let [a, b, c] = label.to_bytes();
    u32::from_be_bytes([0, a, b, c])
}

#[cfg(test)]
mod tests;
