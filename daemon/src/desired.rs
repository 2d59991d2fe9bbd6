//! From the model to what this host's kernel should do. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use weft_bgp::evpn::Subject;
use weft_dataplane::desired::{
    self, Desired, Host, Neighbour, Network, Paths, Port, RemoteHost, RouteDelta, Security, Subnet, Update,
};
use weft_policy::GroupSet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::model::{self, Model};
use crate::self_test::address;

/// What turns the kernel of one model into that of another. Where nothing but routes to other hosts differs, it is these
/// alone; where nothing differs, all is looked at again.
#[must_use]
pub fn update(before: &Model, after: &Model, host: &model::Host) -> Update {
    let routes = delta(before, after, host);
    let local_after = local(after, host);
    let only_routes = routes != RouteDelta::default() && local_after == local(before, host);
    Update { local: (!only_routes).then(|| Box::new(local_after)), routes }
}

/// What has the ways tested to the VTEPs that a host learned of, which was `before`; `None` if they are the same.
#[must_use]
pub fn test_others(model: &Model, before: &model::Host, host: &model::Host) -> Option<Update> {
    if before.learned_vteps == host.learned_vteps {
        return None;
    }
    let tested = |host: &model::Host| {
        let mut found = Found::default();
        if tests_itself(model, host) {
            others(model, host)
                .into_iter()
                .for_each(|vtep| found.add_self_test(vtep, vtep.default_router_mac()));
        }
        found.hosts
    };
    let routes = RouteDelta { hosts: changes(tested(before), tested(host)), ..RouteDelta::default() };
    let routes = without_static(routes, model, host);
    let local_after = local(model, host);
    Some(Update { local: (local_after != local(model, before)).then(|| Box::new(local_after)), routes })
}

/// The VTEPs of other hosts, however they are known.
fn others(model: &Model, host: &model::Host) -> BTreeSet<Vtep> {
    model.remotes.values().map(|remote| remote.vtep).chain(host.learned_vteps.iter().copied()).collect()
}

/// What the kernel should do, but for the routes to other hosts. Ports that are not attached are intent only.
fn local(model: &Model, host: &model::Host) -> Desired {
    let others = others(model, host);
    let mut desired = Desired {
        host: Host {
            underlay: host.underlay.clone(),
            vtep: host.vtep,
            udp_port: host.udp_port,
            router_mac: host.router_mac,
            gateway_mac: host.gateway_mac,
            limits: host.limits,
            flows: host.flows,
            xdp: host.xdp,
            software_checksums: host.software_checksums.intersection(&others).copied().collect(),
        },
        subnets: subnets(model),
        networks: networks(model),
        ports: ports(model),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
        remote_macs: BTreeMap::new(),
    };
    if let Some(netns) = host.self_test_netns.as_ref().filter(|_| tests_itself(model, host)) {
        add_self_test(&mut desired, netns);
    }
    desired
}

/// Whether this host takes part in the self-test. Without others there is nothing to test.
fn tests_itself(model: &Model, host: &model::Host) -> bool {
    let alone = model.remotes.is_empty() && host.learned_vteps.is_empty();
    host.self_test_netns.is_some() && model.no_self_test_for.is_none() && !alone
}

/// This host's part in the self-test's network.
fn add_self_test(desired: &mut Desired, netns: &Path) {
    let vtep = desired.host.vtep;
    let name = address::PORT.to_owned();
    desired.networks.insert(address::NETWORK, Network { name: name.clone(), sees: Vec::new() });
    let ipv6 = Some(address::subnet(vtep));
    let subnet = Subnet { name: name.clone(), network: address::NETWORK, ipv4: None, ipv6 };
    desired.subnets.insert(address::SUBNET, subnet);
    let port = Port {
        subnet: address::SUBNET,
        mac: address::mac(vtep),
        ipv4: None,
        ipv6: Some(address::address(vtep)),
        netns: netns.to_owned(),
        device: address::DEVICE.to_owned(),
        tenant: String::new(),
        security: Security::open(),
    };
    desired.ports.insert(name, port);
}

/// The routes that differ. A remote that is the same, between networks that are the same, is not looked into.
fn delta(before: &Model, after: &Model, host: &model::Host) -> RouteDelta {
    let self_test = |model: &Model| tests_itself(model, host);
    let same_numbers = before.networks == after.networks
        && before.subnets == after.subnets
        && self_test(before) == self_test(after);
    let differs = |name: &String, one: &model::Remote, other: &Model| {
        !same_numbers || other.remotes.get(name) != Some(one)
    };
    let (mut old, mut new) = (Found::default(), Found::default());
    for (_, remote) in before.remotes.iter().filter(|(name, remote)| differs(name, remote, after)) {
        old.add_remote(remote, before, self_test(before));
    }
    for (_, remote) in after.remotes.iter().filter(|(name, remote)| differs(name, remote, before)) {
        new.add_remote(remote, after, self_test(after));
    }
    RouteDelta {
        hosts: changes(old.hosts, new.hosts),
        prefixes: changes(old.prefixes, new.prefixes),
        flood: changes(old.flood, new.flood),
        ..RouteDelta::default()
    }
}

