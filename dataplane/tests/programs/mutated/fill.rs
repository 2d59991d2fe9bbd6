//! Facts as map entries, and as devices.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sched::{CloneFlags, unshare};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec};
use weft_dataplane_abi as abi;
use weft_dataplane_abi::{IpKey, MacKey, NextHop, Rate, Scope, flood_group};
use weft_vxlan::{MacAddr, Vtep};

use super::cast::{NOBODYS, PORT_MTU};
use crate::reference::facts::{Facts, Hop};
use crate::world::*;

/// Writes all that the programs may know.
pub fn fill(world: &mut World, facts: &Facts) {
    let own = Vtep::new(facts.vtep).unwrap();
    limit(world, facts);
    world.put(abi::maps::UNDERLAYS, facts.underlay.0, abi::Underlay::new(MacAddr::new(facts.underlay.1)));
    for port in &facts.ports {
        let IpAddr::V4(ipv4) = port.ipv4 else { panic!("{}", port.ipv4) };
        let gateways = abi::Gateways::new(
            port.gateways.0.map(v4),
            port.gateways.1.map(v6),
            MacAddr::new(facts.gateway_mac),
        );
        let (network, subnet, mac) = (vni(port.network), vni(port.subnet), MacAddr::new(port.mac));
        let addresses = (Some(ipv4), port.ipv6.map(v6));
        let endpoint = abi::Endpoint::new(port.ifindex, network, subnet, port.slot, mac, addresses, gateways);
        world.put(abi::maps::ENDPOINTS, port.ifindex, endpoint);
    }
    for known in &facts.addresses {
        let scope = Scope::raw(known.network);
        let next_hop = next_hop(facts, scope, known.hop);
        let route = match known.neighbour {
            Some((subnet, mac)) => abi::HostRoute::new(scope, next_hop, vni(subnet), MacAddr::new(mac)),
            None => abi::HostRoute::routed(scope, next_hop),
        };
        world.put(abi::maps::HOSTS, IpKey::new(vni(known.network), known.address), route);
    }
    for prefix in &facts.prefixes {
        let key = IpKey::new(vni(prefix.network), prefix.address);
        world.put_prefix(key, prefix.bits, next_hop(facts, key.scope(), prefix.hop));
    }
    for station in &facts.stations {
        let key = MacKey::new(vni(station.subnet), MacAddr::new(station.mac));
        world.put(abi::maps::FDB, key, next_hop(facts, key.scope(), station.hop));
    }
    for here in &facts.vnis {
        let network = vni(here.network);
        let is_network = here.vni == here.network;
        let entry = match is_network {
            true => abi::VniEntry::network_itself(network),
            false => abi::VniEntry::subnet(vni(here.vni), network),
        };
        world.put(abi::maps::VNIS, here.vni, entry);
    }
    for (number, vtep) in &facts.members {
        world.put(abi::maps::VTEP_VNIS, abi::VtepVniKey::new(vni(*number), Vtep::new(*vtep).unwrap()), 1_u8);
    }
    for far in &facts.vteps {
        let (vtep, mtu) = (Vtep::new(far.vtep).unwrap(), u16::try_from(far.mtu).unwrap());
        let (ours, next) = facts.uplink;
        // By the device that packets come in by, as on a host with one.
        let uplink = abi::Uplink::new(facts.underlay.0, MacAddr::new(ours), MacAddr::new(next));
        let entry = match far.resolved {
            true => abi::VtepEntry::resolved([uplink; 8], mtu, partial_sum(own, vtep)),
            false => abi::VtepEntry::unresolved(mtu),
        };
        world.put(abi::maps::VTEPS, abi::VtepAddr::new(vtep), entry);
    }
    for flood in &facts.floods {
        let subnet = vni(flood.subnet);
        for (index, ifindex) in (0..).zip(&flood.ports) {
            let member = abi::FloodMember::port(subnet, *ifindex, facts.port(*ifindex).unwrap().slot);
            world.put_flood(subnet, flood_group::PORTS, index, member);
        }
        for (index, vtep) in (0..).zip(&flood.vteps) {
            let member = abi::FloodMember::vtep(subnet, Vtep::new(*vtep).unwrap(), subnet);
            world.put_flood(subnet, flood_group::VTEPS, index, member);
        }
    }
}

/// Writes what changes from batch to batch: rates so high that nothing reaches them, or none at all; or a host that
/// nobody has configured. No drop is told, so that each is counted as untold.
pub fn limit(world: &mut World, facts: &Facts) {
    if !facts.configured {
        return world.forget_host();
    }
    let rate = Rate::per_second(if facts.within_limits { u32::MAX } else { 0 });
    world.limit(abi::Limits { floods: rate, icmp_errors: rate, drop_events: Rate::per_second(0) });
}

fn next_hop(facts: &Facts, scope: Scope, hop: Hop) -> NextHop {
    match hop {
        Hop::Port(ifindex) => {
            let port = facts.port(ifindex).unwrap();
            NextHop::local(scope, ifindex, port.slot, MacAddr::new(port.mac))
        }
        Hop::Vtep { vtep, vni: number, router } => {
            NextHop::remote(scope, Vtep::new(vtep).unwrap(), vni(number), MacAddr::new(router))
        }
        Hop::Gateway => NextHop::gateway(scope, MacAddr::new(facts.gateway_mac)),
    }
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(v6) => panic!("{v6}"),
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(v4) => panic!("{v4}"),
    }
}

/// Puts this thread into a namespace of its own, with a device for each port, for the kernel's vxlan device, and one more.
/// Bridges without ports, which take everything at once and send it nowhere.
pub fn enter_namespace(facts: &Facts) {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    // Nothing but copies leaves by these devices.
    for devices in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{devices}/disable_ipv6"), "1").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, netlink, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let indexes = facts.ports.iter().map(|port| port.ifindex).chain([facts.vxlan_ifindex, NOBODYS]);
        for index in indexes {
            let bridge = LinkMessageBuilder::<LinkBridge>::new_with_info_kind(
                rtnetlink::packet_route::link::InfoKind::Bridge,
            );
            let bridge = bridge.name(device(index)).index(index).mtu(u32::try_from(PORT_MTU).unwrap());
            netlink.link().add(bridge.up().build()).execute().await.unwrap();
        }
        let loopback = LinkUnspec::new_with_index(facts.underlay.0).up().build();
        netlink.link().set(loopback).execute().await.unwrap();
    });
}

/// The name of the device with this index.
pub fn device(index: u32) -> String {
    format!("dev{index}")
}
