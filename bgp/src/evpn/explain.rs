//! Why an address or a prefix is where it is: everything that could have been used, and what became of it.

use weft_vxlan::Vtep;

use super::Instances;
use super::choose::{Candidate, Lost, Rank};
use super::forwarding::{Forwarding, Subject};
use super::learned::{Kind, Learned, Refusal};
use super::routes::Held;
use crate::peer::PeerId;
use crate::rib::Key;

/// One of those that have a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Who has it.
    pub source: Source,
    /// What became of that.
    pub verdict: Verdict,
    /// The VTEPs that it can be reached by; several if it is multihomed.
    pub members: Vec<Vtep>,
}

/// Who has a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A port of this host.
    Port(String),
    /// The network itself: a subnet or an own prefix.
    Own,
    /// A route.
    Route {
        /// Its key.
        key: Key,
        /// Whom it is from.
        from: PeerId,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is used.
    Used,
    /// Another one is better.
    Lost(Lost),
    /// None of its targets is imported by the instance.
    NotImported,
    /// No VTEP of its segment is attached (RFC 7432 section 8.2), or the address is a gateway of this host, or the
    /// prefix is this host's own.
    NotUsable,
    /// It cannot be used at all.
    Refused(Refusal),
}

impl Instances {
    /// Where packets to addresses and prefixes elsewhere go, each with whom that is from.
    pub fn learned_forwarding(&self) -> impl Iterator<Item = (Forwarding, Option<PeerId>)> {
        let subjects = self.forwarding.iter().filter_map(|(subject, target)| match subject {
            Subject::Host(..) | Subject::Prefix(..) => Some((*subject, target.clone())),
            Subject::Mac(..) | Subject::Flood(..) => None,
        });
        subjects.map(|(subject, target)| {
            let keys = self.candidates.get(&subject).into_iter().flatten();
            let ranked = keys.filter_map(|key| Some((self.candidate(&subject, key)?, key)));
            let used = ranked.filter(|(candidate, _)| candidate.target.vtep() == target.vtep());
            let from = used
                .min_by_key(|(candidate, _)| candidate.rank)
                .and_then(|(_, key)| Some(self.learned(key)?.from));
            (Forwarding::new(subject, Some(target)), from)
        })
    }

    /// Everything that has the subject, what is used first, then by source.
    #[must_use]
    pub fn explain(&self, subject: &Subject) -> Vec<Explained> {
        let best = self.best(subject);
        let port = self.explain_port(subject, best.as_ref().map(|best| &best.rank));
        let own = match (*subject, &port) {
            (Subject::Mac(..) | Subject::Host(..), Some((explained, rank))) => {
                (explained.verdict == Verdict::Used).then_some(*rank)
            }
            (Subject::Mac(..) | Subject::Host(..) | Subject::Prefix(..) | Subject::Flood(..), _) => None,
        };
        let mut all: Vec<_> = port.into_iter().map(|(explained, _)| explained).collect();
        if let Subject::Prefix(network, prefix) = *subject
            && self.is_own_prefix(network, prefix)
        {
            let members = vec![self.host.vtep];
            all.push(Explained { source: Source::Own, verdict: Verdict::Used, members });
        }
        let winner = own.or(best.as_ref().map(|best| best.rank));
        let best = best.filter(|_| own.is_none());
        let mut routes: Vec<_> = self
            .routes
            .iter()
            .filter(|(key, held)| is_about(subject, key, held))
            .map(|(key, held)| self.explain_route(subject, key, held, winner.as_ref(), best.as_ref()))
            .collect();
        routes.sort_by_cached_key(|explained| {
            (explained.verdict != Verdict::Used, explained.members.clone(), format!("{:?}", explained.source))
        });
        all.extend(routes);
        all.sort_by_key(|explained| explained.verdict != Verdict::Used);
        all
    }