/// Learned routes, without those that are given by hand: these come first.
#[must_use]
pub fn without_static(mut routes: RouteDelta, model: &Model, host: &model::Host) -> RouteDelta {
    if model.remotes.is_empty() {
        return routes;
    }
    let given = Found::all(model, tests_itself(model, host));
    routes.hosts.retain(|(key, _)| !given.hosts.contains_key(key));
    routes.prefixes.retain(|(key, _)| !given.prefixes.contains_key(key));
    routes.flood.retain(|(key, _)| !given.flood.contains_key(key));
    routes
}

/// What was given by hand before and is not any more: if it was learned too, that counts now.
#[must_use]
pub fn no_longer_static(before: &Model, after: &Model) -> Vec<Subject> {
    if before.remotes == after.remotes {
        return Vec::new();
    }
    let (old, new) = (Found::all(before, false), Found::all(after, false));
    let hosts = old.hosts.keys().filter(|key| !new.hosts.contains_key(key));
    let prefixes = old.prefixes.keys().filter(|key| !new.prefixes.contains_key(key));
    let flood = old.flood.keys().filter(|key| !new.flood.contains_key(key));
    hosts
        .map(|(network, address)| Subject::Host(*network, *address))
        .chain(prefixes.map(|(network, prefix)| Subject::Prefix(*network, *prefix)))
        .chain(flood.map(|(subnet, vtep)| Subject::Flood(*subnet, *vtep)))
        .collect()
}

/// Routes of remotes.
#[derive(Default)]
struct Found {
    hosts: HashMap<(Vni, IpAddr), RemoteHost>,
    prefixes: HashMap<(Vni, IpNet), Paths>,
    flood: HashMap<(Vni, Vtep), Vni>,
}

fn changes<K: Eq + Hash, V: PartialEq>(mut old: HashMap<K, V>, new: HashMap<K, V>) -> Vec<(K, Option<V>)> {
    let differing = new.into_iter().filter(|(key, value)| old.remove(key).as_ref() != Some(value));
    let mut changes: Vec<_> = differing.map(|(key, value)| (key, Some(value))).collect();
    changes.extend(old.into_keys().map(|key| (key, None)));
    changes
}

fn networks(model: &Model) -> BTreeMap<Vni, Network> {
    let seen = model.seen();
    let networks = model.networks.iter().map(|(name, network)| {
        let others = seen.get(name.as_str()).into_iter().flatten();
        let sees = others.filter_map(|other| Some(model.networks.get(*other)?.vni)).collect();
        (network.vni, Network { name: name.clone(), sees })
    });
    networks.collect()
}

fn subnets(model: &Model) -> BTreeMap<Vni, Subnet> {
    let subnets = model.subnets.iter().filter_map(|(name, subnet)| {
        let network = model.network_vni(subnet)?;
        Some((subnet.vni, Subnet { name: name.clone(), network, ipv4: subnet.ipv4, ipv6: subnet.ipv6 }))
    });
    subnets.collect()
}

fn ports(model: &Model) -> BTreeMap<String, Port> {
    let ports = model.ports.iter().filter_map(|(name, port)| {
        let attachment = port.attachment.as_ref()?;
        let desired = Port {
            subnet: model.subnets.get(&port.subnet)?.vni,
            mac: port.mac,
            ipv4: port.ipv4,
            ipv6: port.ipv6,
            netns: attachment.netns.clone(),
            device: attachment.device.clone(),
            tenant: model.tenant_of(port).unwrap_or_default().to_owned(),
            security: port.security.clone(),
        };
        Some((name.clone(), desired))
    });
    ports.collect()
}

impl Found {
    fn all(model: &Model, self_test: bool) -> Self {
        let mut found = Self::default();
        model.remotes.values().for_each(|remote| found.add_remote(remote, model, self_test));
        found
    }

    fn add_self_test(&mut self, vtep: Vtep, router_mac: MacAddr) {
        let key = (address::NETWORK, address::address(vtep).into());
        let path = desired::Path { vtep, vni: address::NETWORK, mac: router_mac };
        self.hosts.insert(key, RemoteHost { paths: path.into(), neighbour: None, groups: GroupSet::empty() });
    }

