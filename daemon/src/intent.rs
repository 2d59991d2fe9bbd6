//! All resources as they are stored: by kind and name, not yet checked against each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Network, Peer, PeerGroup, Peering, Port, Remote, Resource, SecurityGroup, Subnet};

/// What a resource of this kind and name is called.
#[must_use]
pub fn reference(kind: Kind, name: &str) -> Reference {
    Reference { kind, name: name.to_owned() }
}

/// Resources by kind and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    /// Networks.
    pub networks: BTreeMap<String, Network>,
    /// Security groups: each can have many rules, and most stay as they are.
    pub security_groups: BTreeMap<String, Arc<SecurityGroup>>,
    /// Subnets.
    pub subnets: BTreeMap<String, Subnet>,
    /// Ports.
    pub ports: BTreeMap<String, Port>,
    /// Remotes.
    pub remotes: BTreeMap<String, Remote>,
    /// Peerings.
    pub peerings: BTreeMap<String, Peering>,
    /// Peer groups.
    pub peer_groups: BTreeMap<String, PeerGroup>,
    /// Peers.
    pub peers: BTreeMap<String, Peer>,
}

impl Intent {
    /// Adds a resource or replaces the one of its name.
    pub fn insert(&mut self, resource: Resource) {
        match resource {
            Resource::Network(network) => drop(self.networks.insert(network.name.clone(), network)),
            Resource::SecurityGroup(group) => {
                drop(self.security_groups.insert(group.name.clone(), Arc::new(group)));
            }
            Resource::Subnet(subnet) => drop(self.subnets.insert(subnet.name.clone(), subnet)),
            Resource::Port(port) => drop(self.ports.insert(port.name.clone(), port)),
            Resource::Remote(remote) => drop(self.remotes.insert(remote.name.clone(), remote)),
            Resource::Peering(peering) => drop(self.peerings.insert(peering.name.clone(), peering)),
            Resource::PeerGroup(group) => drop(self.peer_groups.insert(group.name.clone(), *group)),
            Resource::Peer(peer) => drop(self.peers.insert(peer.name.clone(), *peer)),
        }
    }

    /// Takes a resource out.
    pub fn remove(&mut self, id: &Reference) {
        match id.kind {
            Kind::Network => drop(self.networks.remove(&id.name)),
            Kind::SecurityGroup => drop(self.security_groups.remove(&id.name)),
            Kind::Subnet => drop(self.subnets.remove(&id.name)),
            Kind::Port => drop(self.ports.remove(&id.name)),
            Kind::Remote => drop(self.remotes.remove(&id.name)),
            Kind::Peering => drop(self.peerings.remove(&id.name)),
            Kind::PeerGroup => drop(self.peer_groups.remove(&id.name)),
            Kind::Peer => drop(self.peers.remove(&id.name)),
        }
    }

    /// A resource by its name.
    #[must_use]
    pub fn get(&self, id: &Reference) -> Option<Resource> {
        match id.kind {
            Kind::Network => self.networks.get(&id.name).cloned().map(Resource::Network),
            Kind::SecurityGroup => {
                let group = self.security_groups.get(&id.name)?;
                Some(Resource::SecurityGroup(SecurityGroup::clone(group)))
            }
            Kind::Subnet => self.subnets.get(&id.name).cloned().map(Resource::Subnet),
            Kind::Port => self.ports.get(&id.name).cloned().map(Resource::Port),
            Kind::Remote => self.remotes.get(&id.name).cloned().map(Resource::Remote),
            Kind::Peering => self.peerings.get(&id.name).cloned().map(Resource::Peering),
            Kind::PeerGroup => {
                self.peer_groups.get(&id.name).cloned().map(|group| Resource::PeerGroup(Box::new(group)))
            }
            Kind::Peer => self.peers.get(&id.name).cloned().map(|peer| Resource::Peer(Box::new(peer))),
        }
    }

    /// Whether both have the same resource, or none, of this name.
    #[must_use]
    pub fn agrees(&self, other: &Self, id: &Reference) -> bool {
        match id.kind {
            Kind::Network => self.networks.get(&id.name) == other.networks.get(&id.name),
            Kind::SecurityGroup => self.security_groups.get(&id.name) == other.security_groups.get(&id.name),
            Kind::Subnet => self.subnets.get(&id.name) == other.subnets.get(&id.name),
            Kind::Port => self.ports.get(&id.name) == other.ports.get(&id.name),
            Kind::Remote => self.remotes.get(&id.name) == other.remotes.get(&id.name),
            Kind::Peering => self.peerings.get(&id.name) == other.peerings.get(&id.name),
            Kind::PeerGroup => self.peer_groups.get(&id.name) == other.peer_groups.get(&id.name),
            Kind::Peer => self.peers.get(&id.name) == other.peers.get(&id.name),
        }
    }

