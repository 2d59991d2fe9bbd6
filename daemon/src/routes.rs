//! The routes of this host, as people read them: by network and destination. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_api::view::{Route, RouteSource, Via};

use crate::model::Model;

/// All routes, or those of one network, in the order of their destinations.
#[must_use]
pub fn routes(model: &Model, network: Option<&str>) -> Vec<Route> {
    let mut routes = local(model);
    routes.extend(remote(model));
    routes.retain(|route| network.is_none_or(|network| route.network == network));
    sort(&mut routes);
    routes
}

/// Adds learned routes to those of this host. Its own come first; what a network sees of another's ports comes behind.
pub fn add_learned(routes: &mut Vec<Route>, learned: Vec<Route>) {
    let known: BTreeSet<_> =
        learned.iter().map(|route| (route.network.as_str(), route.destination)).collect();
    routes.retain(|route| {
        let is_seen = matches!(route.source, RouteSource::Port(_)) && route.mac.is_none();
        !is_seen || !known.contains(&(route.network.as_str(), route.destination))
    });
    let own: BTreeSet<_> = routes.iter().map(|route| (route.network.clone(), route.destination)).collect();
    let new = learned.into_iter().filter(|route| !own.contains(&(route.network.clone(), route.destination)));
    routes.extend(new);
    sort(routes);
}

fn sort(routes: &mut [Route]) {
    routes.sort_by(|a, b| (&a.network, a.destination).cmp(&(&b.network, b.destination)));
}

/// Gateways, and the ports that are attached here.
fn local(model: &Model) -> Vec<Route> {
    let mut routes = Vec::new();
    for (name, subnet) in &model.subnets {
        let gateways = [
            subnet.ipv4.map(|(_, gateway)| IpAddr::V4(gateway)),
            subnet.ipv6.map(|(_, gateway)| IpAddr::V6(gateway)),
        ];
        routes.extend(gateways.into_iter().flatten().map(|gateway| Route {
            network: subnet.network.clone(),
            destination: IpNet::from(gateway),
            source: RouteSource::Gateway(name.clone()),
            via: Via::Gateway,
            others: Vec::new(),
            mac: None,
            groups: Vec::new(),
        }));
    }
    for (name, port) in model.ports.iter().filter(|(_, port)| port.attachment.is_some()) {
        let Some(subnet) = model.subnets.get(&port.subnet) else { continue };
        routes.extend(port.addresses().map(|address| Route {
            network: subnet.network.clone(),
            destination: IpNet::from(address),
            source: RouteSource::Port(name.clone()),
            via: Via::Port(name.clone()),
            others: Vec::new(),
            mac: Some(port.mac),
            groups: port.security.groups.iter().map(|group| group.0).collect(),
        }));
    }
    see_others(&mut routes, model);
    routes
}

/// Adds what networks see of each other, which is routed, where they have nothing of their own.
fn see_others(routes: &mut Vec<Route>, model: &Model) {
    let at_home = routes.clone();
    let mut known: BTreeSet<_> =
        at_home.iter().map(|route| (route.network.as_str(), route.destination)).collect();
    for (network, others) in model.seen() {
        for other in others {
            for route in at_home.iter().filter(|route| route.network == other) {
                if known.insert((network, route.destination)) {
                    routes.push(Route { network: network.to_owned(), mac: None, ..route.clone() });
                }
            }
        }
    }
}

fn remote(model: &Model) -> Vec<Route> {
    let mut routes = Vec::new();
    for (name, remote) in &model.remotes {
        let addresses = remote.addresses.iter().filter_map(|entry| {
            let subnet = model.subnets.get(&entry.subnet)?;
            Some((subnet.network.as_str(), IpNet::from(entry.address), Some(entry.mac)))
        });
        let prefixes = remote.prefixes.iter().map(|entry| (entry.network.as_str(), entry.prefix, None));
        for (network, destination, mac) in addresses.chain(prefixes) {
            let Some(vni) = model.networks.get(network).map(|network| network.vni) else { continue };
            routes.push(Route {
                network: network.to_owned(),
                destination,
                source: RouteSource::Remote(name.clone()),
                via: Via::Vtep { vtep: remote.vtep, vni },
                others: Vec::new(),
                mac,
                groups: Vec::new(),
            });
        }
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::bgp::speaking_host;
    use crate::model::tests::{host, intent};

    #[test]
    fn in_order_with_their_sources() {
        let intent = intent(&[
            r#"{"kind":"network","name":"blue","tenant":"blue","vni":6000}"#,
            r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#,
            r#"{"kind":"port","name":"in","subnet":"red-a","attachment":{"netns":"/run/netns/in"}}"#,
            r#"{"kind":"port","name":"out","subnet":"red-a"}"#,
            r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2",
                "addresses":[{"subnet":"red-a","address":"10.0.0.9","mac":"02:00:00:00:00:09"}],
                "prefixes":[{"network":"red","prefix":"10.9.0.0/16"},{"network":"blue","prefix":"0.0.0.0/0"}]}"#,
        ]);
        let model = Model::build(&intent, &host(), &[]).unwrap();
        let lines: Vec<_> = routes(&model, Some("red"))
            .into_iter()
            .map(|route| format!("{} {:?}", route.destination, route.via))
            .collect();
        assert_eq!(
            lines,
            [
                "10.0.0.1/32 Gateway",
                "10.0.0.2/32 Port(\"in\")",
                "10.0.0.9/32 Vtep { vtep: 192.0.2.2, vni: 5000 }",
                "10.9.0.0/16 Vtep { vtep: 192.0.2.2, vni: 5000 }",
            ]
        );
        assert_eq!(routes(&model, None).len(), 5);
        assert_eq!(routes(&model, Some("green")).len(), 0);
    }

    #[test]
    fn peered_networks_see_each_other_behind_their_own() {
        let intent = intent(&[
            r#"{"kind":"network","name":"blue","tenant":"blue","vni":6000}"#,
            r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#,
            r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.0.0.0/25"}"#,
            r#"{"kind":"port","name":"in","subnet":"red-a","attachment":{"netns":"/run/netns/in"}}"#,
            r#"{"kind":"peering","name":"both","networks":["red","blue"],"order":7}"#,
        ]);
        let model = Model::build(&intent, &speaking_host(), &[]).unwrap();
        let lines: Vec<_> = routes(&model, Some("blue"))
            .into_iter()
            .map(|route| format!("{} {:?} {:?}", route.destination, route.source, route.mac))
            .collect();
        assert_eq!(lines, ["10.0.0.1/32 Gateway(\"blue-a\") None", "10.0.0.2/32 Port(\"in\") None"]);

        // What is learned of the address says where it is to the one that only sees it.
        let learned = |network: &str| Route {
            network: network.to_owned(),
            destination: "10.0.0.2/32".parse().unwrap(),
            source: RouteSource::Peer("rr".to_owned()),
            via: Via::Gateway,
            others: Vec::new(),
            mac: None,
            groups: Vec::new(),
        };
        let mut all = routes(&model, None);
        add_learned(&mut all, vec![learned("blue"), learned("red")]);
        let sources: Vec<_> = all
            .iter()
            .filter(|route| route.destination == learned("red").destination)
            .map(|route| (route.network.as_str(), &route.source))
            .collect();
        let port = RouteSource::Port("in".to_owned());
        assert_eq!(sources, [("blue", &learned("blue").source), ("red", &port)]);
    }
}
