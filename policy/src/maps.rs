//! The kernel's maps, plainly: what changes make of them, and what the programs look up in them.

use std::net::IpAddr;

use hashbrown::HashMap;
use ipnet::IpNet;

use crate::{
    Action, Candidate, Change, ClassId, Family, Identity, Packet, RuleNumber, Service, ServiceKey,
    ServicePrefix, Size, Tables,
};

/// The maps of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    default: Action,
    peers: HashMap<IpNet, ClassId>,
    identities: HashMap<Identity, ClassId>,
    services: HashMap<ServiceKey, Candidate>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of it.
    pub action: Action,
    /// Whether the next packet of the flow is judged anew.
    pub stateless: bool,
    /// The rule that says so; none if it is the default.
    pub rule: Option<RuleNumber>,
}

impl Maps {
    /// The maps that hold `tables`.
    #[must_use]
    pub fn of(tables: &Tables) -> Self {
        let mut maps = Self {
            default: tables.policy().default_action(),
            peers: HashMap::new(),
            identities: HashMap::new(),
            services: HashMap::new(),
        };
        tables.entries().for_each(|entry| maps.apply(entry));
        maps
    }

    /// Makes one change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::SetDefault(action) => self.default = action,
            Change::SetService(key, best) => drop(self.services.insert(key, best)),
            Change::RemoveService(key) => drop(self.services.remove(&key)),
            Change::SetPeer(prefix, class) => drop(self.peers.insert(prefix, class)),
            Change::RemovePeer(prefix) => drop(self.peers.remove(&prefix)),
            Change::SetIdentity(identity, class) => drop(self.identities.insert(identity, class)),
            Change::RemoveIdentity(identity) => drop(self.identities.remove(&identity)),
            Change::Wait => {}
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { peers: self.peers.len(), identities: self.identities.len(), services: self.services.len() }
    }

    /// Looks a packet up as the programs do. They know no groups, but the peer's `identity`.
    #[must_use]
    pub fn look_up(&self, packet: &Packet<'_>, identity: Option<Identity>) -> Verdict {
        let (by_address, by_identity) = self.classes(packet, identity);
        let classes = [Some(ClassId::any(Family::of(packet.peer))), by_address, by_identity];
        let best = classes.into_iter().flatten().map(|class| self.best(class, packet)).min();
        self.verdict(best.unwrap_or(Candidate::NONE))
    }

    /// What the best of all candidates says, or else the default.
    #[must_use]
    pub fn verdict(&self, best: Candidate) -> Verdict {
        match best.action() {
            Some(action) => Verdict { action, stateless: best.stateless(), rule: best.rule() },
            None => Verdict { action: self.default, stateless: false, rule: None },
        }
    }

    /// The classes of a packet by its peer's address and by its identity, besides that of its family: each is one more
    /// service to look up.
    #[must_use]
    pub fn classes(
        &self,
        packet: &Packet<'_>,
        identity: Option<Identity>,
    ) -> (Option<ClassId>, Option<ClassId>) {
        let by_identity = identity.and_then(|identity| self.identities.get(&identity).copied());
        (self.class_of(packet.peer), by_identity)
    }

    /// What a packet finds in a class: the entry of the longest prefix that its service is in. A packet without a service
    /// looks up the class alone: the key has 32 bits, where others have 56.
    #[must_use]
    pub fn best(&self, class: ClassId, packet: &Packet<'_>) -> Candidate {
        let prefixes = (0..=Service::BITS).rev();
        let found = match packet.service() {
            Some(service) => prefixes
                .map(|len| ServicePrefix::containing(service, len))
                .find_map(|prefix| self.services.get(&ServiceKey { class, prefix }).copied()),
            None => self.services.get(&ServiceKey { class, prefix: ServicePrefix::ALL }).copied(),
        };
        found.unwrap_or(Candidate::NONE)
    }

    /// The class of the longest prefix that an address is in.
    fn class_of(&self, peer: IpAddr) -> Option<ClassId> {
        let longest = IpNet::from(peer);
        let mut prefixes = std::iter::successors(Some(longest), IpNet::supernet);
        prefixes.find_map(|prefix| self.peers.get(&prefix).copied())
    }
}
