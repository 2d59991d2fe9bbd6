//! BGP neighbours and their groups: each field's own sense, and that a peer and its group make one session.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_api::kind::Kind;
use weft_api::resource::bgp::PeerSettings;
use weft_api::resource::{self, PeerAs, Secret};
use weft_bgp::peer::PeerKind;

use super::{Faults, Host, Ordered, Peer, PeerGroup};
use crate::bgp::session::{self, RemoteAs, Session};
use crate::bgp::{NO_BGP, policy};
use crate::config::{Speaker, asn_fault};

/// Bytes of a TCP-MD5 key that the kernel takes (`TCP_MD5SIG_MAXKEYLEN`).
const LONGEST_PASSWORD: usize = 80;
/// Bytes of a text that goes with a shutdown (RFC 9003 section 2).
const LONGEST_SHUTDOWN: usize = 255;
/// Hops between a TTL of 255 and one of 1.
const MOST_HOPS: u8 = 254;
/// 24 bits of seconds (RFC 9494 section 3).
const LONGEST_LONG_LIVED: u32 = 0xff_ffff;

/// Where a fault is told: the field and the message.
type Tell<'a> = &'a mut dyn FnMut(&str, String);

/// The groups and the peers with their sessions. One with a fault may be missing.
pub(super) fn resolve(
    all: Ordered<'_>,
    host: &Host,
    faults: &mut Faults,
) -> (BTreeMap<String, PeerGroup>, BTreeMap<String, Peer>) {
    let Some(speaker) = &host.speaker else {
        refuse(all, faults);
        return Default::default();
    };
    let groups = resolve_groups(all, speaker, faults);
    let mut holders: BTreeMap<IpAddr, &str> = BTreeMap::new();
    let mut peers = BTreeMap::new();
    for peer in all.peers() {
        let mut tell = |field: &str, message: String| faults.add_at(Kind::Peer, &peer.name, field, message);
        if let Some(message) = address_fault(peer.address, host) {
            tell("address", message);
        }
        if let Some(holder) = holders.insert(peer.address, &peer.name) {
            let message = format!("{} is the address of peer/{holder}; keep one of the two", peer.address);
            tell("address", message);
        }
        check_fields(&peer.settings(), &mut tell);
        let group = peer.group.as_ref().and_then(|name| all.intent.peer_groups.get(name));
        let merged = peer.settings().or(group.map(resource::PeerGroup::settings).unwrap_or_default());
        let place = group.map(|group| format!(" (here or in peer-group/{})", group.name)).unwrap_or_default();
        check_together(&merged, &[peer.address], speaker, &mut |field, message| {
            tell(field, format!("{message}{place}"));
        });
        if merged.passive == Some(true)
            && merged.password.is_none()
            && let Some((range, holder)) = asked_for_password(&groups, peer.address)
        {
            let message = format!(
                "it only connects, and who connects from {range} of peer-group/{holder} needs a password: give it one, or let \
                 this host connect to it"
            );
            tell("passive", message);
        }
        if let Some(session) = Session::of(&merged, speaker) {
            peers.insert(peer.name.clone(), Peer { given: peer.clone(), session });
        }
    }
    (groups, peers)
}

/// The range and the group whose password is asked of who connects from `address`. The kernel asks it of a peer without
/// one, too.
fn asked_for_password(groups: &BTreeMap<String, PeerGroup>, address: IpAddr) -> Option<(IpNet, &str)> {
    let signed = groups.values().filter(|group| group.given.settings().password.is_some());
    let mut ranges =
        signed.flat_map(|group| group.given.ranges.iter().map(|range| (*range, group.given.name.as_str())));
    ranges.find(|(range, _)| range.contains(&address))
}

/// That a host without BGP has no resources for it.
fn refuse(all: Ordered<'_>, faults: &mut Faults) {
    for id in all.order.iter().filter(|id| matches!(id.kind, Kind::Peering | Kind::PeerGroup | Kind::Peer)) {
        let message =
            format!("{NO_BGP}; add one with its asn and restart weftd, or leave this {} out", id.kind);
        faults.add(id.kind, &id.name, message);
    }
}