    /// Whether there is a resource of this name.
    #[must_use]
    pub fn contains(&self, id: &Reference) -> bool {
        match id.kind {
            Kind::Network => self.networks.contains_key(&id.name),
            Kind::SecurityGroup => self.security_groups.contains_key(&id.name),
            Kind::Subnet => self.subnets.contains_key(&id.name),
            Kind::Port => self.ports.contains_key(&id.name),
            Kind::Remote => self.remotes.contains_key(&id.name),
            Kind::Peering => self.peerings.contains_key(&id.name),
            Kind::PeerGroup => self.peer_groups.contains_key(&id.name),
            Kind::Peer => self.peers.contains_key(&id.name),
        }
    }

    /// The names of all resources, in the order of their kinds.
    pub fn ids(&self) -> impl Iterator<Item = Reference> {
        let networks = self.networks.keys().map(|name| reference(Kind::Network, name));
        let security = self.security_groups.keys().map(|name| reference(Kind::SecurityGroup, name));
        let subnets = self.subnets.keys().map(|name| reference(Kind::Subnet, name));
        let ports = self.ports.keys().map(|name| reference(Kind::Port, name));
        let remotes = self.remotes.keys().map(|name| reference(Kind::Remote, name));
        let peerings = self.peerings.keys().map(|name| reference(Kind::Peering, name));
        let groups = self.peer_groups.keys().map(|name| reference(Kind::PeerGroup, name));
        let peers = self.peers.keys().map(|name| reference(Kind::Peer, name));
        networks
            .chain(security)
            .chain(subnets)
            .chain(ports)
            .chain(remotes)
            .chain(peerings)
            .chain(groups)
            .chain(peers)
    }

    /// The resources that refer to `id`.
    #[must_use]
    pub fn dependants(&self, id: &Reference) -> Vec<Reference> {
        let remotes = |refers: &dyn Fn(&Remote) -> bool| {
            let referring = self.remotes.values().filter(|remote| refers(remote));
            referring.map(|remote| reference(Kind::Remote, &remote.name)).collect::<Vec<_>>()
        };
        match id.kind {
            Kind::Network => {
                let subnets = self.subnets.values().filter(|subnet| subnet.network == id.name);
                subnets
                    .map(|subnet| reference(Kind::Subnet, &subnet.name))
                    .chain(remotes(&|remote| remote.prefixes.iter().any(|prefix| prefix.network == id.name)))
                    .chain(self.peerings_of(&id.name))
                    .collect()
            }
            Kind::Subnet => {
                let ports = self.ports.values().filter(|port| port.subnet == id.name);
                ports
                    .map(|port| reference(Kind::Port, &port.name))
                    .chain(remotes(&|remote| {
                        remote.subnets.contains(&id.name)
                            || remote.addresses.iter().any(|address| address.subnet == id.name)
                    }))
                    .collect()
            }
            Kind::SecurityGroup => {
                let members = self.ports.values().filter(|port| port.security_groups.contains(&id.name));
                let names = |group: &&Arc<SecurityGroup>| {
                    group.name != id.name
                        && group.rules.iter().any(|rule| rule.group.as_ref() == Some(&id.name))
                };
                let groups = self.security_groups.values().filter(names);
                members
                    .map(|port| reference(Kind::Port, &port.name))
                    .chain(groups.map(|group| reference(Kind::SecurityGroup, &group.name)))
                    .collect()
            }
            Kind::PeerGroup => {
                let peers = self.peers.values().filter(|peer| peer.group.as_ref() == Some(&id.name));
                peers.map(|peer| reference(Kind::Peer, &peer.name)).collect()
            }
            Kind::Port | Kind::Remote | Kind::Peering | Kind::Peer => Vec::new(),
        }
    }

    fn peerings_of(&self, network: &String) -> impl Iterator<Item = Reference> {
        let peerings = self.peerings.values().filter(move |peering| peering.networks.contains(network));
        peerings.map(|peering| reference(Kind::Peering, &peering.name))
    }
}

impl FromIterator<Resource> for Intent {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut intent = Self::default();
        resources.into_iter().for_each(|resource| intent.insert(resource));
        intent
    }
}
