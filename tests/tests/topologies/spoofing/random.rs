//! 100,000 frames with random MACs and addresses, from one pod, as fast as it can.
//!
//! ```text
//! red-1 10.0.0.11 ┐                                     ┌ red-3 10.0.0.13
//! red-2 10.0.0.12 ┼ h1 192.0.2.1 ────── 192.0.2.2 h2 ┴ blue-3
//! blue-1          ┘
//! ```
//! red-1 sends them, red-2 and blue-1 have work to do on the same host meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{HashMap, Map, MapData};
use etherparse::ArpOperation;
use weft_dataplane_abi::{
    DropReason, Endpoint, FloodKey, FloodMember, HostRoute, IpKey, MacKey, NextHop, VtepAddr, VtepEntry,
    VtepVniKey, maps,
};
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::Steady;
use weft_tests::{Capture, Direction, Lab, PATIENCE, underlay, wait_until};
use weft_vxlan::MacAddr;

use super::start;
use crate::witness::{at_the_others, drops_of};

const WORD: &str = "random";
/// Frames of each kind.
const EACH: u64 = 10_000;
/// Frames that the kernel's queue behind a veth surely takes at once.
const AT_ONCE: usize = 500;
/// `limits.floods`, by default.
const FLOODS_PER_SECOND: u64 = 200;

/// Random numbers that are the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Locally administered, of one station, and nobody's.
    fn mac(&mut self) -> MacAddr {
        let [a, b, c, d, ..] = self.next().to_be_bytes();
        MacAddr::new([0x06, a, b, c, d, 0x77])
    }

    /// Of a /8 that nobody here has.
    fn ipv4(&mut self) -> Ipv4Addr {
        let [a, b, c, ..] = self.next().to_be_bytes();
        Ipv4Addr::new(77, a, b, c)
    }

    /// Of the network `high`.
    fn ipv6(&mut self, high: u64) -> Ipv6Addr {
        (u128::from(high) << 64 | u128::from(self.next() | 1 << 63)).into()
    }
}

/// Documentation's (RFC 3849), which is nobody's.
const NOBODYS: u64 = 0x2001_0db8_0000_0000;
/// red-a's.
const SUBNETS: u64 = 0xfd00_000a_0000_0000;

/// One frame of each kind, each with the reason for which it is dropped at once or, if it is flooded, beyond the rate.
fn kinds(random: &mut Random, liar: &Pod, gateway: MacAddr) -> Result<Vec<(Vec<u8>, DropReason)>> {
    let says = |source_mac, source: IpAddr, destination_mac, destination: IpAddr| {
        frame::udp(Between { source_mac, destination_mac, source, destination }, (9, 9), WORD.as_bytes())
    };
    let everyone = MacAddr::BROADCAST;
    let asks = |frame_mac, sender, target| {
        frame::arp((frame_mac, everyone), ArpOperation::REQUEST, sender, (MacAddr::new([0; 6]), target))
    };
    let solicits = Between {
        source_mac: liar.mac,
        destination_mac: MacAddr::new([0x33, 0x33, 0xff, 0, 0, 1]),
        source: liar.v6.into(),
        destination: "ff02::1:ff00:1".parse()?,
    };
    let (own4, own6) = (IpAddr::from(liar.v4), IpAddr::from(liar.v6));
    let mac = random.mac();
    let (to4, to6) = (IpAddr::from(random.ipv4()), IpAddr::from(random.ipv6(NOBODYS)));
    Ok(vec![
        (says(mac, random.ipv4().into(), gateway, to4)?, DropReason::SpoofedMac),
        (says(mac, random.ipv6(NOBODYS).into(), random.mac(), to6)?, DropReason::SpoofedMac),
        (asks(mac, (mac, random.ipv4()), random.ipv4())?, DropReason::SpoofedMac),
        (says(liar.mac, random.ipv4().into(), random.mac(), to4)?, DropReason::SpoofedIp),
        (says(liar.mac, random.ipv6(NOBODYS).into(), gateway, to6)?, DropReason::SpoofedIp),
        (asks(liar.mac, (liar.mac, random.ipv4()), random.ipv4())?, DropReason::SpoofedIp),
        (says(liar.mac, own4, gateway, to4)?, DropReason::NoRoute),
        (says(liar.mac, own6, gateway, to6)?, DropReason::NoRoute),
        (says(liar.mac, own4, random.mac(), to4)?, DropReason::FloodLimited),
        (frame::neighbour_solicitation(solicits, random.ipv6(SUBNETS))?, DropReason::FloodLimited),
    ])
}

/// Everything in a table of a host, as bytes.
fn table<const K: usize, const V: usize>(folder: &Path, name: &str) -> Result<Vec<([u8; K], [u8; V])>> {
    let path = folder.join("maps").join(name);
    let data = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
    let table = HashMap::<_, [u8; K], [u8; V]>::try_from(Map::HashMap(data))?;
    let mut entries = table.iter().collect::<std::result::Result<Vec<_>, _>>()?;
    entries.sort_unstable();
    Ok(entries)
}