    fn explain_port(&self, subject: &Subject, best: Option<&Rank>) -> Option<(Explained, Rank)> {
        let (name, has) = self.port_with(subject)?;
        let rank = self.own_rank(self.ports.get(&name)?);
        let verdict = match best {
            _ if has => Verdict::Used,
            Some(_) if self.moves.is_frozen(subject) => Verdict::Lost(Lost::Frozen),
            Some(best) => Verdict::Lost(rank.lost(best)),
            None => Verdict::NotUsable,
        };
        Some((Explained { source: Source::Port(name), verdict, members: vec![self.host.vtep] }, rank))
    }

    /// What became of a route where the rank `winner` won, which is that of `best` unless a port of this host has it.
    fn explain_route(
        &self,
        subject: &Subject,
        key: &Key,
        held: &Held,
        winner: Option<&Rank>,
        best: Option<&Candidate>,
    ) -> Explained {
        let (learned, subjects) = match held {
            Held::Used { learned, subjects } => (learned, subjects),
            Held::Refused { reason, from } => {
                let source = Source::Route { key: key.clone(), from: *from };
                return Explained { source, verdict: Verdict::Refused(*reason), members: vec![] };
            }
        };
        let source = Source::Route { key: key.clone(), from: learned.from };
        let members = self.explain_members(subject, learned);
        let candidate = self.candidate(subject, key);
        let verdict = match (subjects.contains(subject), candidate, winner) {
            (false, ..) => Verdict::NotImported,
            (true, None, _) => Verdict::NotUsable,
            (true, Some(candidate), Some(winner)) if candidate.rank == *winner => Verdict::Used,
            (true, Some(candidate), _) if best.is_some_and(|best| is_shared(&candidate, best)) => {
                Verdict::Used
            }
            (true, Some(_), Some(_)) if self.moves.is_frozen(subject) => Verdict::Lost(Lost::Frozen),
            (true, Some(candidate), Some(winner)) => Verdict::Lost(candidate.rank.lost(winner)),
            (true, Some(_), None) => Verdict::NotUsable,
        };
        Explained { source, verdict, members }
    }

    fn explain_members(&self, subject: &Subject, learned: &Learned) -> Vec<Vtep> {
        let mac = match &learned.kind {
            Kind::Mac(mac) => mac,
            Kind::Prefix(of) => {
                let others = of.others.iter().map(|path| path.vtep);
                return std::iter::once(learned.vtep).chain(others).collect();
            }
            Kind::Flood(_) | Kind::Segment(..) => return vec![learned.vtep],
        };
        let subnet = match subject {
            Subject::Mac(subnet, _) => Some(*subnet),
            Subject::Host(network, _) => self.resolved.imported_subnet(&learned.targets, *network),
            Subject::Prefix(..) | Subject::Flood(..) => None,
        };
        self.members(learned, mac, subnet).paths.into_iter().map(|to| to.vtep).collect()
    }
}

/// Whether packets are sent where the candidate leads as well as where the best one does.
fn is_shared(candidate: &Candidate, best: &Candidate) -> bool {
    let path = candidate.target.routed_path();
    candidate.shares_with(best) && path.is_none_or(|path| best.target.takes(&path))
}

/// Whether a route would be about the subject in an instance that imports it.
fn is_about(subject: &Subject, key: &Key, held: &Held) -> bool {
    match (subject, key) {
        (Subject::Mac(_, wanted), Key::MacIp { mac, .. }) => mac == wanted,
        (Subject::Host(_, wanted), Key::MacIp { ip, .. }) => *ip == Some(*wanted),
        (Subject::Prefix(_, wanted), Key::IpPrefix { prefix, .. }) => prefix == wanted,
        (Subject::Flood(_, wanted), Key::InclusiveMulticast { originator, .. }) => match held {
            Held::Used { learned, .. } => learned.vtep == *wanted,
            Held::Refused { .. } => *originator == wanted.address(),
        },
        (
            Subject::Mac(..) | Subject::Host(..) | Subject::Prefix(..) | Subject::Flood(..),
            Key::MacIp { .. }
            | Key::IpPrefix { .. }
            | Key::InclusiveMulticast { .. }
            | Key::EthernetAd { .. }
            | Key::EthernetSegment { .. }
            | Key::UnknownEvpn { .. }
            | Key::Ipv4(_)
            | Key::Ipv6(_)
            | Key::RouteTargets(_),
        ) => false,
    }
}
