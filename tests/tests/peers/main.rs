//! The harness's BGP speakers, proved by each other: what one says, another shows; weft takes no part. And weft's BFD, proved by
//! FRR's.
//!
//! ```text
//! a up0 ───────── up0 b
//! 192.0.2.1       192.0.2.2
//! AS 65001        AS 65002
//! ```

mod bfd;
mod bird;
mod evpn;
mod exabgp;
mod lifetimes;
mod raw;
mod vteps;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use weft_tests::underlay::{self, Machine};
use weft_tests::{Lab, Wire};

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(B4);
const B4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The two ends of the wire.
fn hosts(lab: &Lab) -> Result<[Machine; 2]> {
    let mut machines = underlay::two_hosts(lab, Wire::default())?.machines.into_iter();
    match [machines.next(), machines.next()] {
        [Some(a), Some(b)] => Ok([a, b]),
        other => anyhow::bail!("two hosts are {other:?}"),
    }
}

/// bgpd of a, with b as its neighbour in these families; `more` goes into the family of EVPN.
fn frr_bgpd(families: &[&str], more: &str) -> String {
    frr_between([A, B], [65001, 65002], families, more)
}

/// bgpd of the first of two addresses and ASes, with the second as its neighbour.
fn frr_between([own, other]: [IpAddr; 2], [ours, theirs]: [u32; 2], families: &[&str], more: &str) -> String {
    let family = |family: &&str| {
        let more = if *family == "l2vpn evpn" { more } else { "" };
        format!(" address-family {family}\n  neighbor {other} activate\n{more} exit-address-family\n")
    };
    format!(
        "router bgp {ours}\n bgp router-id {own}\n no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n neighbor {other} remote-as {theirs}\n neighbor {other} timers connect 1\n{}",
        families.iter().map(family).collect::<String>()
    )
}

/// gobgpd of b, with a as its neighbour for EVPN.
fn gobgp_toml() -> String {
    format!(
        "[global.config]\nas = 65002\nrouter-id = \"{B}\"\n\n\
         [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{A}\"\npeer-as = 65001\n\
         [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"l2vpn-evpn\"\n"
    )
}