/// The tables that packets are looked up in, of a host.
fn tables(cloud: &Cloud<'_>, host: usize) -> Result<impl PartialEq> {
    let folder = &cloud.daemon(host).settings().pin_folder;
    let routes = table::<{ size_of::<IpKey>() }, { size_of::<HostRoute>() }>(folder, maps::HOSTS)?;
    let stations = table::<{ size_of::<MacKey>() }, { size_of::<NextHop>() }>(folder, maps::FDB)?;
    let members = table::<{ size_of::<FloodKey>() }, { size_of::<FloodMember>() }>(folder, maps::FLOOD)?;
    let endpoints = table::<4, { size_of::<Endpoint>() }>(folder, maps::ENDPOINTS)?;
    let may_send = table::<{ size_of::<VtepVniKey>() }, 1>(folder, maps::VTEP_VNIS)?;
    let vteps = table::<{ size_of::<VtepAddr>() }, { size_of::<VtepEntry>() }>(folder, maps::VTEPS)?;
    ensure!(!routes.is_empty() && !stations.is_empty() && !members.is_empty(), "a table is empty");
    Ok((routes, stations, members, endpoints, may_send, vteps))
}

/// In: ten kinds of frames in turn, 10,000 of each: random source MACs and addresses in IPv4, IPv6 and ARP; from red-1's
/// own, to random addresses, MACs and neighbours; while red-2 pings red-3 and blue-1 sends to blue-3. Out: nothing of the
/// others' is lost; no pod hears any of it; the other host gets what the rate of floods lets through; each frame is
/// counted; no table has changed, and weftd has nothing to say about it.
#[test]
fn fill_nothing_and_harm_nobody() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        cloud.wait_until_tested()?;
        let liar = cloud.pod("red-1");
        liar.pings_address(liar.gateway4.into())?;
        let neighbours = liar.namespace.neighbours()?;
        let gateway = neighbours.iter().find(|one| one.address == IpAddr::V4(liar.gateway4));
        let gateway = gateway.and_then(|one| one.mac).context("a gateway")?;
        let own = liar.mac;
        let witnesses = at_the_others(&cloud, liar, WORD, move |packet| {
            packet.source_mac == own || packet.source_mac.bytes()[0] == 0x06
        })?;
        let flooded = Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, move |packet| {
            let is_ours = packet.vxlan().is_some_and(|vxlan| vxlan.inner.source_mac == own);
            packet.direction == Direction::Out && is_ours
        })?;
        let before = [tables(&cloud, 0)?, tables(&cloud, 1)?];
        let said = cloud.daemon(0).log_end(usize::MAX).len();
        let mut random = Random(1);
        let counts = kinds(&mut random, liar, gateway)?.into_iter().map(|(_, reason)| reason);
        let mut expected = BTreeMap::<DropReason, u64>::new();
        counts.for_each(|reason| *expected.entry(reason).or_default() += EACH);
        let drops = expected.keys().map(|reason| drops_of(&cloud, liar, *reason));
        let drops = drops.collect::<Result<Vec<_>>>()?;

        let (red, blue) = (cloud.pod("red-2"), cloud.pod("blue-1"));
        let flows = [
            Steady::ping(&red.namespace, cloud.pod("red-3").v4.into(), 100)?,
            Steady::udp(&blue.namespace, &cloud.pod("blue-3").namespace, cloud.pod("blue-3").v6.into(), 200)?,
        ];
        flows.iter().try_for_each(|flow| flow.wait_for_more(10))?;
        flood(&cloud, liar, gateway, &mut random)?;
        flows.iter().try_for_each(|flow| flow.wait_for_more(10))?;
        for flow in flows {
            let tally = flow.stop()?;
            ensure!(tally.lost() == 0, "others lost something: {tally:?}");
        }

        for ((reason, expected), before) in expected.into_iter().zip(drops) {
            let copied = if reason == DropReason::FloodLimited { flooded.count() } else { 0 };
            let dropped = drops_of(&cloud, liar, reason)? - before;
            ensure!(dropped + copied == expected, "{dropped} of {expected} dropped as {}", reason.name());
        }
        ensure!(flooded.count() >= FLOODS_PER_SECOND, "nothing was flooded");
        witnesses
            .into_iter()
            .try_for_each(|witness| witness.assert_silent("a random frame was delivered"))?;
        ensure!(before == [tables(&cloud, 0)?, tables(&cloud, 1)?], "a table has changed");
        let log = cloud.daemon(0).log_end(usize::MAX);
        ensure!(log.len() == said, "weftd said: {}", log.get(said..).unwrap_or(&log));
        liar.pings(cloud.pod("red-3"))
    })
}

/// Sends all frames of all kinds, a few hundred at a time.
fn flood(cloud: &Cloud<'_>, liar: &Pod, gateway: MacAddr, random: &mut Random) -> Result<()> {
    let ports = cloud.daemon(0).weft().status()?.ports;
    let port = ports.into_iter().find(|port| port.name == liar.name).context("no port")?;
    let host = &cloud.machine(0).namespace;
    let veth = port.device.context("no device")?;
    let arrived = Capture::start(host, &veth, |packet| packet.direction == Direction::In)?;
    let (mut frames, mut sent) = (Vec::new(), 0);
    for _ in 0..EACH {
        frames.extend(kinds(random, liar, gateway)?.into_iter().map(|(frame, _)| frame));
        if frames.len() >= AT_ONCE {
            liar.namespace.inject_all(POD_DEVICE, &frames)?;
            sent += frames.len() as u64;
            frames.clear();
            // One device's queue is all devices': what it overflows with would be lost by everyone.
            wait_until(PATIENCE, "what was sent", || arrived.count() >= sent)?;
        }
    }
    ensure!(sent == 10 * EACH, "{sent} were sent");
    Ok(())
}
