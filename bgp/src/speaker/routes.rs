//! Routes on their way: from the RIB to the instances, from these back, and out to the peers.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Event, Output, Speaker};
use crate::evpn::{Config, ConfigError, LearnedPath, LocalPort, Origination, PortError, RouteChange};
use crate::rib::{Key, PathView, Wanted};
use crate::session::ConnectionId;
use crate::wire::{AsPath, Attributes, Origin, Route};

/// Changes of best paths that are handed on in one go.
const SLICE: usize = 4096;

impl Speaker {
    /// The EVPN instances from now on.
    ///
    /// # Errors
    /// [`ConfigError`] if they contradict themselves; then everything stays as it was.
    pub fn set_instances(&mut self, config: &Config, now: Instant) -> Result<(), ConfigError> {
        self.instances.set_config(config, now)?;
        self.learns |= !config.networks.is_empty() || !config.subnets.is_empty();
        self.tell_wanted();
        self.pump(now);
        Ok(())
    }

    /// Adds a port of this host, or changes it.
    ///
    /// # Errors
    /// As [`crate::evpn::Instances::set_port`].
    pub fn set_port(&mut self, name: &str, port: LocalPort, now: Instant) -> Result<(), PortError> {
        self.instances.set_port(name, port, now)?;
        self.pump(now);
        Ok(())
    }

    /// Removes a port.
    pub fn remove_port(&mut self, name: &str, now: Instant) {
        self.instances.remove_port(name, now);
        self.pump(now);
    }

    /// The prefixes of a network that are behind this host, all of them.
    pub fn set_prefixes(&mut self, network: &str, prefixes: impl IntoIterator<Item = IpNet>, now: Instant) {
        self.instances.set_prefixes(network, prefixes, now);
        self.pump(now);
    }

    /// The addresses of this host that peers of IPv4 and IPv6 unicast are told, all of them: routes that lead to this
    /// host (RFC 4271 section 9.4).
    pub fn set_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Instant) {
        let addresses: BTreeSet<_> = addresses.into_iter().collect();
        let before = std::mem::replace(&mut self.addresses, addresses);
        for gone in before.difference(&self.addresses) {
            self.rib.withdraw(&Key::split(host_route(*gone)).0);
        }
        for new in self.addresses.difference(&before) {
            let attributes = Attributes {
                origin: Some(Origin::Igp),
                as_path: Some(AsPath::default()),
                ..Attributes::default()
            };
            self.rib.originate(host_route(*new), attributes, None);
        }
        self.pump(now);
    }

    /// Appends UPDATEs for a connection to `out`, of about `budget` bytes. Whether there is more to send.
    pub fn poll_transmit(
        &mut self,
        connection: ConnectionId,
        budget: usize,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&connection.peer) else { return false };
        let standing = peer.session.established().map(|established| established.connection);
        if standing != Some(connection) {
            return false;
        }
        let start = out.len();
        let more = self.rib.poll_transmit(connection.peer, budget, out);
        if let Some(sent) = out.get(start..).filter(|sent| !sent.is_empty()) {
            peer.session.handle_transmitted(sent, now);
        }
        more
    }

    /// Tells the peers which routes are of use here.
    pub(super) fn tell_wanted(&mut self) {
        let mut groups = self.neighbours.groups.values();
        let reflects = self.peers.values().any(|peer| peer.config.session.client)
            || groups.any(|group| group.template.session.client);
        let wanted = if reflects { Wanted::All } else { self.instances.route_targets() };
        self.rib.set_wanted(&wanted);
    }

    /// Hands on what is ready, until nothing is.
    pub(super) fn pump(&mut self, now: Instant) {
        loop {
            let mut moved = false;
            while let Some(origination) = self.instances.poll_originate() {
                self.originate(origination);
                moved = true;
            }
            for _ in 0..SLICE {
                // A reflector without instances never begins to read what changes: that would be held for nothing.
                let change = if self.learns { self.rib.poll_change() } else { None };
                let Some((key, best)) = change else { break };
                moved = true;
                self.learn(&key, &best, now);
            }
            if !moved {
                break;
            }
        }
        while let Some(event) = self.instances.poll_event() {
            self.outputs.push_back(Output::Event(Event::Evpn(event)));
        }
    }

    fn originate(&mut self, origination: Origination) {
        match origination {
            Origination::Announce { route, attributes, next_hop } => {
                self.rib.originate(Route::Evpn(route), *attributes, Some(next_hop));
            }
            Origination::Withdraw(route) => self.rib.withdraw(&Key::split(Route::Evpn(route)).0),
        }
    }

    /// A route has other best paths. An own EVPN route is of no use to the instances: it came from them.
    fn learn(&mut self, key: &Key, best: &[PathView], now: Instant) {
        let path = best.first();
        let payload = path.map(|path| path.payload.clone()).unwrap_or_default();
        let route = match key.route(&payload) {
            Route::Evpn(route) => route,
            Route::Ipv4(prefix) => return self.learn_unicast(prefix.into(), best),
            Route::Ipv6(prefix) => return self.learn_unicast(prefix.into(), best),
            Route::RouteTargets(_) => return,
        };
        let others = best.get(1..).unwrap_or_default().iter().filter_map(|path| {
            let Route::Evpn(route) = key.route(&path.payload) else { return None };
            Some((route, learned_path(path)?))
        });
        let others = others.collect();
        let best = path.and_then(learned_path);
        self.instances.handle_route(RouteChange { route, best, others }, now);
    }

    /// What leads to this host itself leads nowhere else.
    fn learn_unicast(&mut self, prefix: IpNet, best: &[PathView]) {
        let Some(unicast) = &mut self.unicast else { return };
        let own = best.iter().any(|path| path.peer.is_none());
        let mut next_hops: Vec<_> = best.iter().map(|path| path.shared.next_hop.address()).collect();
        next_hops.sort_unstable();
        next_hops.dedup();
        unicast.set(&prefix, (!own && !next_hops.is_empty()).then_some(next_hops));
    }
}

/// A path as the instances see it; `None` of an own one.
fn learned_path(path: &PathView) -> Option<LearnedPath<'_>> {
    let from = path.peer?;
    let attributes = Cow::Borrowed(&path.shared.attributes);
    let (next_hop, long_lived_stale) = (path.shared.next_hop, path.long_lived);
    Some(LearnedPath { attributes, next_hop, from, long_lived_stale })
}

fn host_route(address: IpAddr) -> Route {
    match address {
        IpAddr::V4(address) => Route::Ipv4(Ipv4Net::from(address)),
        IpAddr::V6(address) => Route::Ipv6(Ipv6Net::from(address)),
    }
}
