//! The map entries that are wanted for this host's own things. Those for routes are [`RouteTables`](super::RouteTables).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use weft_dataplane_abi::{
    AllowedPair, Endpoint, FloodKey, FloodMember, Gateways, HostConfig, HostRoute, IpKey, Limits, MacKey,
    NextHop, PortSecurity, Rate, Scope, Underlay, VniEntry, VtepAddr, VtepEntry, peer_key, port_flags,
};
use weft_vxlan::Vni;

use super::NextHops;
use crate::bpf::PrefixKey;
use crate::desired::{self, Desired, Host, Port, Subnet};

/// What the maps should hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) host: HostConfig,
    pub(crate) endpoints: BTreeMap<u32, Endpoint>,
    /// Gateways and ports: besides those of routes.
    pub(crate) hosts: BTreeMap<IpKey, HostRoute>,
    /// Ports: besides those of routes.
    pub(crate) fdb: BTreeMap<MacKey, NextHop>,
    /// What ports may send from besides their own.
    pub(crate) pairs: BTreeMap<PrefixKey, AllowedPair>,
    pub(crate) vnis: BTreeMap<u32, VniEntry>,
    pub(crate) vteps: BTreeMap<VtepAddr, VtepEntry>,
    /// Filled in from what was observed.
    pub(crate) underlays: BTreeMap<u32, Underlay>,
    /// Planned by [`Flood`](super::Flood).
    pub(crate) flood: BTreeMap<FloodKey, FloodMember>,
}

/// Where a port's host end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalPort {
    pub(crate) ifindex: u32,
    pub(crate) slot: u32,
}

/// What a port may send and receive, and by which number others know the groups that it is a member of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) security: PortSecurity,
    pub(crate) identity: u32,
}

impl Guard {
    /// Nothing is let through.
    const CLOSED: Self = Self {
        security: PortSecurity { ingress: 0, egress: 0, tenant: 0, flags: port_flags::FIREWALL },
        identity: 0,
    };
}

impl Tables {
    /// The entries for `desired`, with the ports that have a host end, what guards them, by interface index, the vxlan
    /// device's index, or 0 if there is none, the next hops, and who gets copies of what is for a whole subnet.
    pub(crate) fn plan(
        desired: &Desired,
        ports: &BTreeMap<&str, LocalPort>,
        guards: &BTreeMap<u32, Guard>,
        vxlan: u32,
        next_hops: &NextHops,
        flood: BTreeMap<FloodKey, FloodMember>,
    ) -> Self {
        let host = &desired.host;
        let mut tables = Self {
            host: host_config(host, vxlan),
            endpoints: BTreeMap::new(),
            hosts: BTreeMap::new(),
            fdb: BTreeMap::new(),
            pairs: BTreeMap::new(),
            vnis: BTreeMap::new(),
            underlays: BTreeMap::new(),
            vteps: next_hops.entries().map(|(vtep, entry)| (VtepAddr::new(vtep), entry)).collect(),
            flood,
        };
        for network in desired.networks.keys() {
            tables.vnis.insert(network.get(), VniEntry::network_itself(*network));
        }
        for (vni, subnet) in &desired.subnets {
            tables.subnet(*vni, subnet, desired);
        }
        for (name, port) in &desired.ports {
            if let (Some(local), Some(subnet)) = (ports.get(name.as_str()), desired.subnets.get(&port.subnet))
            {
                let ipv4 = subnet.ipv4.map(|(_, gateway)| gateway);
                let ipv6 = subnet.ipv6.map(|(_, gateway)| gateway);
                let gateways = Gateways::new(ipv4, ipv6, host.gateway_mac);
                let guard = guards.get(&local.ifindex).unwrap_or(&Guard::CLOSED);
                tables.port((*local, *guard), port, subnet.network, gateways);
            }
        }
        tables.see_others(desired);
        tables
    }

