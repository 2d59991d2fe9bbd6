//! What a speaker is asked, answered in the API's words. Pure: the task that owns the speaker calls it.

mod capabilities;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use weft_api::view::bgp::{
    BfdStatus, Explanation, MessageCounts, Messages, Neighbor, NotificationStatus, PeerState, PeerSummary,
    RestartPhase, RestartStatus, RibRoute, RouteCounts, Summary, Timers, Transport, Verdict,
};
use weft_api::view::{Route, RouteSource, Via};
use weft_bgp::bfd;
use weft_bgp::evpn::{self, Forwarding, RoutedPath, any_as_number};
use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Key, PathView, Tally};
use weft_bgp::session::{self, Expected, State};
use weft_bgp::speaker::{Neighbour, Speaker};
use weft_bgp::wire::{ExtendedCommunityValue, Family, Notification, RouteTarget};
use weft_vxlan::Vni;

use super::command::{BgpError, RibQuery, RibTable};
use super::plan::Plan;
use super::subject::{Place, Subject};
use super::words;
use crate::model::Model;

/// What answers are made of.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Who is asked.
    pub speaker: &'a Speaker,
    /// What it was told to do.
    pub plan: &'a Plan,
    /// The resources.
    pub model: &'a Model,
    /// How often a session was established with each peer.
    pub established: &'a BTreeMap<String, u64>,
    /// What BFD says.
    pub bfd: &'a [bfd::Status],
    /// The time.
    pub now: Instant,
}

