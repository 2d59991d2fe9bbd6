//! IPv4 and IPv6 routes between FRR at a and BIRD at b, both ways, over one session.

use anyhow::{Result, ensure};
use weft_tests::peers::{self, Bird, Frr, FrrSettings, Program};
use weft_tests::{Lab, PATIENCE, wait_for};

use crate::{A, B, frr_bgpd, hosts};

fn configuration() -> String {
    format!(
        "router id {B};\nprotocol device {{}}\n\
         protocol static static4 {{ ipv4; route 203.0.113.0/24 blackhole; }}\n\
         protocol static static6 {{ ipv6; route 2001:db8:b::/48 blackhole; }}\n\
         protocol bgp frr {{\nlocal {B} as 65002;\nneighbor {A} as 65001;\nconnect delay time 1;\n\
         ipv4 {{ import all; export where source = RTS_STATIC; }};\n\
         ipv6 {{ import all; export where source = RTS_STATIC; next hop address 2001:db8::2; }};\n}}\n"
    )
}

/// In: a network of each family, configured on each side. Out: each side shows the other's.
#[test]
fn both_families_both_ways() -> Result<()> {
    peers::test(&[Program::Frr, Program::Bird], |lab| {
        let (frr, bird) = speakers(lab)?;
        let four = bird.wait_for_route("198.51.100.0/24".parse()?)?;
        ensure!(four.protocol == "frr" && four.next_hop == Some(A), "{four:?}");
        let six = bird.wait_for_route("2001:db8:a::/48".parse()?)?;
        ensure!(six.protocol == "frr", "{six:?}");
        for (family, prefix) in [("ipv4", "203.0.113.0/24"), ("ipv6", "2001:db8:b::/48")] {
            wait_for(PATIENCE, prefix, || match frr.show(&format!("bgp {family} unicast")) {
                Ok(said) if said["routes"][prefix][0]["path"] == "65002" => Ok(()),
                other => Err(format!("{other:#?}")),
            })?;
        }
        Ok(())
    })
}

fn speakers(lab: &Lab) -> Result<(Frr, Bird)> {
    let [a, b] = hosts(lab)?;
    a.namespace.add_address("up0", "2001:db8::1/64".parse()?)?;
    b.namespace.add_address("up0", "2001:db8::2/64".parse()?)?;
    let bgpd = frr_bgpd(&["ipv4 unicast", "ipv6 unicast"], "");
    let frr = Frr::start(lab, "frr", &a.namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })?;
    let bird = Bird::start(lab, "bird", &b.namespace, &configuration())?;
    frr.wait_established(B)?;
    bird.wait_established("frr")?;
    frr.vtysh(&[
        "configure",
        "router bgp 65001",
        "no bgp network import-check",
        "address-family ipv4 unicast",
        "network 198.51.100.0/24",
        "exit-address-family",
        "address-family ipv6 unicast",
        "network 2001:db8:a::/48",
    ])?;
    Ok((frr, bird))
}