    /// What networks see of each other is routed, however the addresses are reached at home.
    fn see_others(&mut self, desired: &Desired) {
        let seen: BTreeSet<u32> =
            desired.networks.values().flat_map(|network| &network.sees).map(|vni| vni.get()).collect();
        let mut at_home: BTreeMap<u32, Vec<(IpAddr, HostRoute)>> = BTreeMap::new();
        for (key, route) in self.hosts.iter().filter(|(key, _)| seen.contains(&key.network())) {
            let addresses = at_home.entry(key.network()).or_default();
            addresses.extend(key.address().map(|address| (address, *route)));
        }
        for (vni, network) in &desired.networks {
            let scope = Scope::of(*vni);
            for (address, route) in network.sees.iter().filter_map(|seen| at_home.get(&seen.get())).flatten()
            {
                let routed = HostRoute::routed(scope, route.next_hop().within(scope));
                let routed = routed.with_identity(scope, route.identity());
                self.hosts.entry(IpKey::new(*vni, *address)).or_insert(routed);
            }
        }
    }

    fn subnet(&mut self, vni: Vni, subnet: &Subnet, desired: &Desired) {
        let network = subnet.network;
        self.vnis.insert(vni.get(), VniEntry::subnet(vni, network));
        self.vnis.insert(network.get(), VniEntry::network_itself(network));
        let mac = desired.host.gateway_mac;
        let scope = Scope::of(network);
        let route = HostRoute::new(scope, NextHop::gateway(scope, mac), vni, mac);
        let v4 = subnet.ipv4.map(|(_, gateway)| IpAddr::from(gateway));
        let v6 = subnet.ipv6.map(|(_, gateway)| IpAddr::from(gateway));
        for gateway in v4.into_iter().chain(v6) {
            self.hosts.insert(IpKey::new(network, gateway), route);
        }
    }

    fn port(&mut self, (local, guard): (LocalPort, Guard), port: &Port, network: Vni, gateways: Gateways) {
        let LocalPort { ifindex, slot } = local;
        let Port { subnet, mac, ipv4, ipv6, .. } = port;
        let endpoint = Endpoint::new(ifindex, network, *subnet, slot, *mac, (*ipv4, *ipv6), gateways);
        let endpoint = endpoint.with_security(ifindex, guard.security);
        self.endpoints.insert(ifindex, endpoint);
        let way = |scope| {
            let way = NextHop::local(scope, ifindex, slot, *mac);
            if endpoint.has(port_flags::FIREWALL) { way.firewalled(scope) } else { way }
        };
        let switched = Scope::of(*subnet);
        self.fdb.insert(MacKey::new(*subnet, *mac), way(switched).of_member(switched, guard.identity));
        let scope = Scope::of(network);
        let route = HostRoute::new(scope, way(scope), *subnet, *mac).with_identity(scope, guard.identity);
        for address in ipv4.map(IpAddr::from).into_iter().chain(ipv6.map(IpAddr::from)) {
            self.hosts.insert(IpKey::new(network, address), route);
        }
        for (prefix, mac) in &port.security.pairs {
            let bits = IpKey::SCOPE_BITS + u32::from(prefix.prefix_len());
            let key = PrefixKey { bits, address: peer_key(ifindex, prefix.network()) };
            self.pairs.insert(key, AllowedPair::new(ifindex, *mac));
        }
    }
}

fn host_config(host: &Host, vxlan: u32) -> HostConfig {
    let desired::Limits { floods, icmp_errors, drop_events } = host.limits;
    let limits = Limits {
        floods: Rate::per_second(floods),
        icmp_errors: Rate::per_second(icmp_errors),
        drop_events: Rate::per_second(drop_events),
    };
    HostConfig::new(host.vtep, host.udp_port, vxlan, host.router_mac, host.gateway_mac, limits)
        .with_flows(host.flows)
}

#[cfg(test)]
#[path = "tables/tests.rs"]
mod tests;
