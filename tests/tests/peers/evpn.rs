//! EVPN routes between FRR at a and GoBGP at b, both ways.

use anyhow::{Result, ensure};
use weft_tests::peers::{self, Frr, FrrSettings, GoBgp, KernelVtep, Program};
use weft_tests::{PATIENCE, wait_for};

use crate::{A, B, frr_bgpd, gobgp_toml, hosts};

const MAC: &str = "02:00:00:00:00:07";
const INTO_VNI: &str = "etag 0 label 101 rd 65002:101 rt 65002:101 encap vxlan";

/// In: routes of type 1, 2, 3, 4 and 5 put into GoBGP, and one taken out again. Out: FRR has all of them from b, with
/// route target and router MAC; and the one that went is gone.
#[test]
fn frr_shows_what_gobgp_announces() -> Result<()> {
    peers::test(&[Program::Frr, Program::GoBgp], |lab| {
        let [a, b] = hosts(lab)?;
        let bgpd = frr_bgpd(&["l2vpn evpn"], "");
        let frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let gobgp = GoBgp::start(lab, "gobgp", &b.namespace, &gobgp_toml())?;
        frr.wait_established(B)?;
        gobgp.wait_established(A)?;

        let mac_ip = format!("macadv {MAC} 10.9.0.7 {INTO_VNI}");
        gobgp.add_evpn(&mac_ip)?;
        gobgp.add_evpn(&format!("a-d esi single-homed {INTO_VNI}"))?;
        gobgp.add_evpn(&format!(
            "multicast {B} etag 0 rd 65002:101 rt 65002:101 encap vxlan pmsi ingress-repl 101 {B}"
        ))?;
        gobgp.add_evpn(&format!("esi {B} esi LACP aa:bb:cc:dd:ee:ff 100 rd 192.0.2.2:1"))?;
        gobgp.add_evpn(&format!(
            "prefix 10.77.0.0/24 etag 0 label 9000 rd 65002:9000 rt 65002:9000 encap vxlan router-mac {MAC}"
        ))?;
        for kind in 1..=5 {
            let path = frr.wait_for_evpn(&format!("a route of type {kind}"), |path| {
                path.route.starts_with(&format!("[{kind}]:"))
            })?;
            ensure!(
                path.neighbour == Some(B) && path.next_hops == [B] && path.as_path == "65002",
                "{path:#?}"
            );
            ensure!(path.best, "{path:#?}");
        }
        let paths = frr.evpn_paths()?;
        let has = |rd: &str, route: &str, community: &str| {
            paths.iter().any(|path| {
                path.rd == rd && path.route == route && path.extended_communities.contains(community)
            })
        };
        let route = format!("[2]:[0]:[48]:[{MAC}]:[32]:[10.9.0.7]");
        ensure!(has("65002:101", &route, "RT:65002:101"), "{paths:#?}");
        ensure!(has("65002:101", "[3]:[0]:[32]:[192.0.2.2]", "ET:8"), "{paths:#?}");
        ensure!(has("65002:9000", "[5]:[0]:[24]:[10.77.0.0]", &format!("Rmac:{MAC}")), "{paths:#?}");

        gobgp.delete_evpn(&mac_ip)?;
        wait_for(PATIENCE, "the withdrawal", || match frr.evpn_paths() {
            Ok(paths) if paths.len() == 4 && paths.iter().all(|path| path.route != route) => Ok(()),
            other => Err(format!("{other:#?}")),
        })
    })
}

/// In: FRR as a VTEP with an L2 VNI, and a pod that says something. Out: GoBGP has the route of type 3 with the VNI as
/// its label, and one of type 2 with the pod's MAC.
#[test]
fn gobgp_shows_what_frr_announces() -> Result<()> {
    peers::test(&[Program::Frr, Program::GoBgp], |lab| {
        let [a, b] = hosts(lab)?;
        let vtep = KernelVtep { underlay: &a.namespace, overlay: &a.namespace, address: A };
        vtep.add_vni(101)?;
        let bgpd = frr_bgpd(&["l2vpn evpn"], "  advertise-all-vni\n");
        let _frr =
            Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
        let gobgp = GoBgp::start(lab, "gobgp", &b.namespace, &gobgp_toml())?;
        gobgp.wait_established(A)?;

        let multicast = gobgp.wait_for_path("evpn", "a route of type 3", |route, path| {
            route.starts_with("[type:multicast]") && path.neighbour == Some(A)
        })?;
        // PMSI tunnel: ingress replication.
        let pmsi = multicast.attributes.get(&22);
        ensure!(
            pmsi.is_some_and(|pmsi| pmsi["label"] == 101 && pmsi["tunnel-id"] == "192.0.2.1"),
            "{multicast:#?}"
        );

        let pod = vtep.pod(lab, "pod", 101, "10.9.0.11/24".parse()?, None)?;
        // Nobody answers; that it asks is enough.
        let nobody = pod.namespace.ping("10.9.0.99".parse()?)?;
        ensure!(nobody.is_err(), "{nobody:?}");
        let mac = pod.namespace.mac("eth0")?.to_string();
        let mac_ip = gobgp.wait_for_path("evpn", "a route of type 2", |route, _| {
            route.starts_with("[type:macadv]") && route.contains(&format!("[mac:{mac}]"))
        })?;
        ensure!(mac_ip.nlri["value"]["labels"][0] == 101, "{mac_ip:#?}");
        Ok(())
    })
}
