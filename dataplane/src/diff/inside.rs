//! What must change in a workload's namespace for one port.

use netlink_packet_route::link::In6AddrGenMode;

use crate::change::{Change, PortSetting};
use crate::names::PROTOCOL;
use crate::netlink::Link;
use crate::observe::Namespace;
use crate::plan::WantedPort;

const LOOPBACK: &str = "lo";

/// What must change for the port `name`, whose workload's end is `link` in `namespace`. What the workload added
/// itself stays: only addresses and routes with our mark are removed, and a default route that is there, its own or
/// another port's, is not doubled.
pub(super) fn inside(name: &str, port: &WantedPort, link: &Link, namespace: &Namespace) -> Vec<Change> {
    let settings = device(port, link)
        .into_iter()
        .chain(addresses(port, link, namespace))
        .chain(up(link, namespace))
        .chain(routes(port, link, namespace));
    settings
        .map(|setting| Change::SetPort {
            port: name.to_owned(),
            netns: port.netns.clone(),
            ifindex: link.index,
            setting,
        })
        .collect()
}

fn device(port: &WantedPort, link: &Link) -> Vec<PortSetting> {
    let mac = (link.mac != Some(port.mac)).then_some(PortSetting::Mac { from: link.mac, to: port.mac });
    let mtu = port.mtu.filter(|mtu| *mtu != link.mtu).map(PortSetting::Mtu);
    let gso = port.gso_max_size;
    let gso_max_size = (gso != link.gso_max_size).then_some(PortSetting::GsoMaxSize(gso));
    let other_mode = link.link_local.filter(|mode| *mode != In6AddrGenMode::Eui64);
    let link_local = other_mode.map(|_| PortSetting::LinkLocalFromMac);
    mac.into_iter().chain(mtu).chain(gso_max_size).chain(link_local).collect()
}

fn addresses(port: &WantedPort, link: &Link, namespace: &Namespace) -> Vec<PortSetting> {
    let held = || namespace.addresses.iter().filter(|address| address.ifindex == link.index);
    let removed = held()
        .filter(|held| held.protocol == Some(PROTOCOL) && !port.addresses.contains(&held.address))
        .map(|held| PortSetting::RemoveAddress(held.address));
    let added = port
        .addresses
        .iter()
        .filter(|wanted| !held().any(|held| held.address == **wanted))
        .map(|wanted| PortSetting::AddAddress(*wanted));
    removed.chain(added).collect()
}

fn up(link: &Link, namespace: &Namespace) -> Vec<PortSetting> {
    let loopback = namespace.links.iter().find(|link| link.name == LOOPBACK && !link.up);
    let loopback = loopback.map(|link| PortSetting::LoopbackUp { ifindex: link.index });
    loopback.into_iter().chain((!link.up).then_some(PortSetting::Up)).collect()
}

fn routes(port: &WantedPort, link: &Link, namespace: &Namespace) -> Vec<PortSetting> {
    let ours = || {
        let of_link = namespace.default_routes.iter().filter(|route| route.ifindex == link.index);
        of_link.filter(|route| route.protocol == PROTOCOL)
    };
    let removed = ours()
        .filter_map(|route| route.gateway)
        .filter(|gateway| !port.gateways.contains(gateway))
        .map(PortSetting::RemoveRoute);
    let added = port
        .gateways
        .iter()
        .filter(|gateway| {
            let replaced = |held: &&_| ours().any(|route| route == *held && route.gateway != Some(**gateway));
            let mut same_family =
                namespace.default_routes.iter().filter(|route| route.ipv6 == gateway.is_ipv6());
            same_family.all(|held| replaced(&held))
        })
        .map(|gateway| PortSetting::AddRoute(*gateway));
    removed.chain(added).collect()
}

#[cfg(test)]
#[path = "inside/tests.rs"]
mod tests;
