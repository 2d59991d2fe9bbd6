//! A connection whose directions go different ways through the underlay.
//!
//! ```text
//!            ┌ up0 ─► r1 ─► up0 ┐
//! red-1 ─ h1                     h2 ─ red-2
//!            └ up1 ◄─ r2 ◄─ up1 ┘
//! ```
//! Both let in nothing but what the other starts by TCP to port 7 (red-2), and answers.

use anyhow::{Result, ensure};
use ipnet::IpNet;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::underlay::{gateways, two_uplinks};
use weft_tests::{Capture, Lab, PATIENCE, Wire, wait_for, wait_until};

const RULES: &str = r#"[{"direction":"ingress","protocol":"tcp","ports":7}]"#;

/// In: h1 sends by the first router and h2 by the second; TCP from red-1 to red-2 over both families, and what no rule is about.
/// Out: the connections work, each router carries one direction and nothing of the other, and the rest is denied.
#[test]
fn a_connection_may_go_one_way_and_come_another() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, two_uplinks(lab, Wire::default(), false)?)?;
        for (number, here, there) in [(1, 0, 1), (2, 1, 0)] {
            let vtep = IpNet::from(cloud.machine(there).vtep.address());
            let gateway = gateways(number, false)?[here];
            cloud.machine(here).namespace.replace_route(vtep, &[gateway])?;
        }
        let intent = Intent::default()
            .tenant("red", 100)?
            .closed("red")
            .security_group("server", "red", 1, RULES)?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-a", 1, 12)?
            .member("red-2", &["server"]);
        cloud.deploy(&intent)?;
        for daemon in cloud.daemons() {
            wait_for(PATIENCE, "a next hop", || {
                let status = daemon.weft().status().map_err(|error| format!("{error:#}"))?;
                let resolved =
                    status.vteps.iter().all(|vtep| vtep.next_hops.iter().any(|hop| hop.mac.is_some()));
                if resolved { Ok(()) } else { Err(format!("{:?}", status.vteps)) }
            })?;
        }
        let (client, server) = (cloud.pod("red-1"), cloud.pod("red-2"));
        // The two directions, and what must be on no router.
        let [to, fro] = [(client.v4, server.v4), (server.v4, client.v4)];
        let on = |router: usize, (source, destination): (std::net::Ipv4Addr, std::net::Ipv4Addr)| {
            Capture::start(&cloud.underlay.routers[router], "h1", move |packet| {
                let inner = packet.vxlan().and_then(|vxlan| vxlan.inner.ip.as_ref());
                inner.is_some_and(|ip| ip.source == source && ip.destination == destination)
            })
        };
        let (there, back) = (on(0, to)?, on(1, fro)?);
        let (not_there, not_back) = (on(1, to)?, on(0, fro)?);
        let echo = server.serve()?;
        for address in server.addresses() {
            for number in 0..20 {
                let text = format!("number {number}");
                let answer = client.namespace.tcp_echo(address, &text)?;
                ensure!(answer == format!("red-2:{text}"), "{answer:?}");
            }
        }
        wait_until(PATIENCE, "packets on both ways", || there.count() > 0 && back.count() > 0)?;
        println!("{} packets went by r1, {} came by r2", there.finish()?.count, back.finish()?.count);
        not_there.assert_none("they went by r2")?;
        not_back.assert_none("they came by r1")?;
        let weft = cloud.daemon(1).weft();
        let before = weft.drops(DropReason::PolicyDenied)?;
        ensure!(client.namespace.udp_echo(server.v4.into(), "hello").is_err(), "UDP was let in");
        weft.wait_for_drop(DropReason::PolicyDenied, before)?;
        drop(echo);
        Ok(())
    })
}
