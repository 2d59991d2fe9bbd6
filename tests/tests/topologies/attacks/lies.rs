//! Lies about addresses and MACs where rules name those who may come.
//!
//! ```text
//! red-2 ── as red-4, as the gateway, with another MAC; ARP and neighbour discovery ──► red-1 and all others
//! ```

use anyhow::Result;
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_vxlan::MacAddr;

use super::{Honest, between};

const LIES: u64 = 2_000;

/// In: with honest traffic beside, thousands each of: datagrams and SYN with another's address or MAC, ARP and neighbour
/// discovery that give red-4's address or the gateway's to red-2. Out: each is dropped by h1 for what it lies about, and the honest
/// ones go on talking to whom they mean.
pub fn about_addresses_and_macs(cloud: &Cloud<'_>) -> Result<()> {
    let (liar, victim, robbed) = (cloud.pod("red-2"), cloud.pod("red-1"), cloud.pod("red-4"));
    let honest = Honest::begin(cloud, "lies")?;
    let way = between(liar, victim);
    let over_v6 =
        |source: std::net::Ipv6Addr| Between { source: source.into(), destination: victim.v6.into(), ..way };
    let nobody = MacAddr::new([2, 0xbb, 0, 0, 0, 1]);
    let unknown = MacAddr::new([0; 6]);
    let arp = |mac, address| {
        let (to, target) = ((liar.mac, MacAddr::BROADCAST), (unknown, victim.v4));
        frame::arp(to, ArpOperation::REPLY, (mac, address), target)
    };
    let syn = weft_dataplane_abi::flags::SYN;
    let of_address = [
        frame::udp(Between { source: robbed.v4.into(), ..way }, (1, 7), b"a lie")?,
        frame::tcp(Between { source: robbed.v4.into(), ..way }, (1, 7), syn, (1, 0))?,
        frame::tcp(over_v6(robbed.v6), (1, 7), syn, (1, 0))?,
        arp(liar.mac, robbed.v4)?,
        arp(liar.mac, liar.gateway4)?,
        frame::neighbour_advertisement(over_v6(liar.v6), robbed.v6, liar.mac)?,
        frame::neighbour_advertisement(over_v6(liar.v6), liar.gateway6, liar.mac)?,
        frame::neighbour_solicitation(over_v6(robbed.v6), victim.v6)?,
    ];
    let of_mac = [
        frame::udp(Between { source_mac: nobody, ..way }, (1, 7), b"a lie")?,
        frame::udp(Between { source_mac: robbed.mac, source: robbed.v4.into(), ..way }, (1, 7), b"a lie")?,
        frame::udp(Between { source_mac: robbed.mac, ..over_v6(robbed.v6) }, (1, 7), b"a lie")?,
        arp(nobody, liar.v4)?,
        frame::neighbour_advertisement(over_v6(liar.v6), liar.v6, nobody)?,
    ];
    let floods = of_address.iter().chain(&of_mac);
    let floods = floods.map(|lie| liar.namespace.flood(POD_DEVICE, LIES, lie.clone(), |_, _| {}));
    let floods = floods.collect::<Result<Vec<_>>>()?;
    let outcome = honest.beside(floods, true)?;
    outcome.at_least(0, DropReason::SpoofedIp, LIES * of_address.len() as u64)?;
    outcome.at_least(0, DropReason::SpoofedMac, LIES * of_mac.len() as u64)
}
