//! weft with other people's BGP speakers, on the hosts of a switch: the first of them run weft, the rest something else.
//!
//! ```text
//! h1 192.0.2.1 ──┐
//!                ├ sw ── 192.0.2.3 h3
//! h2 192.0.2.2 ──┘
//! ```

mod equal_ways;
mod injected;
mod moves;
mod other_speakers;
mod reflected;
mod reflectors;
mod restarts;
mod sessions;
mod vteps;

use std::net::IpAddr;

use anyhow::Result;
use weft_tests::cloud::{Cloud, Fabric};
use weft_tests::peers::KernelVtep;
use weft_tests::underlay::{self, Machine};
use weft_tests::{Lab, Wire};
use weft_vxlan::Vtep;

/// The first `hosts` of the three with weft and these neighbours, and the machines that are left.
fn cloud_and_others(
    lab: &Lab,
    hosts: usize,
    fabric: impl FnOnce(&[Vtep]) -> Fabric,
) -> Result<(Cloud<'_>, Vec<Machine>)> {
    let mut below = underlay::three_hosts(lab, Wire::default())?;
    let others = below.machines.split_off(hosts);
    Ok((Cloud::start_evpn(lab, below, fabric)?, others))
}

/// The host with this number, from 1.
fn host(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// The same as a VTEP.
fn vtep(number: u8) -> Result<Vtep> {
    Ok(Vtep::new(host(number))?)
}

/// bgpd of the host with this number and AS: a peer of EVPN for each neighbour and its AS. `peers` are further lines on
/// each neighbour, in which `PEER` stands for it, and `evpn` are lines of the address family.
fn bgpd(own: u8, asn: u32, neighbours: &[(u8, u32)], peers: &str, evpn: &str) -> String {
    let mut lines = format!(
        "router bgp {asn}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n",
        host(own)
    );
    let mut family = String::from(" address-family l2vpn evpn\n");
    for (number, theirs) in neighbours {
        let peer = host(*number).to_string();
        lines += &format!(" neighbor {peer} remote-as {theirs}\n neighbor {peer} timers connect 1\n");
        lines += &peers.replace("PEER", &peer);
        family += &format!("  neighbor {peer} activate\n");
        family += &evpn.replace("PEER", &peer);
    }
    lines + &family + " exit-address-family\n"
}

/// A further family of a neighbour of GoBGP: route target membership (RFC 4684).
const ROUTE_TARGETS: &str =
    "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"rtc\"\n";

/// The kernel's part of a VTEP on a machine, with the bridges in the machine itself.
fn kernel(machine: &Machine) -> KernelVtep<'_> {
    KernelVtep { underlay: &machine.namespace, overlay: &machine.namespace, address: machine.vtep.address() }
}

/// gobgpd of the host with this number and AS: a peer of EVPN for each neighbour and its AS. `more` are further sections of
/// each neighbour, families among them.
fn gobgp_toml(own: u8, asn: u32, neighbours: &[(u8, u32)], more: &str) -> String {
    let neighbour = |(number, theirs): &(u8, u32)| {
        format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {theirs}\n\
             [neighbors.timers.config]\nconnect-retry = 1\n{more}\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"l2vpn-evpn\"\n",
            host(*number)
        )
    };
    let all: String = neighbours.iter().map(neighbour).collect();
    format!("[global.config]\nas = {asn}\nrouter-id = \"{}\"\n\n{all}", host(own))
}
