//! From what the speaker learned to routes of the data plane. Pure.

use weft_bgp::evpn::{self, Forwarding, Routed, RoutedPath, SwitchedPath};
use weft_dataplane::desired::{Neighbour, Path, Paths, RemoteHost, RouteDelta};

use super::groups::groups;

/// The changes in the data plane's words.
#[must_use]
pub fn delta(changes: impl IntoIterator<Item = Forwarding>) -> RouteDelta {
    let mut delta = RouteDelta::default();
    for change in changes {
        match change {
            Forwarding::Host { network, address, to } => {
                delta.hosts.push(((network, address), to.as_ref().and_then(host)));
            }
            Forwarding::Mac { subnet, mac, to } => {
                delta.macs.push(((subnet, mac), to.map(|to| paths(&to, switched))));
            }
            Forwarding::Prefix { network, prefix, to } => {
                delta.prefixes.push(((network, prefix), to.map(|to| paths(&to, routed))));
            }
            Forwarding::Flood { subnet, vtep, vni } => delta.flood.push(((subnet, vtep), vni)),
        }
    }
    delta
}

/// Where the address is. Of a VTEP that does not route (asymmetric IRB, RFC 9135 section 5), packets that are routed here
/// are switched there: in the subnet's VNI and with the workload's own MAC. One that is neither routed nor in a subnet of
/// this host cannot be reached.
fn host(to: &evpn::RemoteHost) -> Option<RemoteHost> {
    let neighbour = to.neighbour.map(|of| Neighbour { subnet: of.subnet, vni: of.vni, mac: of.mac });
    let switched = || to.neighbour.map(|of| Routed { router_mac: of.mac, vni: of.vni });
    let first = RoutedPath { vtep: to.vtep, routed: to.routed.or_else(switched)? };
    let paths = Paths { first: routed(&first), others: to.others.iter().map(routed).collect() };
    Some(RemoteHost { paths, neighbour, groups: groups(&to.groups) })
}

fn paths<T>(paths: &evpn::Paths<T>, path: impl Fn(&T) -> Path) -> Paths {
    Paths { first: path(&paths.first), others: paths.others.iter().map(path).collect() }
}

fn routed(path: &RoutedPath) -> Path {
    Path { vtep: path.vtep, vni: path.routed.vni, mac: path.routed.router_mac }
}

fn switched(path: &SwitchedPath) -> Path {
    Path::switched(path.vtep, path.vni)
}

#[cfg(test)]
mod tests {
    use weft_policy::GroupId;
    use weft_vxlan::{MacAddr, Vni, Vtep};

    use super::super::groups::community;
    use super::*;

    fn vni(number: u32) -> Vni {
        Vni::new(number).unwrap()
    }

    #[test]
    fn a_host_that_does_not_route_is_switched_to() {
        let (vtep, mac) = ("192.0.2.2".parse::<Vtep>().unwrap(), MacAddr::new([2; 6]));
        let routed = Routed { router_mac: MacAddr::new([4; 6]), vni: vni(5000) };
        let neighbour = evpn::Neighbour { subnet: vni(100), vni: vni(101), mac };
        for (routed, neighbour, expected) in [
            (Some(routed), Some(neighbour), Some((MacAddr::new([4; 6]), vni(5000)))),
            (Some(routed), None, Some((MacAddr::new([4; 6]), vni(5000)))),
            (None, Some(neighbour), Some((mac, vni(101)))),
            (None, None, None),
        ] {
            let to = Some(evpn::RemoteHost {
                vtep,
                routed,
                neighbour,
                groups: Vec::new(),
                others: Box::default(),
            });
            let change = Forwarding::Host { network: vni(1), address: [10, 0, 0, 1].into(), to };
            let delta = delta([change]);
            let [(_, host)] = delta.hosts.as_slice() else { panic!("{delta:?}") };
            assert_eq!(host.as_ref().map(|host| (host.paths.first.mac, host.paths.first.vni)), expected);
            assert_eq!(
                host.as_ref().and_then(|host| host.neighbour.as_ref()).is_some(),
                neighbour_is(host, neighbour)
            );
        }
    }

    #[test]
    fn the_groups_of_a_host_are_learned_with_it() {
        let routed = Routed { router_mac: MacAddr::new([4; 6]), vni: vni(5000) };
        let to = evpn::RemoteHost {
            vtep: "192.0.2.2".parse().unwrap(),
            routed: Some(routed),
            neighbour: None,
            groups: vec![community(GroupId(7)), community(GroupId(9))],
            others: Box::default(),
        };
        let delta =
            delta([Forwarding::Host { network: vni(1), address: [10, 0, 0, 1].into(), to: Some(to) }]);
        let [(_, Some(host))] = delta.hosts.as_slice() else { panic!("{delta:?}") };
        assert_eq!(host.groups, [GroupId(7), GroupId(9)].into_iter().collect());
    }

    fn neighbour_is(host: &Option<RemoteHost>, neighbour: Option<evpn::Neighbour>) -> bool {
        host.is_some() && neighbour.is_some()
    }
}