impl Answers<'_> {
    /// The peers at a glance.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let tally = self.speaker.rib().tally();
        let peers = self.peers().into_iter().map(|(id, peer)| self.glance(peer, tally.get(&id)));
        let speaker = &self.plan.speaker;
        Summary { asn: speaker.asn, router_id: speaker.router_id.get(), peers: peers.collect() }
    }

    /// All about every peer.
    #[must_use]
    pub fn neighbors(&self) -> Vec<Neighbor> {
        let tally = self.speaker.rib().tally();
        self.peers().into_iter().map(|(id, peer)| self.all_about(id, peer, tally.get(&id))).collect()
    }

    /// All about one.
    ///
    /// # Errors
    /// [`BgpError::NoPeer`]
    pub fn neighbor(&self, name: &str) -> Result<Neighbor, BgpError> {
        let id = self.find(name)?;
        let peer = self.speaker.peers().get(&id).ok_or_else(|| BgpError::NoPeer(name.to_owned()))?;
        let tally = self.speaker.rib().tally();
        Ok(self.all_about(id, peer, tally.get(&id)))
    }

    /// Routes.
    ///
    /// # Errors
    /// [`BgpError::NoPeer`], [`BgpError::NoNetwork`]
    pub fn rib(&self, wanted: &RibQuery) -> Result<Vec<RibRoute>, BgpError> {
        let rib = self.speaker.rib();
        let imports = wanted.network.as_ref().map(|name| self.imports(name)).transpose()?;
        let (keys, only): (Vec<&Key>, _) = match &wanted.table {
            RibTable::Local => (rib.routes().map(|(key, _)| key).collect(), None),
            RibTable::In(name) => {
                let id = self.find(name)?;
                let mut keys: Vec<_> = rib.received(id).map(|(key, _)| key).collect();
                // Several paths of a route stand together.
                keys.dedup();
                (keys, Some(id))
            }
            RibTable::Out(name) => (rib.told(self.find(name)?).collect(), None),
        };
        let of_family =
            keys.into_iter().filter(|key| wanted.family.is_none_or(|family| key.family() == family));
        let routes = of_family.filter_map(|key| {
            let mut paths = rib.explain(key);
            if let Some(peer) = only {
                paths.retain(|path| path.path.peer == Some(peer));
            }
            if matches!(wanted.table, RibTable::Out(_)) {
                paths.retain(|path| path.lost.is_none());
            }
            if let Some(imports) = &imports {
                paths.retain(|path| imports.has(&path.path));
            }
            let paths = paths.iter().map(|path| words::path(&path.path, path.lost, |id| self.name(id)));
            Some(RibRoute {
                family: words::family(key.family()),
                route: words::route(key),
                paths: paths.collect(),
            })
            .filter(|route| !route.paths.is_empty())
        });
        let mut routes: Vec<_> = routes.collect();
        routes.sort_by(|one, other| (&one.family, &one.route).cmp(&(&other.family, &other.route)));
        Ok(routes)
    }

    /// Where packets to addresses and prefixes elsewhere go, in the order of the networks' names.
    #[must_use]
    pub fn forwarding(&self, network: Option<&str>) -> Vec<Route> {
        let names: BTreeMap<Vni, &str> =
            self.model.networks.iter().map(|(name, network)| (network.vni, name.as_str())).collect();
        let routes = self.speaker.instances().learned_forwarding().filter_map(|(to, from)| {
            let (vni, destination, via, others, mac, groups) = match to {
                Forwarding::Host { network, address, to: Some(to) } => {
                    let mac = to.neighbour.map(|neighbour| neighbour.mac);
                    let vni = to.routed.map(|routed| routed.vni).or(to.neighbour.map(|of| of.vni))?;
                    let via = Via::Vtep { vtep: to.vtep, vni };
                    let groups = super::groups::groups(&to.groups).iter().map(|group| group.0).collect();
                    (network, IpNet::from(address), via, to.others, mac, groups)
                }
                Forwarding::Prefix { network, prefix, to: Some(to) } => {
                    (network, prefix, via(&to.first), to.others, None, Vec::new())
                }
                Forwarding::Host { to: None, .. }
                | Forwarding::Prefix { to: None, .. }
                | Forwarding::Mac { .. }
                | Forwarding::Flood { .. } => return None,
            };
            let name = *names.get(&vni)?;
            let source = RouteSource::Peer(from.map(|peer| self.name(peer)).unwrap_or_default());
            let network = name.to_owned();
            let others = others.iter().map(self::via).collect();
            Some(Route { network, destination, source, via, others, mac, groups })
        });
        routes.filter(|route| network.is_none_or(|network| route.network == network)).collect()
    }

    /// Why something is where it is.
    ///
    /// # Errors
    /// [`BgpError::NoNetwork`]
    pub fn explain(&self, subject: Subject, network: Option<&str>) -> Result<Vec<Explanation>, BgpError> {
        if let Some(name) = network.filter(|name| !self.model.networks.contains_key(*name)) {
            return Err(BgpError::NoNetwork(name.to_owned()));
        }
        let mut all = Vec::new();
        for place in subject.places(self.model, network) {
            let own = self.explain_place(subject.to_string(), &place);
            let nobody = own.candidates.is_empty();
            all.push(own);
            if let (true, evpn::Subject::Host(vni, address)) = (nobody, place.subject) {
                all.extend(self.explain_prefixes(vni, address, &place));
            }
        }
        if network.is_none() {
            all.retain(|explanation| !explanation.candidates.is_empty());
            // Routes of other tenants are not imported, and that is no news; unless it is all that there is.
            let is_news = |one: &Explanation| {
                one.candidates.iter().any(|candidate| candidate.verdict != Verdict::NotImported)
            };
            if all.iter().any(is_news) {
                all.retain(is_news);
            }
        }
        Ok(all)
    }

    /// The number of a peer.
    fn find(&self, name: &str) -> Result<PeerId, BgpError> {
        self.speaker.find(name).ok_or_else(|| BgpError::NoPeer(name.to_owned()))
    }

    /// The name of a peer; of one that has gone, and whose routes stay, its number.
    fn name(&self, id: PeerId) -> String {
        let peer = self.speaker.peers().get(&id);
        peer.map_or_else(|| format!("(gone peer {})", id.0), |peer| peer.name.clone())
    }

    /// Those that resources name, then others; both by name.
    fn peers(&self) -> Vec<(PeerId, &Neighbour)> {
        let mut peers: Vec<_> = self.speaker.peers().iter().map(|(id, peer)| (*id, peer)).collect();
        peers.sort_by(|(_, one), (_, other)| (&one.group, &one.name).cmp(&(&other.group, &other.name)));
        peers
    }

    fn glance(&self, peer: &Neighbour, tally: Option<&BTreeMap<Family, Tally>>) -> PeerSummary {
        let session = peer.session();
        let config = session.config();
        let given = self.model.peers.get(&peer.name).map(|peer| &peer.given);
        let asn = match (session.established(), config.expected) {
            (Some(established), _) => Some(established.asn),
            (None, Expected::Asn(asn)) => Some(asn),
            (None, Expected::Internal) => Some(config.asn),
            (None, Expected::External) => None,
        };
        let counts = |tally: &Tally| RouteCounts {
            received: count(tally.received),
            accepted: count(tally.accepted),
            sent: count(tally.told),
        };
        let mut routes: BTreeMap<_, _> = tally
            .into_iter()
            .flatten()
            .map(|(family, tally)| (words::family(*family), counts(tally)))
            .collect();
        for family in session.established().into_iter().flat_map(|established| &established.families) {
            routes.entry(words::family(*family)).or_default();
        }
        PeerSummary {
            name: peer.name.clone(),
            address: peer.config().path.remote.ip(),
            group: peer.group.clone().or_else(|| given.and_then(|given| given.group.clone())),
            dynamic: peer.group.is_some(),
            asn,
            state: if config.shutdown.is_some() { PeerState::Shutdown } else { state(session.state()) },
            since_seconds: self.ago(session.since()),
            routes,
            last_error: session.last_end().map(|end| end.reason.clone()),
        }
    }

    fn all_about(&self, id: PeerId, peer: &Neighbour, tally: Option<&BTreeMap<Family, Tally>>) -> Neighbor {
        let session = peer.session();
        let (config, established) = (session.config(), session.established());
        let given = self.model.peers.get(&peer.name).map(|peer| &peer.given);
        let (received, sent) = session.messages();
        let end = session.last_notification();
        let notification = |notification: Option<&Notification>| {
            let (told, end) = notification.zip(end)?;
            let (code, subcode, text) = (told.code.0, told.subcode, told.to_string());
            Some(NotificationStatus { code, subcode, text, seconds_ago: self.ago(end.at) })
        };
        Neighbor {
            summary: self.glance(peer, tally),
            description: given.and_then(|given| given.description.clone()),
            relation: words::relation(established.map_or_else(|| kind(config), |agreed| agreed.kind)),
            router_id: established.map(|agreed| agreed.router_id.get()),
            established_count: self.established.get(&peer.name).copied().unwrap_or_default(),
            transport: established.map(|agreed| Transport {
                local: agreed.local,
                remote: agreed.remote,
                accepted: agreed.remote.port() != peer.config().path.remote.port(),
                signed: peer.config().path.password.is_some(),
            }),
            capabilities: capabilities::list(config, established),
            timers: Timers {
                hold_configured: config.hold_time.into(),
                hold_negotiated: established.map(|agreed| agreed.hold_time.as_secs()),
                keepalive: established.map(|agreed| agreed.hold_time.as_secs() / 3),
                connect_retry: config.longest_retry.as_secs(),
                next_attempt: session.next_attempt().map(|at| self.until(at)),
            },
            messages: Messages { received: messages(received), sent: messages(sent) },
            faulty_updates: session.faulty(),
            notification_sent: notification(end.and_then(|end| end.sent.as_ref())),
            notification_received: notification(end.and_then(|end| end.received.as_ref())),
            bfd: self.bfd_of(peer),
            restart: self.restart_of(id, established.is_some(), tally),
        }
    }

    fn bfd_of(&self, peer: &Neighbour) -> Option<BfdStatus> {
        let remote = peer.config().path.remote.ip();
        let sessions = self.bfd.iter().filter(|status| status.peer.remote == remote);
        // More than one may be offered; one comes up.
        let status = sessions.max_by_key(|status| status.state == bfd::State::Up)?;
        let state = match status.state {
            bfd::State::AdminDown => "admin-down",
            bfd::State::Down => "down",
            bfd::State::Init => "init",
            bfd::State::Up => "up",
        };
        Some(BfdStatus {
            state: state.to_owned(),
            transmit_ms: milliseconds(status.transmit_interval),
            detect_ms: milliseconds(status.detection_time),
            diagnostic: (status.diagnostic != bfd::Diagnostic::None).then(|| status.diagnostic.to_string()),
        })
    }

    fn restart_of(
        &self,
        id: PeerId,
        is_back: bool,
        tally: Option<&BTreeMap<Family, Tally>>,
    ) -> Option<RestartStatus> {
        let kept = self.speaker.rib().kept(id)?;
        let phase = match (is_back, kept.long_lived) {
            (true, _) => RestartPhase::Returning,
            (false, true) => RestartPhase::LongLived,
            (false, false) => RestartPhase::Away,
        };
        let stale = tally.into_iter().flatten().filter(|(_, tally)| tally.stale > 0);
        let stale = stale.map(|(family, tally)| (words::family(*family), count(tally.stale)));
        Some(RestartStatus { phase, stale: stale.collect(), remaining_seconds: self.until(kept.until) })
    }

    fn explain_place(&self, subject: String, place: &Place) -> Explanation {
        let found = self.speaker.instances().explain(&place.subject);
        let candidates = found.iter().map(|one| words::candidate(one, |id| self.name(id)));
        Explanation {
            subject,
            network: place.network.clone(),
            subnet: place.subnet.clone(),
            candidates: candidates.collect(),
        }
    }

    /// The prefixes that contain an address and that something has, the longest first.
    fn explain_prefixes(&self, vni: Vni, address: IpAddr, place: &Place) -> Vec<Explanation> {
        let routes = self.speaker.rib().routes().filter_map(|(key, _)| match key {
            Key::IpPrefix { prefix, .. } => Some(*prefix),
            Key::EthernetAd { .. }
            | Key::MacIp { .. }
            | Key::InclusiveMulticast { .. }
            | Key::EthernetSegment { .. }
            | Key::UnknownEvpn { .. }
            | Key::Ipv4(_)
            | Key::Ipv6(_)
            | Key::RouteTargets(_) => None,
        });
        let of_network = self.model.subnets.values().filter(|subnet| subnet.network == place.network);
        let own = of_network.flat_map(crate::model::Subnet::prefixes);
        let around: BTreeSet<IpNet> = routes.chain(own).filter(|prefix| prefix.contains(&address)).collect();
        let mut around: Vec<_> = around.into_iter().collect();
        around.sort_by_key(|prefix| Reverse(prefix.prefix_len()));
        let places = around.into_iter().map(|prefix| {
            let subject = evpn::Subject::Prefix(vni, prefix);
            self.explain_place(prefix.to_string(), &Place { subject, ..place.clone() })
        });
        places.filter(|explanation| !explanation.candidates.is_empty()).collect()
    }

    fn imports(&self, network: &str) -> Result<Imports, BgpError> {
        let (asn, instances) = (self.plan.speaker.asn, &self.plan.instances);
        let mut imports = Imports::default();
        let of = instances.networks.iter().find(|of| of.name == network);
        let of = of.ok_or_else(|| BgpError::NoNetwork(network.to_owned()))?;
        imports.add(of.import.resolve(asn, of.vni), of.import_any_as.then_some(of.vni));
        for of in instances.subnets.iter().filter(|of| of.network == network) {
            imports.add(of.import.resolve(asn, of.vni), of.import_any_as.then_some(of.vni));
        }
        Ok(imports)
    }

    fn ago(&self, at: Instant) -> u64 {
        self.now.saturating_duration_since(at).as_secs()
    }

    fn until(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.now).as_secs()
    }
}