fn resolve_groups(all: Ordered<'_>, speaker: &Speaker, faults: &mut Faults) -> BTreeMap<String, PeerGroup> {
    let mut holders: BTreeMap<IpNet, &str> = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for group in all.peer_groups() {
        let mut tell =
            |field: &str, message: String| faults.add_at(Kind::PeerGroup, &group.name, field, message);
        let settings = group.settings();
        check_fields(&settings, &mut tell);
        for (index, range) in group.ranges.iter().enumerate() {
            let field = format!("ranges[{index}]");
            if *range != range.trunc() {
                tell(&field, format!("{range} has host bits set; write {}", range.trunc()));
            } else if let Some(holder) = holders.insert(*range, &group.name) {
                // One that contains another is no question: the longest counts.
                let message =
                    format!("{range} is a range of peer-group/{holder} already; leave it out of one of them");
                tell(&field, message);
            }
        }
        let takes_peers = !group.ranges.is_empty();
        if takes_peers {
            let addresses: Vec<_> = group.ranges.iter().map(IpNet::addr).collect();
            check_together(&settings, &addresses, speaker, &mut tell);
        } else if group.max_peers.is_some() {
            let message = "max_peers is for peers that connect from ranges, and there are none; leave it out";
            tell("max_peers", message.to_owned());
        }
        let session = Session::of(&settings, speaker).filter(|_| takes_peers);
        groups.insert(group.name.clone(), PeerGroup { given: group.clone(), session });
    }
    groups
}

fn address_fault(address: IpAddr, host: &Host) -> Option<String> {
    if address == host.vtep.address() {
        return Some(format!(
            "{address} is this host's own VTEP; a peer is another host, so leave this one out here"
        ));
    }
    if address != address.to_canonical() {
        return Some(format!("{address} is an IPv4 address; write {}", address.to_canonical()));
    }
    let kind = match address {
        IpAddr::V4(address) if address.is_broadcast() => "the broadcast address",
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            "link-local, which is not enough to find it"
        }
        _ if address.is_unspecified() => "no address",
        _ if address.is_multicast() => "multicast",
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some(format!("{address} is {kind}; name a unicast address of the peer"))
}

/// What is wrong with single fields.
fn check_fields(settings: &PeerSettings, tell: Tell<'_>) {
    if let Some(PeerAs::Number(asn)) = settings.asn
        && let Some(message) = asn_fault(asn)
    {
        tell("asn", message.to_owned());
    }
    if let Some(address) = settings.local_address
        && (address.is_unspecified() || address.is_multicast())
    {
        tell(
            "local_address",
            format!("{address} is no address of a host; name one, or leave local_address out"),
        );
    }
    if let Some(message) = settings.password.as_ref().and_then(password_fault) {
        tell("password", message);
    }
    check_distance(settings, tell);
    check_times(settings, tell);
    for (index, family) in settings.families.iter().flatten().enumerate() {
        if settings.families.iter().flatten().take(index).any(|before| before == family) {
            tell(&format!("families[{index}]"), "this family is there twice; keep one".to_owned());
        }
    }
    if settings.families.as_ref().is_some_and(Vec::is_empty) {
        let message = "without families nothing is exchanged; name one, or leave families out for evpn";
        tell("families", message.to_owned());
    }
    if let Some(percent) = settings.max_routes.and_then(|max| max.warn_percent)
        && !(1..=100).contains(&percent)
    {
        tell("max_routes.warn_percent", format!("{percent} % of the limit is never reached; name 1 to 100"));
    }
    if let Some(Err(error)) = settings.bfd.map(session::timers) {
        tell("bfd", format!("{error}; choose others, or bfd: true for 300 ms and 3"));
    }
    for (field, rules) in [("import", &settings.import), ("export", &settings.export)] {
        policy::check(rules.as_deref().unwrap_or_default(), |below, message| {
            tell(&format!("{field}{below}"), message);
        });
    }
    if let Some(text) = settings.shutdown.as_ref().filter(|text| text.len() > LONGEST_SHUTDOWN) {
        let message = format!(
            "its text has {} bytes, and a peer is told at most {LONGEST_SHUTDOWN}; shorten it",
            text.len()
        );
        tell("shutdown", message);
    }
}