    /// A static remote speaks weft's own numbers: the network's VNI for routed packets, the subnet's for switched ones.
    fn add_remote(&mut self, remote: &model::Remote, model: &Model, self_test: bool) {
        let (vtep, router_mac) = (remote.vtep, remote.router_mac);
        if self_test {
            self.add_self_test(vtep, router_mac);
        }
        let names = remote.subnets.iter().chain(remote.addresses.iter().map(|entry| &entry.subnet));
        // What is for a whole subnet is copied to each remote that has it, or an address of it.
        for subnet in names.filter_map(|name| model.subnets.get(name)) {
            self.flood.insert((subnet.vni, vtep), subnet.vni);
        }
        for entry in &remote.addresses {
            let Some(subnet) = model.subnets.get(&entry.subnet) else { continue };
            let Some(vni) = model.network_vni(subnet) else { continue };
            let neighbour = Some(Neighbour { subnet: subnet.vni, vni: subnet.vni, mac: entry.mac });
            let path = desired::Path { vtep, vni, mac: router_mac };
            self.hosts.insert(
                (vni, entry.address),
                RemoteHost { paths: path.into(), neighbour, groups: GroupSet::empty() },
            );
        }
        for entry in &remote.prefixes {
            let Some(vni) = model.networks.get(&entry.network).map(|network| network.vni) else { continue };
            self.prefixes.insert((vni, entry.prefix), desired::Path { vtep, vni, mac: router_mac }.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{host, intent, resource, security};

    #[test]
    fn only_attached_ports_and_all_remotes() {
        let model = Model::build(
            &intent(&[
                r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
                r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","ipv6":"fd00::/64"}"#,
                r#"{"kind":"port","name":"in","subnet":"red-a","attachment":{"netns":"/run/netns/in"}}"#,
                r#"{"kind":"port","name":"out","subnet":"red-a"}"#,
                r#"{"kind":"subnet","name":"red-b","network":"red","vni":5002,"ipv4":"10.0.1.0/24"}"#,
                r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2","subnets":["red-b"],
                    "addresses":[{"subnet":"red-a","address":"10.0.0.9","mac":"02:00:00:00:00:09"}],
                    "prefixes":[{"network":"red","prefix":"10.9.0.0/16"}]}"#,
            ]),
            &host(),
            &[],
        )
        .unwrap();
        let Update { local, routes } = update(&Model::default(), &model, &host());
        let desired = local.unwrap();
        let vni = |number| Vni::new(number).unwrap();
        assert_eq!(desired.host.router_mac, "02:00:c0:00:02:01".parse().unwrap());
        assert_eq!(desired.networks[&vni(5000)].name, "red");
        let subnet = &desired.subnets[&vni(5001)];
        assert_eq!((subnet.name.as_str(), subnet.network), ("red-a", vni(5000)));
        assert_eq!(subnet.ipv4, Some(("10.0.0.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap())));
        let ports: Vec<_> = desired.ports.iter().collect();
        let [(name, port)] = ports.as_slice() else { panic!("{ports:?}") };
        assert_eq!((name.as_str(), port.subnet, port.device.as_str()), ("in", vni(5001), "eth0"));
        assert_eq!(port.ipv4, Some("10.0.0.2".parse().unwrap()));
        assert_eq!(port.ipv6, Some("fd00::2".parse().unwrap()));
        let hosts: HashMap<_, _> = routes.hosts.into_iter().collect();
        let remote = hosts[&(vni(5000), "10.0.0.9".parse().unwrap())].clone().unwrap();
        let path = remote.paths.first;
        assert_eq!((path.vni, path.mac.to_string().as_str()), (vni(5000), "02:00:c0:00:02:02"));
        let mac = "02:00:00:00:00:09".parse().unwrap();
        assert_eq!(remote.neighbour, Some(Neighbour { subnet: vni(5001), vni: vni(5001), mac }));
        let [(key, Some(behind))] = routes.prefixes.as_slice() else { panic!("{:?}", routes.prefixes) };
        assert_eq!((key.1, behind.first.vni), ("10.9.0.0/16".parse().unwrap(), vni(5000)));
        let flood: BTreeMap<_, _> = routes.flood.into_iter().collect();
        let there = |number| ((vni(number), "192.0.2.2".parse().unwrap()), Some(vni(number)));
        assert_eq!(flood, [5001, 5002].map(there).into());
    }

    #[test]
    fn the_self_test_is_there_with_the_first_remote_and_goes_with_the_last() {
        let netns = std::path::PathBuf::from("/proc/1/fd/9");
        let (software, other) = ("192.0.2.2".parse().unwrap(), "192.0.2.9".parse().unwrap());
        let host = model::Host {
            self_test_netns: Some(netns.clone()),
            software_checksums: [software, other].into(),
            ..host()
        };
        let remote = r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2"}"#;
        let (alone, two) = (with_remotes(&[]), with_remotes(&[remote]));
        let Update { local, routes } = update(&alone, &two, &host);
        let desired = local.unwrap();
        let port = &desired.ports[address::PORT];
        assert_eq!(
            (&port.netns, port.ipv6.unwrap().to_string().as_str()),
            (&netns, "fd77:6566:7400::c000:201:1")
        );
        assert_eq!(desired.subnets[&port.subnet].network, address::NETWORK);
        assert!(!port.security.is_firewall());
        assert_eq!(desired.host.software_checksums, [software].into());
        let theirs: IpAddr = "fd77:6566:7400::c000:202:1".parse().unwrap();
        let [(key, Some(route))] = routes.hosts.as_slice() else { panic!("{routes:?}") };
        let path = route.paths.first;
        assert_eq!((*key, path.vtep, path.vni), ((address::NETWORK, theirs), software, address::NETWORK));
        // Its own subnet leaves all others to be routed to.
        let (prefix, _) = desired.subnets[&port.subnet].ipv6.unwrap();
        assert_eq!(prefix.hosts().count(), 2);

        let Update { local, routes } = update(&two, &alone, &host);
        let desired = local.unwrap();
        assert!(desired.ports.is_empty() && desired.host.software_checksums.is_empty());
        assert_eq!(routes.hosts, [(*key, None)]);
        // Where tenants leave no room, it goes as well.
        let full = Model { no_self_test_for: Some("ports"), ..two.clone() };
        assert_eq!(update(&two, &full, &host).routes.hosts, [(*key, None)]);
        // Without a namespace there is none.
        let without = model::Host { self_test_netns: None, ..host };
        assert!(update(&alone, &two, &without).routes.hosts.is_empty());
    }

    #[test]
    fn ports_have_their_tenant_and_what_their_groups_say() {
        let mut intent = security::good();
        for name in ["web-1", "web-2"] {
            let attachment = weft_api::resource::Attachment {
                netns: format!("/run/netns/{name}").into(),
                device: "eth0".to_owned(),
            };
            intent.ports.get_mut(name).unwrap().attachment = Some(attachment);
        }
        let model = Model::build(&intent, &host(), &[]).unwrap();
        let desired = local(&model, &host());
        let [one, two] = ["web-1", "web-2"].map(|name| &desired.ports[name]);
        assert_eq!((one.tenant.as_str(), &one.security), ("red", &model.ports["web-1"].security));
        assert_eq!(one.security.ingress.rules().as_ptr(), two.security.ingress.rules().as_ptr());
        assert_eq!(desired.host.flows.per_port, 65_536);
        // Rules that change are all that changes.
        let mut intent = model.to_intent();
        intent.insert(resource(&security::WITH_GROUPS[0].replace("443", "80")));
        let changed = model.rebuild(&intent, &host(), &[]).unwrap();
        let Update { local: Some(after), routes } = update(&model, &changed, &host()) else { panic!() };
        assert_eq!(routes, RouteDelta::default());
        assert_ne!(after.ports["web-1"].security.ingress, one.security.ingress);
        assert_eq!(after.ports["web-1"].security.egress, one.security.egress);
        assert_eq!(after.ports["red-1"], desired.ports["red-1"]);
    }

    fn with_remotes(remotes: &[&str]) -> Model {
        let mut resources = vec![
            r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#,
        ];
        resources.extend(remotes);
        Model::build(&intent(&resources), &host(), &[]).unwrap()
    }

    #[test]
    fn of_remotes_only_the_routes_that_differ() {
        let two = r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2","addresses":[
            {"subnet":"red-a","address":"10.0.0.8","mac":"02:00:00:00:00:08"},
            {"subnet":"red-a","address":"10.0.0.9","mac":"02:00:00:00:00:09"}]}"#;
        let moved = r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2","addresses":[
            {"subnet":"red-a","address":"10.0.0.8","mac":"02:00:00:00:00:08"},
            {"subnet":"red-a","address":"10.0.0.7","mac":"02:00:00:00:00:07"}]}"#;
        let other = r#"{"kind":"remote","name":"host3","vtep":"192.0.2.3",
            "prefixes":[{"network":"red","prefix":"10.9.0.0/16"}]}"#;
        let (before, after) = (with_remotes(&[two, other]), with_remotes(&[moved, other]));
        let Update { local, routes } = update(&before, &after, &host());
        assert!(local.is_none());
        let gone: Vec<_> =
            routes.hosts.iter().map(|(key, host)| (key.1.to_string(), host.is_some())).collect();
        assert_eq!(gone, [("10.0.0.7".to_owned(), true), ("10.0.0.9".to_owned(), false)]);
        assert_eq!(routes.prefixes, []);
        // The same again: all is looked at, and nothing changes.
        let again = update(&after, &after, &host());
        assert!(again.local.is_some() && again.routes == RouteDelta::default());
    }
}
