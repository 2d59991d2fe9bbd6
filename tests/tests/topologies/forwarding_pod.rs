//! A pod that forwards what it receives: it stands in two subnets and translates addresses between them.
//!
//! ```text
//! red-1 10.0.0.11 (red-a) ┐                                          ┌ 10.0.1.12 (red-b) server
//! red-3 10.0.2.13 (red-c) ┴ h1 ───────────────────────────── h2 ┘
//!                                  10.0.0.21 (red-a) nat 10.0.1.22 (red-b)
//! ```
//! The clients know nat's address only, and so does the server: nat sends on, in its own name, what either of them sends
//! it. red-1 is switched to it, red-3 routed. What nat received out of a tunnel bears the kernel's mark of that when nat
//! sends it into the next, and weft cannot put outer headers on it itself: the host's vxlan device does.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::underlay::{Underlay, three_hosts, two_hosts_over_ipv6};
use weft_tests::{Lab, Offloads, Wire};

const BYTES: u64 = 10_000_000;
/// weft's vxlan device of a host.
const VXLAN: &str = "weft-vxlan";

/// Numbers of the hosts that nat and the server are on; the clients are on the first.
#[derive(Debug, Clone, Copy)]
struct Places {
    nat: usize,
    server: usize,
}

fn start(lab: &Lab, underlay: Underlay, places: Places) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .subnet("red-c", "red", 103, "10.0.2.0/24", "fd00:c::/64")?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-3", "red-c", 0, 13)?
        .pod("server", "red-b", places.server, 12)?
        .pod("nat", "red-a", places.nat, 21)?
        .second_nic("nat-b", "red-b", 22)?;
    cloud.deploy(&intent)?;
    let nat = &cloud.pod("nat").namespace;
    nat.sysctl("ipv4/ip_forward", "1")?;
    nat.sysctl("ipv6/conf/all/forwarding", "1")?;
    cloud.pod("server").addresses().into_iter().try_for_each(|server| nat.translate(server))?;
    Ok(cloud)
}

/// In: from each client 10 MB over TCP to nat, and datagrams of all sizes and many to a call (UDP GSO), over both
/// families; nat sends them on. Out: the same bytes and every datagram, at the server; from nat's own address; nothing
/// dropped as spoofed or for want of the kernel's help; and where nat is between two tunnels its host's vxlan device sent
/// it all.
#[expect(clippy::print_stdout, reason = "the figures are of interest")]
fn through_nat(underlay: impl Fn(&Lab, Wire) -> Result<Underlay>, places: &[Places]) -> Result<()> {
    for (places, offloads) in places.iter().flat_map(|it| [Offloads::On, Offloads::Off].map(|on| (*it, on))) {
        Lab::test(|lab| {
            let wire = Wire { offloads, ..Wire::default() };
            let cloud = start(lab, underlay(lab, wire)?, places)?;
            let (nat, server) = (cloud.pod("nat"), cloud.pod("server"));
            let inside = cloud.pod("nat-b").addresses();
            let strangers = server.capture(move |packet| {
                let data =
                    |ip: &weft_tests::Ip| matches!(ip.protocol, 6 | 17) && !inside.contains(&ip.source);
                packet.direction == weft_tests::Direction::In && packet.ip.as_ref().is_some_and(data)
            })?;
            let by_vxlan = || cloud.machine(places.nat).namespace.transmitted(VXLAN);
            let before = by_vxlan()?;
            for client in ["red-1", "red-3"].map(|name| cloud.pod(name)) {
                for to in nat.addresses() {
                    let speed = talk(&cloud, client.name.as_str(), to)
                        .with_context(|| format!("{} to {to}, {places:?}, {offloads:?}", client.name))?;
                    println!("{} to {to}, {places:?}, cable {offloads:?}: {speed:.2} Gbit/s", client.name);
                }
            }
            strangers.assert_none("the server saw somebody else than nat")?;
            for reason in [DropReason::SpoofedIp, DropReason::KernelRefused, DropReason::Malformed] {
                let drops = cloud.daemon(places.nat).weft().drops(reason)?;
                ensure!(drops == 0, "{drops} dropped as {}", reason.name());
            }
            let between_tunnels = places.nat != 0 && places.nat != places.server;
            let sent = by_vxlan()? - before;
            ensure!(!between_tunnels || sent > 100, "the vxlan device sent {sent} packets only");
            Ok(())
        })?;
    }
    Ok(())
}

/// What one client has to say to one of nat's addresses; the speed of TCP in Gbit/s.
fn talk(cloud: &Cloud<'_>, client: &str, to: IpAddr) -> Result<f64> {
    let (client, server) = (&cloud.pod(client).namespace, &cloud.pod("server").namespace);
    let transfer = client.transfer(server, to, BYTES)?;
    let lost = client.sizes(server, to, &[4, 63, 1000, 1300, 1402, 1422, 1500, 2900, 9000, 30_000])?;
    ensure!(lost.is_empty(), "datagrams of these sizes did not arrive: {lost:?}");
    for (count, length, at_once) in [(400_u32, 1000, 40), (400, 1370, 40), (300, 61, 60)] {
        let arrived = client.segmented(server, to, count, length, at_once)?;
        ensure!(
            arrived == usize::try_from(count)?,
            "{arrived} of {count} segments of {length} bytes arrived"
        );
    }
    Ok(transfer.bits_per_second() / 1e9)
}

#[test]
fn on_the_host_of_the_client_of_the_server_and_of_neither() -> Result<()> {
    through_nat(three_hosts, &[0, 1, 2].map(|nat| Places { nat, server: 1 }))
}

/// Over IPv6, to the other host and back.
#[test]
fn over_ipv6_there_and_back() -> Result<()> {
    through_nat(two_hosts_over_ipv6, &[(0, 1), (1, 1), (1, 0)].map(|(nat, server)| Places { nat, server }))
}
