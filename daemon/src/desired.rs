//! From the model to what this host's kernel should do. Pure.

use std::collections::BTreeMap;

use weft_dataplane::desired::{Desired, Host, Neighbour, Network, Port, RemoteHost, RemotePrefix, Subnet};
use weft_vxlan::Vni;

use crate::model::{self, Model};

/// What the kernel should do. Ports that are not attached are intent only.
#[must_use]
pub fn desired(model: &Model, host: &model::Host) -> Desired {
    let mut desired = Desired {
        host: Host {
            underlay: host.underlay.clone(),
            vtep: host.vtep,
            udp_port: host.udp_port,
            router_mac: host.router_mac,
            gateway_mac: host.gateway_mac,
            limits: host.limits,
        },
        subnets: subnets(model),
        networks: model
            .networks
            .iter()
            .map(|(name, network)| (network.vni, Network { name: name.clone() }))
            .collect(),
        ports: ports(model),
        flood: BTreeMap::new(),
        remote_hosts: BTreeMap::new(),
        remote_prefixes: BTreeMap::new(),
    };
    for remote in model.remotes.values() {
        add_remote(remote, model, &mut desired);
    }
    desired
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
        };
        Some((name.clone(), desired))
    });
    ports.collect()
}

/// A static remote speaks weft's own numbers: the network's VNI for routed packets, the subnet's for switched ones and
/// for those that are copied to all.
fn add_remote(remote: &model::Remote, model: &Model, desired: &mut Desired) {
    let (vtep, router_mac) = (remote.vtep, remote.router_mac);
    let named = remote.subnets.iter().chain(remote.addresses.iter().map(|entry| &entry.subnet));
    for subnet in named.filter_map(|name| model.subnets.get(name)) {
        desired.flood.entry(subnet.vni).or_default().insert(vtep, subnet.vni);
    }
    for entry in &remote.addresses {
        let Some(subnet) = model.subnets.get(&entry.subnet) else { continue };
        let Some(vni) = model.network_vni(subnet) else { continue };
        let neighbour = Some(Neighbour { subnet: subnet.vni, vni: subnet.vni, mac: entry.mac });
        desired.remote_hosts.insert((vni, entry.address), RemoteHost { vtep, router_mac, vni, neighbour });
    }
    for entry in &remote.prefixes {
        let Some(vni) = model.networks.get(&entry.network).map(|network| network.vni) else { continue };
        desired.remote_prefixes.insert((vni, entry.prefix), RemotePrefix { vtep, router_mac, vni });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{host, intent};

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
        let desired = desired(&model, &host());
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
        let remote = &desired.remote_hosts[&(vni(5000), "10.0.0.9".parse().unwrap())];
        assert_eq!((remote.vni, remote.router_mac.to_string().as_str()), (vni(5000), "02:00:c0:00:02:02"));
        let mac = "02:00:00:00:00:09".parse().unwrap();
        assert_eq!(remote.neighbour, Some(Neighbour { subnet: vni(5001), vni: vni(5001), mac }));
        let there = |vni| BTreeMap::from([("192.0.2.2".parse().unwrap(), vni)]);
        assert_eq!(desired.flood, [5001, 5002].map(|number| (vni(number), there(vni(number)))).into());
        assert_eq!(desired.remote_prefixes[&(vni(5000), "10.9.0.0/16".parse().unwrap())].vni, vni(5000));
    }
}
