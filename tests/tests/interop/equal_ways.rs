//! Ways that are equally good: a prefix behind two of FRR's VTEPs, and what GoBGP says is behind two.
//!
//! ```text
//!                                            ┌ (FRR, kernel) 192.0.2.2 h2 ─ 10.9.0.1
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ─ sw ┤
//!                                            └ (FRR, kernel) 192.0.2.3 h3 ─ 10.9.0.1
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use weft_api::view::Route;
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, KernelVtep, Program};
use weft_tests::probe::EchoServer;
use weft_tests::underlay::{Machine, UPLINK};
use weft_tests::{Capture, Lab, Namespace, PATIENCE, wait_for};

use crate::{bgpd, cloud_and_others, gobgp_toml, host, vtep};

const FLOWS: u64 = 40;

fn start<'a>(lab: &'a Lab, peers: &[u8]) -> Result<(Cloud<'a>, Vec<Machine>)> {
    let documents = peers
        .iter()
        .map(|number| Ok(Fabric::peer(&format!("h{number}"), vtep(*number)?, ASN, r#","hold_time_s":3"#)));
    let documents = documents.collect::<Result<Vec<_>>>()?;
    let (mut cloud, others) =
        cloud_and_others(lab, 1, |_| Fabric { asns: vec![ASN], any_as: false, documents: vec![documents] })?;
    cloud.deploy(&Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?)?;
    Ok((cloud, others))
}

/// FRR with L3 VNI 100 and a VRF in which an echo server has 10.9.0.1, and with this route distinguisher.
fn service(
    lab: &Lab,
    machine: &Machine,
    number: u8,
    distinguisher: &str,
) -> Result<(Frr, Namespace, EchoServer)> {
    let name = format!("h{number}");
    let vrf = lab.router(&format!("{name}-red"))?;
    vrf.add_address("lo", "10.9.0.1/32".parse()?)?;
    let kernel = KernelVtep { underlay: &machine.namespace, overlay: &vrf, address: machine.vtep.address() };
    kernel.add_vni(100)?;
    let own_vrf = format!(
        "router bgp {ASN} vrf red\n address-family ipv4 unicast\n  redistribute connected\n \
         exit-address-family\n address-family l2vpn evpn\n  rd {distinguisher}\n  advertise ipv4 unicast\n \
         exit-address-family\n"
    );
    let bgpd = bgpd(number, ASN, &[(1, ASN)], "", "  advertise-all-vni\n") + &own_vrf;
    let settings = FrrSettings {
        zebra: "vrf red\n netns red\n vni 100\nexit-vrf\n",
        bgpd: &bgpd,
        vrfs: &[("red", &vrf)],
        ..FrrSettings::default()
    };
    let frr = Frr::start(lab, &format!("frr-{number}"), &machine.namespace, settings)?;
    frr.wait_established(host(1))?;
    let echo = EchoServer::start(&vrf, &name)?;
    Ok((frr, vrf, echo))
}

/// Where packets of red to the destination go.
fn ways(cloud: &Cloud<'_>, destination: &str) -> Result<Option<Route>> {
    let said = cloud.daemon(0).weft().must(&["routes", "--network", "red", "-o", "json"])?;
    let routes: Vec<Route> = serde_json::from_str(&said).with_context(|| said.clone())?;
    let destination = destination.parse()?;
    Ok(routes.into_iter().find(|route| route.destination == destination))
}

fn wait_for_ways(cloud: &Cloud<'_>, destination: &str, count: usize) -> Result<()> {
    wait_for(PATIENCE, &format!("{count} ways to {destination}"), || match ways(cloud, destination) {
        Ok(Some(route)) if route.others.len() + 1 == count => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// Who answers red-1 at 10.9.0.1 over UDP, and how often.
fn answers(cloud: &Cloud<'_>) -> Result<BTreeMap<String, u64>> {
    let to: IpAddr = "10.9.0.1".parse()?;
    let mut answers = BTreeMap::new();
    for _ in 0..FLOWS {
        let said = cloud.pod("red-1").namespace.udp_echo(to, "hello")?;
        let (who, _) = said.split_once(':').with_context(|| said.clone())?;
        *answers.entry(who.to_owned()).or_default() += 1;
    }
    Ok(answers)
}

/// In: two FRRs that both have 10.9.0.1, then one of them loses power. Out: both answer, each a part of the flows, and
/// none of these is lost; then the one that is left answers all.
#[test]
fn a_service_behind_two() -> Result<()> {
    of_two(["192.0.2.2:100", "192.0.2.3:100"])
}

/// The same where both have one route distinguisher: one route of two paths.
#[test]
fn a_service_behind_two_with_one_distinguisher() -> Result<()> {
    of_two(["10.9.0.1:100"; 2])
}

fn of_two(distinguishers: [&str; 2]) -> Result<()> {
    peers::test(&[Program::Frr], |lab| {
        let (cloud, others) = start(lab, &[2, 3])?;
        let one = service(lab, &others[0], 2, distinguishers[0])?;
        let mut other = service(lab, &others[1], 3, distinguishers[1])?;
        wait_for_ways(&cloud, "10.9.0.1/32", 2)?;
        cloud.pod("red-1").namespace.ping_until("10.9.0.1".parse()?, PATIENCE)?;
        let both = answers(&cloud)?;
        ensure!(both.len() == 2 && both.values().all(|count| *count > FLOWS / 10), "{both:?}");

        other.0.kill()?;
        wait_for_ways(&cloud, "10.9.0.1/32", 1)?;
        let left = answers(&cloud)?;
        ensure!(left == BTreeMap::from([("h2".to_owned(), FLOWS)]), "{left:?}");
        drop(one);
        Ok(())
    })
}

/// In: by GoBGP, a MAC on a segment that h2 and h3 are attached to, told by h3 alone; then h3's route of the segment is
/// withdrawn. Out: frames to it go to both, each flow to one; then all to h2, which never told of it (RFC 7432 sections
/// 8.2 and 8.4).
#[test]
fn a_station_on_a_segment_of_two() -> Result<()> {
    peers::test(&[Program::GoBgp], |lab| {
        let (cloud, others) = start(lab, &[3])?;
        let gobgp = GoBgp::start(lab, "gobgp", &others[1].namespace, &gobgp_toml(3, ASN, &[(1, ASN)], ""))?;
        gobgp.wait_established(host(1))?;
        let esi = "LACP aa:bb:cc:dd:ee:ff 100";
        let attached = |number: u8| {
            let at = host(number);
            [
                format!(
                    "a-d esi {esi} etag 4294967295 label 0 rd {at}:1 rt 65000:101 encap vxlan \
                     esi-label 0 nexthop {at}"
                ),
                format!("a-d esi {esi} etag 0 label 101 rd {at}:101 rt 65000:101 encap vxlan nexthop {at}"),
            ]
        };
        let station = format!(
            "macadv 02:00:00:00:00:77 10.0.0.77 esi {esi} etag 0 label 101 rd 192.0.2.3:101 rt 65000:101 \
             encap vxlan nexthop 192.0.2.3"
        );
        let third = attached(3);
        for route in attached(2).iter().chain(&third).chain([&station]) {
            gobgp.add_evpn(route)?;
        }
        let (second, third) = (arrivals(&others[0])?, (arrivals(&others[1])?, third));
        wait_for(PATIENCE, "frames at both", || {
            send(&cloud).map_err(|error| format!("{error:#}"))?;
            let seen = (second.count(), third.0.count());
            if seen.0 > 0 && seen.1 > 0 { Ok(()) } else { Err(format!("{seen:?}")) }
        })?;
        drop((second, third.0));

        gobgp.delete_evpn(&third.1[0])?;
        wait_for(PATIENCE, "frames at h2 alone", || {
            let said = cloud.daemon(0).weft().must(&["bgp", "explain", "10.0.0.77", "-o", "json"]);
            match said {
                Ok(said) if !said.contains("192.0.2.3\"") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        let (second, third) = (arrivals(&others[0])?, arrivals(&others[1])?);
        send(&cloud)?;
        wait_for(PATIENCE, "all frames at h2", || match second.count() {
            FLOWS.. => Ok(()),
            count => Err(count),
        })?;
        third.assert_none("h3 is not attached")
    })
}

/// What comes to a machine for the station.
fn arrivals(machine: &Machine) -> Result<Capture> {
    let station = "02:00:00:00:00:77".parse()?;
    Capture::start(&machine.namespace, UPLINK, move |packet| {
        packet.vxlan().is_some_and(|vxlan| vxlan.vni == 101 && vxlan.inner.destination_mac == station)
    })
}

/// A datagram of each of many flows to the station, which answers none.
fn send(cloud: &Cloud<'_>) -> Result<()> {
    let namespace = &cloud.pod("red-1").namespace;
    for _ in 0..FLOWS {
        drop(namespace.udp_echo_within("10.0.0.77".parse()?, "hello", Duration::from_millis(1)));
    }
    Ok(())
}
