//! A new configuration: what it changes is found here, and only that is done.

use std::collections::BTreeSet;
use std::time::Instant;

use weft_vxlan::Vni;

use super::config::{Config, ConfigError};
use super::forwarding::Subject;
use super::resolved::Resolved;
use super::routes::Held;
use super::{Instances, OwnKey};

impl Instances {
    /// The configuration from now on. Each route is looked at once if something changed.
    ///
    /// # Errors
    /// [`ConfigError`] if it contradicts itself; then everything stays as it was.
    pub fn set_config(&mut self, config: &Config, now: Instant) -> Result<(), ConfigError> {
        let resolved = Resolved::new(&self.host, config, &self.resolved)?;
        self.duplicates = config.duplicates;
        let changed = resolved.changed(&self.resolved);
        if changed.is_empty() && resolved == self.resolved {
            return Ok(());
        }
        self.resolved = resolved;
        let mut touched = self.sort_routes(&changed);
        let new = self.sort_ports(&mut touched);
        for port in new {
            let ips = self.ports.get(&port).map(|attached| attached.port.ips.clone()).unwrap_or_default();
            self.appear(&port, true, &ips, now);
        }
        self.settle(touched, now);
        self.refresh_all();
        Ok(())
    }

    /// Finds out anew what each route is about. Returns what that changes.
    fn sort_routes(&mut self, changed: &BTreeSet<Vni>) -> Vec<Subject> {
        let mut touched = Vec::new();
        let mut routes = std::mem::take(&mut self.routes);
        for (key, held) in &mut routes {
            let Held::Used { learned, subjects } = held else { continue };
            let after = self.subjects(key, learned);
            if **subjects != *after {
                touched.extend(&*subjects);
                touched.extend(&after);
                self.forget(key, subjects);
                self.remember(key, &after);
                *subjects = after.into();
            } else {
                touched.extend(subjects.iter().filter(|subject| changed.contains(&subject.instance())));
            }
        }
        self.routes = routes;
        touched
    }

    /// Finds the place of each port anew. Returns those that were nowhere before, or somewhere else.
    fn sort_ports(&mut self, touched: &mut Vec<Subject>) -> Vec<String> {
        let mut new = Vec::new();
        self.macs.clear();
        self.addresses.clear();
        for (name, mut attached) in std::mem::take(&mut self.ports) {
            touched.extend(attached.subjects());
            let place = self.place(&attached.port.subnet);
            if place != attached.place {
                (attached.place, attached.held, attached.sequence) = (place, true, 0);
                attached.lost.clear();
                new.push(name.clone());
            }
            touched.extend(attached.subjects());
            self.attach(&name, attached);
        }
        new
    }

    /// Announces everything as it is now. As one, because a distinguisher can change hands.
    fn refresh_all(&mut self) {
        let ports = self.ports.values().flat_map(|attached| &attached.announced);
        let subnets = self.announced_subnets.values().flatten();
        let prefixes = self.announced_prefixes.values().flatten();
        let before: BTreeSet<OwnKey> = ports.chain(subnets).chain(prefixes).copied().collect();
        let mut routes = Vec::new();
        for vni in self.resolved.subnets.keys() {
            routes.extend(self.multicast_route(*vni));
        }
        for attached in self.ports.values() {
            routes.extend(self.port_routes(attached));
        }
        for network in self.prefixes.keys() {
            routes.extend(self.prefix_routes(network));
        }
        self.announce(&before, routes);
        self.note_owners();
    }

    /// Notes whose route each announced one is.
    fn note_owners(&mut self) {
        let keys = |routes: Vec<(OwnKey, _)>| routes.into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>();
        let ports: Vec<_> = self
            .ports
            .iter()
            .map(|(name, attached)| (name.clone(), keys(self.port_routes(attached))))
            .collect();
        for (name, announced) in ports {
            if let Some(attached) = self.ports.get_mut(&name) {
                attached.announced = announced;
            }
        }
        let subnets = self.resolved.subnets.keys();
        self.announced_subnets =
            subnets.filter_map(|vni| Some((*vni, BTreeSet::from([self.multicast_route(*vni)?.0])))).collect();
        let networks = self.prefixes.keys();
        self.announced_prefixes = networks
            .map(|network| (network.clone(), keys(self.prefix_routes(network))))
            .filter(|(_, announced)| !announced.is_empty())
            .collect();
    }
}
