//! Ports and prefixes of this host, and what happens when they appear: an address that is known elsewhere is taken over
//! with a higher sequence (RFC 7432 section 15, RFC 9135 section 7).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni};

use super::forwarding::Subject;
use super::own::OwnKey;
use super::{Event, Instances};
use crate::wire::GroupCommunity;

/// A port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPort {
    /// Name of its subnet. The port waits while there is none of the name.
    pub subnet: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses.
    pub ips: BTreeSet<IpAddr>,
    /// Its security groups.
    pub groups: BTreeSet<GroupCommunity>,
    /// Whether its addresses never move (RFC 7432 section 15.2).
    pub sticky: bool,
}

/// Why a port cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not a host's MAC address.
    #[error("{0} is no host's MAC address")]
    Mac(MacAddr),
    /// Another port of the subnet has it.
    #[error("MAC address {mac} is that of port {port:?} in the same subnet")]
    MacTaken {
        /// The address.
        mac: MacAddr,
        /// The other port.
        port: String,
    },
    /// Another port of the subnet has it.
    #[error("address {address} is that of port {port:?} in the same subnet")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The other port.
        port: String,
    },
}

/// A port, and what became of it.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) port: LocalPort,
    pub(super) place: Option<Place>,
    /// The mobility sequence of its MAC address, and so of its addresses.
    pub(super) sequence: u32,
    /// Whether its MAC address is here, not on another host that took it over.
    pub(super) held: bool,
    /// Those of its addresses that are elsewhere.
    pub(super) lost: BTreeSet<IpAddr>,
    pub(super) announced: BTreeSet<OwnKey>,
}

/// Where a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) subnet: Vni,
    pub(super) network: Vni,
}

impl Attached {
    /// What it has.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let Some(place) = self.place else { return Vec::new() };
        let addresses = self.port.ips.iter().map(|ip| Subject::Host(place.network, *ip));
        std::iter::once(Subject::Mac(place.subnet, self.port.mac)).chain(addresses).collect()
    }
}

impl Instances {
    /// Adds a port, or changes it. A port that is already so stays as it is; one with a new address takes that over from
    /// whoever has it.
    ///
    /// # Errors
    /// [`PortError`] if its MAC address can be no host's, or it shares an address with another port of its subnet.
    pub fn set_port(&mut self, name: &str, port: LocalPort, now: Instant) -> Result<(), PortError> {
        self.check_port(name, &port)?;
        let mut new: BTreeSet<_> = port.ips.clone();
        let (mut sequence, mut moved, mut announced, mut touched) = (0, true, BTreeSet::new(), Vec::new());
        let (mut held, mut lost) = (true, BTreeSet::new());
        if let Some(before) = self.ports.get(name) {
            if before.port == port {
                return Ok(());
            }
            touched = before.subjects();
            announced = before.announced.clone();
            if before.port.mac == port.mac && before.port.subnet == port.subnet {
                (sequence, moved, held, lost) = (before.sequence, false, before.held, before.lost.clone());
                new = port.ips.difference(&before.port.ips).copied().collect();
            }
            self.detach(name);
        }
        lost.retain(|ip| port.ips.contains(ip));
        let place = self.place(&port.subnet);
        let attached = Attached { port, place, sequence, held, lost, announced };
        self.attach(name, attached);
        self.appear(name, moved, &new, now);
        touched.extend(self.ports.get(name).into_iter().flat_map(Attached::subjects));
        let subnets: BTreeSet<_> = touched.iter().filter_map(Subject::subnet).collect();
        for subnet in subnets {
            self.refresh_subnet(subnet);
        }
        self.settle(touched, now);
        self.refresh_port(name);
        Ok(())
    }

    /// Removes a port.
    pub fn remove_port(&mut self, name: &str, now: Instant) {
        self.detach(name);
        let Some(attached) = self.ports.remove(name) else { return };
        self.announce(&attached.announced, []);
        self.settle(attached.subjects(), now);
        if let Some(place) = attached.place {
            self.refresh_subnet(place.subnet);
        }
    }

    /// The prefixes of a network that are behind this host, all of them.
    pub fn set_prefixes(&mut self, network: &str, prefixes: impl IntoIterator<Item = IpNet>, now: Instant) {
        let prefixes: BTreeSet<_> = prefixes.into_iter().map(|prefix| prefix.trunc()).collect();
        let before = if prefixes.is_empty() {
            self.prefixes.remove(network)
        } else {
            self.prefixes.insert(network.to_owned(), prefixes.clone())
        }
        .unwrap_or_default();
        let held = self.announced_prefixes.remove(network).unwrap_or_default();
        let announced = self.announce(&held, self.prefix_routes(network));
        self.announced_prefixes.insert(network.to_owned(), announced);
        self.announced_prefixes.retain(|_, announced| !announced.is_empty());
        if let Some(vni) = self.resolved.network(network) {
            let changed = before.symmetric_difference(&prefixes).map(|prefix| Subject::Prefix(vni, *prefix));
            self.settle(changed.collect(), now);
        }
    }

