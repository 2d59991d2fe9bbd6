//! What the engine tells about the host: status, routes and counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use weft_api::kind::Kind;
use weft_api::view::{
    ChecksumStatus, Counters, NextHopStatus, PortPhase, PortStatus, Route, Status, TableStatus, Traffic,
    VtepStatus, Xdp, XdpStatus,
};
use weft_dataplane::{
    Failure, NextHopState, PortState, Report, TableFill, VtepState, XdpMode, XdpState, desired,
};
use weft_dataplane_abi::{DropReason, PortCounters};
use weft_vxlan::Vtep;

use super::{Engine, EngineError};
use crate::intent::reference;
use crate::model::Port;
use crate::routes::routes;
use crate::self_test::address;

/// What the last reconciliation found.
#[derive(Debug)]
pub(super) struct Observed {
    /// When it ended.
    at: Instant,
    ports: BTreeMap<String, PortState>,
    vteps: BTreeMap<Vtep, VtepState>,
    tables: Vec<TableFill>,
    xdp: Vec<XdpState>,
    failures: Vec<String>,
    /// Why a port is not as desired, by its name.
    reasons: BTreeMap<String, String>,
}

impl Observed {
    /// Before the first one.
    pub(super) fn nothing(now: Instant) -> Self {
        Self {
            at: now,
            ports: BTreeMap::new(),
            vteps: BTreeMap::new(),
            tables: Vec::new(),
            xdp: Vec::new(),
            failures: Vec::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// Takes over what a report tells. One of routes alone adds to what was known.
    pub(super) fn take(&mut self, now: Instant, report: &Report) {
        if report.is_whole {
            *self = Self {
                ports: report.ports.clone(),
                vteps: report.vteps.clone(),
                xdp: report.xdp.clone(),
                ..Self::nothing(now)
            };
        }
        self.tables.clone_from(&report.tables);
        for failure in &report.failures {
            let told = failure.to_string();
            if !self.failures.contains(&told) {
                self.failures.push(told);
            }
            if let Some(port) = &failure.port {
                self.reasons.insert(port.clone(), failure.cause.clone());
            }
        }
    }
}

impl Observed {
    /// The way to a VTEP, as it was last seen.
    pub(super) fn vtep(&self, vtep: Vtep) -> Option<&VtepState> {
        self.vteps.get(&vtep)
    }

    /// Whether a port is in the kernel.
    pub(super) fn has_port(&self, name: &str) -> bool {
        self.ports.contains_key(name)
    }

    /// The next hops were looked at alone.
    pub(super) fn handle_next_hops(&mut self, report: Report) {
        self.vteps.extend(report.vteps);
    }

    /// The failures that are new: an attempt that fails as the one before is no news.
    pub(super) fn news<'a>(&self, report: &'a Report) -> Vec<&'a Failure> {
        let known: BTreeSet<_> = self.failures.iter().collect();
        report.failures.iter().filter(|failure| !known.contains(&failure.to_string())).collect()
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }
}

impl Engine {
    pub(super) fn status(&self) -> Status {
        let counts = [
            (Kind::Network, self.intent.networks.len()),
            (Kind::Subnet, self.intent.subnets.len()),
            (Kind::Port, self.intent.ports.len()),
            (Kind::Remote, self.intent.remotes.len()),
            (Kind::Peering, self.intent.peerings.len()),
            (Kind::SecurityGroup, self.intent.security_groups.len()),
            (Kind::PeerGroup, self.intent.peer_groups.len()),
            (Kind::Peer, self.intent.peers.len()),
        ];
        let checksums = self.checksums();
        Status {
            host: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            abi: weft_dataplane_abi::ABI_VERSION,
            hook: self.dataplane.hook().to_string(),
            uptime_seconds: self.started.elapsed().as_secs(),
            underlay: self.host.underlay.clone(),
            vtep: self.host.vtep,
            router_mac: self.host.router_mac,
            revision: self.revision,
            resources: counts.map(|(kind, count)| (kind.plural().to_owned(), count)).into(),
            ports: self.model.ports.iter().map(|(name, port)| self.port_status(name, port)).collect(),
            vteps: self.vteps().into_iter().map(|vtep| self.vtep_status(vtep, &checksums)).collect(),
            self_test: Some(self.self_test_status()),
            tables: self.observed.tables.iter().map(table_status).collect(),
            xdp: self.observed.xdp.iter().map(xdp_status).collect(),
            checked_seconds_ago: self.observed.at.elapsed().as_secs(),
            failures: self.observed.failures.clone(),
        }
    }

