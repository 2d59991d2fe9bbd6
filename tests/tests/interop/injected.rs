//! What weft makes of routes that GoBGP injects.
//!
//! ```text
//! red-1 10.0.0.11 ─ h1 192.0.2.1 (weft) ──── sw ──── (GoBGP) 192.0.2.3 h3, with nothing behind it
//! ```

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_api::view::bgp::{Candidate, CandidateSource, Explanation, RibRoute, Verdict};
use weft_tests::cloud::{ASN, Cloud, Fabric, Intent};
use weft_tests::peers::{self, GoBgp, Program};
use weft_tests::underlay::{Machine, UPLINK};
use weft_tests::{Capture, PATIENCE, Vxlan, wait_for};

use crate::{cloud_and_others, gobgp_toml, host, vtep};

const MAC: &str = "02:00:00:00:00:77";
const ROUTER_MAC: &str = "02:00:00:00:00:99";
const INTO_SUBNET: &str = "rd 192.0.2.3:101 rt 65000:101 encap vxlan";
const INTO_NETWORK: &str = "rd 192.0.2.3:100 rt 65000:100 encap vxlan";

/// In: routes of all five types by GoBGP, and some that cannot be used. Out: a host, a prefix and floods go to h3 in
/// VXLAN as the routes say; each other route says why it is not used; all stand in the RIB; and once withdrawn, nothing
/// goes there any more.
#[test]
fn each_type_is_used_or_says_why_not() -> Result<()> {
    peers::test(&[Program::GoBgp], |lab| {
        let (mut cloud, others) =
            cloud_and_others(lab, 1, |vteps| Fabric::clients(vteps, vtep(3).unwrap(), ""))?;
        cloud.deploy(&Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?)?;
        // One machine is h2, which does nothing.
        let machine = &others[1];
        let gobgp = GoBgp::start(lab, "gobgp", &machine.namespace, &gobgp_toml(3, ASN, &[(1, ASN)], ""))?;
        gobgp.wait_established(host(1))?;

        let mac_ip = format!("macadv {MAC} 10.0.0.77 etag 0 label 101 {INTO_SUBNET}");
        let multicast = format!("multicast 192.0.2.3 etag 0 {INTO_SUBNET} pmsi ingress-repl 101 192.0.2.3");
        let prefix = format!("prefix 10.77.0.0/24 etag 0 label 100 {INTO_NETWORK} router-mac {ROUTER_MAC}");
        let others = [
            format!("macadv {MAC} 10.0.0.78 etag 0 label 101 rd 192.0.2.3:999 rt 65000:999 encap vxlan"),
            format!("prefix 10.78.0.0/24 etag 0 label 100 {INTO_NETWORK}"),
            format!(
                "prefix 10.79.0.0/24 gw 10.0.0.77 etag 0 label 100 {INTO_NETWORK} router-mac {ROUTER_MAC}"
            ),
            format!("a-d esi single-homed etag 0 label 101 {INTO_SUBNET}"),
            String::from("esi 192.0.2.3 esi LACP aa:bb:cc:dd:ee:ff 100 rd 192.0.2.3:1"),
        ];
        for route in [&mac_ip, &multicast, &prefix].into_iter().chain(&others) {
            gobgp.add_evpn(route)?;
        }
        for (subject, verdict, reason) in [
            ("10.0.0.77", Verdict::Used, ""),
            ("10.77.0.0/24", Verdict::Used, ""),
            ("10.0.0.78", Verdict::NotImported, "route targets"),
            ("10.78.0.0/24", Verdict::Refused, "router's MAC"),
            ("10.79.0.0/24", Verdict::Refused, "interface-less"),
        ] {
            explained(&cloud, subject, verdict, reason)?;
        }
        let rib: Vec<RibRoute> =
            serde_json::from_str(&cloud.daemon(0).weft().must(&["bgp", "rib", "-o", "json"])?)?;
        let of_gobgp = |kind: &str| {
            let is_it =
                |route: &&RibRoute| route.route.starts_with(kind) && route.route.contains("192.0.2.3:");
            rib.iter().filter(is_it).count()
        };
        let counts = ["[1]", "[2]", "[3]", "[4]", "[5]"].map(of_gobgp);
        ensure!(counts == [1, 2, 1, 1, 3], "{counts:?} of {rib:#?}");

        // Where nobody answers, the packet must have arrived.
        arrives(&cloud, machine, "10.0.0.77", 101, Some(MAC))?;
        arrives(&cloud, machine, "10.77.0.5", 100, Some(ROUTER_MAC))?;
        arrives(&cloud, machine, "10.0.0.88", 101, None)?;

        for route in [&mac_ip, &multicast, &prefix] {
            gobgp.delete_evpn(route)?;
        }
        for subject in ["10.0.0.77", "10.77.0.0/24"] {
            wait_for(PATIENCE, &format!("the end of {subject}"), || match explain(&cloud, subject) {
                Ok(said) if !said.iter().flat_map(|one| &one.candidates).any(is_learned) => Ok(()),
                other => Err(format!("{other:#?}")),
            })?;
        }
        let silence = Capture::start(&machine.namespace, UPLINK, |packet| packet.vxlan().is_some())?;
        for address in ["10.0.0.77", "10.77.0.5", "10.0.0.88"] {
            let answer = cloud.pod("red-1").namespace.ping(address.parse()?)?;
            ensure!(answer.is_err(), "{address}: {answer:?}");
        }
        silence.assert_none("what was withdrawn is not sent to")
    })
}

/// Whether it is of a peer.
fn is_learned(candidate: &Candidate) -> bool {
    matches!(candidate.source, CandidateSource::Route { .. })
}

fn explain(cloud: &Cloud<'_>, subject: &str) -> Result<Vec<Explanation>> {
    let said = cloud.daemon(0).weft().must(&["bgp", "explain", subject, "-o", "json"])?;
    serde_json::from_str(&said).with_context(|| said.clone())
}

/// Waits until weft says so of a route to `subject`.
pub(crate) fn explained(cloud: &Cloud<'_>, subject: &str, verdict: Verdict, reason: &str) -> Result<()> {
    wait_for(PATIENCE, &format!("{subject} {verdict:?}"), || {
        let said = explain(cloud, subject).map_err(|error| format!("{error:#}"))?;
        let mut candidates = said.iter().flat_map(|one| &one.candidates);
        let found = candidates.any(|one| one.verdict == verdict && one.reason.contains(reason));
        if found { Ok(()) } else { Err(format!("{said:#?}")) }
    })
}

/// red-1 pings `address`, and h3 gets it, or the question who has it, in this VNI and for this MAC.
pub(crate) fn arrives(
    cloud: &Cloud<'_>,
    at: &Machine,
    address: &str,
    vni: u32,
    mac: Option<&str>,
) -> Result<()> {
    let address: IpAddr = address.parse()?;
    let mac = mac.map(str::parse).transpose()?;
    let is_it = move |vxlan: &Vxlan| {
        let inner = &vxlan.inner;
        let asked = inner.arp.is_some_and(|(_, target)| target == address);
        vxlan.vni == vni
            && mac.map_or(asked, |mac| inner.has_address(address) && inner.destination_mac == mac)
    };
    let seen = Capture::start(&at.namespace, UPLINK, move |packet| packet.vxlan().is_some_and(is_it))?;
    wait_for(PATIENCE, &format!("{address} at h3"), || {
        let answer =
            cloud.pod("red-1").namespace.ping_sized(address, 56, std::time::Duration::from_millis(200));
        if seen.count() > 0 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
}