    fn check_port(&self, name: &str, port: &LocalPort) -> Result<(), PortError> {
        if !port.mac.is_unicast() {
            return Err(PortError::Mac(port.mac));
        }
        let same_subnet =
            self.ports.iter().filter(|(other, held)| *other != name && held.port.subnet == port.subnet);
        for (other, held) in same_subnet {
            if held.port.mac == port.mac {
                return Err(PortError::MacTaken { mac: port.mac, port: other.clone() });
            }
            if let Some(address) = held.port.ips.intersection(&port.ips).next() {
                return Err(PortError::AddressTaken { address: *address, port: other.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn place(&self, subnet: &str) -> Option<Place> {
        let subnet = self.resolved.subnet(subnet)?;
        let network = self.resolved.subnets.get(&subnet)?.network;
        Some(Place { subnet, network })
    }

    pub(super) fn attach(&mut self, name: &str, attached: Attached) {
        if let Some(place) = attached.place {
            self.macs.insert((place.subnet, attached.port.mac), name.to_owned());
            for ip in &attached.port.ips {
                self.addresses.insert((place.network, *ip), name.to_owned());
            }
        }
        self.ports.insert(name.to_owned(), attached);
    }

    /// Takes the port out of the tables of addresses.
    fn detach(&mut self, name: &str) {
        let Some(attached) = self.ports.get(name) else { return };
        if let Some(place) = attached.place {
            self.macs.remove(&(place.subnet, attached.port.mac));
            for ip in &attached.port.ips {
                let key = (place.network, *ip);
                // A port of another subnet can have it too, if somebody lets subnets overlap.
                if self.addresses.get(&key).is_some_and(|holder| holder == name) {
                    self.addresses.remove(&key);
                }
            }
        }
    }

    /// The port is new, or has new addresses: they are here now, whoever had them before. Its sequence gets higher than
    /// those of the others' routes. That does not happen to sticky addresses and those that moved too often.
    pub(super) fn appear(&mut self, name: &str, moved: bool, new: &BTreeSet<IpAddr>, now: Instant) {
        let Some((attached, place)) = self.ports.get(name).and_then(|held| Some((held, held.place?))) else {
            return;
        };
        let (mac, sticky) = (attached.port.mac, attached.port.sticky);
        let mut subjects = Vec::new();
        if moved {
            subjects.push(Subject::Mac(place.subnet, mac));
        }
        subjects.extend(new.iter().map(|ip| Subject::Host(place.network, *ip)));
        let mut sequence = attached.sequence;
        let mut held = attached.held;
        for subject in subjects {
            let Some(best) = self.best(&subject).filter(|best| !best.rank.is_gateway()) else { continue };
            let of_mac = matches!(subject, Subject::Mac(..));
            // An address that comes along with its MAC address does not move on its own.
            let other_mac = best.mac != Some(mac);
            if !best.rank.is_own_network() || !(of_mac || other_mac) {
                continue;
            }
            if self.moves.is_frozen(&subject) {
                held &= !of_mac;
            } else if best.rank.is_sticky() && !sticky {
                let vtep = best.target.vtep().unwrap_or(self.host.vtep);
                self.events.push_back(Event::Sticky { subject, vtep });
            } else {
                sequence = sequence.max(best.rank.sequence().saturating_add(1));
                self.note_move(subject, now);
            }
        }
        if let Some(attached) = self.ports.get_mut(name) {
            (attached.sequence, attached.held) = (sequence, held);
        }
    }

    /// Announces what the port has now.
    pub(super) fn refresh_port(&mut self, name: &str) {
        let Some(attached) = self.ports.get(name) else { return };
        let (before, routes) = (attached.announced.clone(), self.port_routes(attached));
        let announced = self.announce(&before, routes);
        if let Some(attached) = self.ports.get_mut(name) {
            attached.announced = announced;
        }
    }

    /// Announces a subnet if there are ports in it.
    pub(super) fn refresh_subnet(&mut self, vni: Vni) {
        let before = self.announced_subnets.remove(&vni).unwrap_or_default();
        let announced = self.announce(&before, self.multicast_route(vni));
        if !announced.is_empty() {
            self.announced_subnets.insert(vni, announced);
        }
    }
}