    fn port_status(&self, name: &str, port: &Port) -> PortStatus {
        let observed = self.observed.ports.get(name).filter(|_| port.attachment.is_some());
        let failure = self.observed.reasons.get(name);
        let (state, reason) = match (&port.attachment, failure, observed) {
            (None, _, _) => (PortPhase::Detached, None),
            (Some(_), None, Some(_)) => (PortPhase::Up, None),
            (Some(_), Some(cause), _) => (PortPhase::Failed, Some(cause.clone())),
            (Some(_), None, None) => {
                (PortPhase::Failed, Some("the kernel does not have it; weftd's log says more".to_owned()))
            }
        };
        let network =
            self.model.subnets.get(&port.subnet).map(|subnet| subnet.network.as_str()).unwrap_or_default();
        let tenant =
            self.model.networks.get(network).map(|network| network.tenant.as_str()).unwrap_or_default();
        PortStatus {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            network: network.to_owned(),
            subnet: port.subnet.clone(),
            mac: port.mac,
            addresses: port.addresses().collect(),
            state,
            device: observed.map(|state| state.device.clone()),
            reason,
        }
    }

    /// Other hosts: those given by hand, and those that routes lead to.
    fn vteps(&self) -> BTreeSet<Vtep> {
        let given = self.model.remotes.values().map(|remote| remote.vtep);
        given
            .chain(self.host.learned_vteps.iter().copied())
            .chain(self.observed.vteps.keys().copied())
            .collect()
    }

    fn vtep_status(&self, vtep: Vtep, checksums: &BTreeMap<Vtep, ChecksumStatus>) -> VtepStatus {
        let state = self.observed.vteps.get(&vtep);
        VtepStatus {
            vtep,
            next_hops: state.into_iter().flat_map(|state| &state.next_hops).map(next_hop).collect(),
            mtu: state.map(|state| state.mtu),
            checksums: checksums.get(&vtep).cloned(),
        }
    }

    pub(super) fn routes(&self, network: Option<&str>) -> Result<Vec<Route>, EngineError> {
        match network {
            Some(name) if !self.model.networks.contains_key(name) => {
                Err(EngineError::Missing(reference(Kind::Network, name)))
            }
            network => Ok(routes(&self.model, network)),
        }
    }

    pub(super) fn counters(&self) -> Result<Vec<Counters>, EngineError> {
        let counters = self.dataplane.counters()?;
        // What the self-test sends is nobody's traffic.
        let tenants = counters.into_iter().filter(|(port, _)| port != address::PORT);
        Ok(tenants.map(|(port, counters)| view(port, &counters)).collect())
    }
}

fn next_hop(state: &NextHopState) -> NextHopStatus {
    NextHopStatus { device: state.device.clone(), mac: state.mac }
}

fn table_status(fill: &TableFill) -> TableStatus {
    TableStatus { name: fill.map.to_owned(), entries: fill.entries, capacity: fill.capacity }
}

fn xdp_status(state: &XdpState) -> XdpStatus {
    let effective = match state.effective {
        XdpMode::Off => Xdp::Off,
        XdpMode::Guard => Xdp::Guard,
        XdpMode::Forward => Xdp::Forward,
    };
    let configured = match state.configured {
        desired::Xdp::Auto => Xdp::Auto,
        desired::Xdp::Off => Xdp::Off,
        desired::Xdp::Guard => Xdp::Guard,
        desired::Xdp::Forward => Xdp::Forward,
    };
    let native = effective != Xdp::Off;
    XdpStatus { device: state.device.clone(), configured, effective, native, reason: state.reason.clone() }
}

fn view(port: String, counters: &PortCounters) -> Counters {
    let traffic =
        |traffic: weft_dataplane_abi::Traffic| Traffic { packets: traffic.packets, bytes: traffic.bytes };
    let drops =
        DropReason::ALL.iter().map(|reason| (reason.name().to_owned(), counters.drops[reason.index()]));
    Counters {
        port,
        from_port: traffic(counters.from_port),
        to_port: traffic(counters.to_port),
        drops: drops.filter(|(_, count)| *count > 0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: &str) -> Failure {
        Failure { object: "port web".into(), port: Some("web".into()), cause: cause.into() }
    }

    #[test]
    fn the_same_failure_is_no_news() {
        let mut report =
            Report { is_whole: true, failures: vec![failure("no such namespace")], ..Report::default() };
        let mut observed = Observed::nothing(Instant::now());
        assert_eq!((observed.has_failures(), observed.news(&report).len()), (false, 1));
        observed.take(Instant::now(), &report);
        assert_eq!((observed.has_failures(), observed.news(&report).len()), (true, 0));
        report.failures.push(failure("another cause"));
        let causes: Vec<_> = observed.news(&report).iter().map(|failure| failure.cause.as_str()).collect();
        assert_eq!(causes, ["another cause"]);
    }

    #[test]
    fn a_change_of_routes_takes_nothing_back() {
        let whole =
            Report { is_whole: true, failures: vec![failure("no such namespace")], ..Report::default() };
        let routes = Report { failures: vec![failure("no memory")], ..Report::default() };
        let mut observed = Observed::nothing(Instant::now());
        for report in [&whole, &Report::default(), &routes, &routes] {
            observed.take(Instant::now(), report);
        }
        assert_eq!(observed.failures, ["port web: no such namespace", "port web: no memory"]);
        observed.take(Instant::now(), &Report { is_whole: true, ..Report::default() });
        assert!(!observed.has_failures());
    }
}
