//! Settles where addresses are: the best route against the port of this host, if there is one. What changes is told to
//! the data plane, to the other hosts, and as events.

use std::time::Instant;

use weft_vxlan::Vtep;

use super::choose::{Candidate, Rank};
use super::forwarding::{Subject, Target};
use super::{Event, Instances};

impl Instances {
    /// Settles each of the subjects anew.
    pub(super) fn settle(&mut self, mut subjects: Vec<Subject>, now: Instant) {
        subjects.sort_unstable();
        subjects.dedup();
        for subject in &subjects {
            self.settle_one(*subject, now);
        }
        // Networks that see a port of this one have settled against what it had before.
        let elsewhere: Vec<_> = subjects.iter().flat_map(|subject| self.seen_elsewhere(subject)).collect();
        for subject in elsewhere {
            self.settle_one(subject, now);
        }
    }

    fn settle_one(&mut self, subject: Subject, now: Instant) {
        let best = self.best(&subject);
        let Some((port, had)) = self.port_with(&subject) else {
            let best = best.filter(|best| !self.is_seen_here(&subject, &best.rank));
            self.lead(subject, best);
            return;
        };
        let has = self.stays_here(&port, &subject, had, best.as_ref());
        if had && !has {
            self.note_loss(&port, subject, best.as_ref(), now);
        }
        self.lead(subject, best.filter(|_| !has));
        if had != has {
            self.set_held(&port, &subject, has);
            self.refresh_port(&port);
            self.settle_addresses(&port, &subject, now);
        }
    }

    /// The addresses of a MAC address that came or went: a port without its MAC address has none.
    fn settle_addresses(&mut self, port: &str, subject: &Subject, now: Instant) {
        let Some(attached) = self.ports.get(port).filter(|_| subject.subnet().is_some()) else { return };
        for address in attached.subjects().into_iter().filter(|of| of.subnet().is_none()) {
            self.settle_one(address, now);
            let elsewhere: Vec<_> = self.seen_elsewhere(&address).collect();
            elsewhere.into_iter().for_each(|address| self.settle_one(address, now));
        }
    }

    /// The port of this host with the address, and whether the address was here until now.
    pub(super) fn port_with(&self, subject: &Subject) -> Option<(String, bool)> {
        let name = match subject {
            Subject::Mac(subnet, mac) => self.macs.get(&(*subnet, *mac)),
            Subject::Host(network, ip) => self.addresses.get(&(*network, *ip)),
            Subject::Prefix(..) | Subject::Flood(..) => None,
        }?;
        let attached = self.ports.get(name)?;
        let had = match subject {
            Subject::Mac(..) => attached.held,
            Subject::Host(_, ip) => !attached.lost.contains(ip),
            Subject::Prefix(..) | Subject::Flood(..) => return None,
        };
        Some((name.clone(), had))
    }

    /// Whether the port keeps the address, or gets it back.
    fn stays_here(&self, port: &str, subject: &Subject, had: bool, best: Option<&Candidate>) -> bool {
        let Some(best) = best else { return true };
        let held = self.ports.get(port).is_none_or(|attached| attached.held);
        if subject.subnet().is_none() && !held {
            return false;
        }
        if self.moves.is_frozen(subject) {
            return had;
        }
        self.own_rank_of(port).is_none_or(|own| own < best.rank)
    }

    fn own_rank_of(&self, port: &str) -> Option<Rank> {
        self.ports.get(port).map(|attached| self.own_rank(attached))
    }

    fn set_held(&mut self, port: &str, subject: &Subject, has: bool) {
        let Some(attached) = self.ports.get_mut(port) else { return };
        match subject {
            Subject::Mac(..) => attached.held = has,
            Subject::Host(_, ip) if has => {
                attached.lost.remove(ip);
            }
            Subject::Host(_, ip) => {
                attached.lost.insert(*ip);
            }
            Subject::Prefix(..) | Subject::Flood(..) => {}
        }
    }

    /// Another host took the address over: a move, unless both had it from the start or it went along with its MAC.
    fn note_loss(&mut self, port: &str, subject: Subject, best: Option<&Candidate>, now: Instant) {
        let (Some(best), Some(attached)) = (best, self.ports.get(port)) else { return };
        let own_move = match subject {
            Subject::Mac(..) => true,
            Subject::Host(..) => best.mac != Some(attached.port.mac),
            Subject::Prefix(..) | Subject::Flood(..) => false,
        };
        if own_move && best.rank.sequence() > attached.sequence {
            self.note_move(subject, now);
        }
    }

    /// Counts a move. If that was one too many, the address stays where this move brings it.
    pub(super) fn note_move(&mut self, subject: Subject, now: Instant) {
        if let Some(until) = self.moves.note(subject, &self.duplicates, now) {
            self.events.push_back(Event::Duplicate { subject, until });
        }
    }

    /// Forwards to the candidate from now on.
    fn lead(&mut self, subject: Subject, best: Option<Candidate>) {
        let held = self.forwarding.get(&subject);
        let before = held.and_then(Target::vtep);
        let gateway = best.as_ref().is_some_and(|best| best.rank.is_gateway());
        let sequence = best.as_ref().map(|best| best.rank.sequence());
        let target = best.map(|best| best.target);
        let after = target.as_ref().and_then(Target::vtep);
        // Another VTEP of the same segment comes first.
        let stayed = after.is_some_and(|after| held.is_some_and(|held| held.leads_to(after)))
            || before.is_some_and(|before| target.as_ref().is_some_and(|target| target.leads_to(before)));
        self.forwarding.set(&subject, target);
        if let (Subject::Mac(..) | Subject::Host(..), false) = (subject, gateway || stayed) {
            self.tell_move(subject, before, after, sequence);
        }
    }

    fn tell_move(
        &mut self,
        subject: Subject,
        before: Option<Vtep>,
        after: Option<Vtep>,
        sequence: Option<u32>,
    ) {
        let own = self.port_with(&subject).map(|(port, _)| port);
        let here = own.is_some().then_some(self.host.vtep);
        let own_sequence = own.and_then(|port| self.ports.get(&port)).map_or(0, |attached| attached.sequence);
        let (Some(from), Some(to)) = (before.or(here), after.or(here)) else { return };
        if from != to {
            let sequence = sequence.filter(|_| after.is_some()).unwrap_or(own_sequence);
            self.events.push_back(Event::Moved { subject, from, to, sequence });
        }
    }
}