/// Says nothing of the password itself.
fn password_fault(password: &Secret) -> Option<String> {
    if password.is_mask() {
        return Some("this is what weft shows in place of a password, and none is stored; write the password itself, or \
                     leave it out"
            .to_owned());
    }
    let length = password.reveal().len();
    let range = 1..=LONGEST_PASSWORD;
    (!range.contains(&length))
        .then(|| format!("it has {length} bytes, and TCP-MD5 takes 1 to {LONGEST_PASSWORD}"))
}

fn check_distance(settings: &PeerSettings, tell: Tell<'_>) {
    if let Some(hops) = settings.ttl_security
        && !(1..=MOST_HOPS).contains(&hops)
    {
        tell(
            "ttl_security",
            format!("{hops} hops cannot be told by a TTL; name 1 (a direct neighbour) to {MOST_HOPS}"),
        );
    }
    if settings.multihop == Some(0) {
        tell("multihop", "packets with TTL 0 leave no host; name 1 to 255".to_owned());
    }
    if settings.ttl_security.is_some() && settings.multihop.is_some() {
        let message = "it excludes ttl_security, which sends with TTL 255; leave one of the two out";
        tell("multihop", message.to_owned());
    }
}

fn check_times(settings: &PeerSettings, tell: Tell<'_>) {
    if let Some(seconds @ (1 | 2)) = settings.hold_time_s {
        let message =
            format!("{seconds} s is too short (RFC 4271 section 4.2); name 0 (never) or 3 and more");
        tell("hold_time_s", message);
    }
    if let Some(seconds) = settings.long_lived_stale_time_s.filter(|seconds| *seconds > LONGEST_LONG_LIVED) {
        let message = format!("{seconds} s cannot be told to peers; name 0 to {LONGEST_LONG_LIVED}");
        tell("long_lived_stale_time_s", message);
    }
}

/// What is wrong with fields together, of which the group may have some.
fn check_together(settings: &PeerSettings, addresses: &[IpAddr], speaker: &Speaker, tell: Tell<'_>) {
    if let Some(local) = settings.local_address
        && let Some(address) = addresses.iter().find(|address| address.is_ipv4() != local.is_ipv4())
    {
        let message = format!("{local} is not of the family of {address}; name an address of that family");
        tell("local_address", message);
    }
    if let Some(local) = settings.local_address.filter(|local| addresses.contains(local)) {
        let message =
            format!("{local} is the peer's; name an address of this host, or leave local_address out");
        tell("local_address", message);
    }
    if settings.graceful_restart == Some(false) {
        let long_lived = settings.long_lived_stale_time_s.is_some_and(|seconds| seconds > 0);
        let fields =
            [("stale_time_s", settings.stale_time_s.is_some()), ("long_lived_stale_time_s", long_lived)];
        for (field, _) in fields.into_iter().filter(|(_, given)| *given) {
            let message =
                "nothing is kept without graceful_restart; leave it out, or set graceful_restart to true";
            tell(field, message.to_owned());
        }
    }
    let Some((asn, kind)) = session::remote_as(settings, speaker) else {
        let message = "its AS is missing; name its number, internal or external";
        tell("asn", message.to_owned());
        return;
    };
    match kind {
        PeerKind::External => {
            if settings.route_reflector_client == Some(true) {
                let theirs = match asn {
                    RemoteAs::Number(asn) => format!("it is of AS {asn}"),
                    RemoteAs::External => "it is of another".to_owned(),
                };
                let message = format!(
                    "routes are reflected within this host's AS {}, and {theirs}; leave route_reflector_client out",
                    speaker.asn
                );
                tell("route_reflector_client", message);
            }
        }
        PeerKind::Internal | PeerKind::Client => {
            let given = [("role", settings.role.is_some()), ("multihop", settings.multihop.is_some())];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                let message = format!(
                    "{field} is for external peers, and it is of this host's AS {}; leave {field} out",
                    speaker.asn
                );
                tell(field, message);
            }
        }
    }
}