/// What a network and its subnets import.
#[derive(Debug, Default)]
struct Imports {
    targets: BTreeSet<RouteTarget>,
    any_as: BTreeSet<Vni>,
}

impl Imports {
    fn add(&mut self, targets: BTreeSet<RouteTarget>, any_as: Option<Vni>) {
        self.targets.extend(targets);
        self.any_as.extend(any_as);
    }

    fn has(&self, path: &PathView) -> bool {
        path.shared.attributes.extended_communities.iter().any(|community| {
            let ExtendedCommunityValue::RouteTarget(target) = community.value() else { return false };
            self.targets.contains(&target)
                || any_as_number(target).is_some_and(|vni| self.any_as.contains(&vni))
        })
    }
}

/// What a peer will be that has not told its AS.
fn kind(config: &session::Config) -> PeerKind {
    match config.expected {
        Expected::Asn(asn) if asn != config.asn => PeerKind::External,
        Expected::External => PeerKind::External,
        Expected::Asn(_) | Expected::Internal if config.client => PeerKind::Client,
        Expected::Asn(_) | Expected::Internal => PeerKind::Internal,
    }
}

const fn state(state: State) -> PeerState {
    match state {
        State::Idle => PeerState::Idle,
        State::Connect => PeerState::Connect,
        State::Active => PeerState::Active,
        State::OpenSent => PeerState::OpenSent,
        State::OpenConfirm => PeerState::OpenConfirm,
        State::Established => PeerState::Established,
    }
}

const fn messages(of: &session::Messages) -> MessageCounts {
    MessageCounts {
        open: of.open,
        update: of.update,
        notification: of.notification,
        keepalive: of.keepalive,
        route_refresh: of.route_refresh,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn via(path: &RoutedPath) -> Via {
    Via::Vtep { vtep: path.vtep, vni: path.routed.vni }
}

#[cfg(test)]
mod tests;
