//! EVPN routes between FRR at a and ExaBGP at b, both ways.

use anyhow::{Result, ensure};
use weft_bgp::wire::{
    Attributes, Capability, EthernetSegmentId, EthernetTag, EvpnRoute, ExtendedCommunity, InclusiveMulticast,
    IpPrefixRoute, MacIp, NextHop, Nlri, PmsiTunnel, Reachable, Routes, TunnelId, Update,
};
use weft_tests::peers::{self, Carrier, ExaBgp, Frr, FrrSettings, KernelVtep, Program};
use weft_tests::{PATIENCE, wait_for};
use weft_vxlan::Vni;

use crate::{A, B, frr_bgpd, hosts};

fn neighbour() -> String {
    format!(
        "neighbor {A} {{\nrouter-id {B};\nlocal-address {B};\nlocal-as 65002;\npeer-as 65001;\n\
         family {{ ipv4 unicast; l2vpn evpn; }}\n}}\n"
    )
}

/// What b announces, from its VNI 101 or its routing domain 9000.
fn update(rd: &str, route_target: &str, route: EvpnRoute, pmsi: Option<PmsiTunnel>) -> Result<Update> {
    Ok(Update {
        attributes: Attributes {
            extended_communities: vec![
                ExtendedCommunity::from_route_target(route_target.parse()?),
                ExtendedCommunity::VXLAN,
            ],
            pmsi,
            ..Attributes::default()
        },
        reachable: Some(Reachable {
            next_hop: NextHop::from(B),
            routes: Routes::Evpn(vec![Nlri::from(route)]),
        }),
        ..Update::default()
    })
    .map(|update| {
        ensure!(!rd.is_empty(), "a route has a distinguisher");
        Ok(update)
    })?
}
