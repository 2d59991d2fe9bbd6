//! Every lie about every victim to every receiver: the victims are the neighbour on this host, the one on the other, and
//! the gateway; the receivers those too, nobody, and everybody, to whom frames are flooded.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Direction, Lab, PATIENCE, underlay, wait_for};
use weft_vxlan::MacAddr;

use super::start;
use crate::witness::{Witness, at_the_others, drops_of, is_datagram_of};

const WORD: &str = "every lie";
/// Addresses of red-a that nobody has: what asks for them is flooded.
const NOBODY4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);
const NOBODY6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 0x77);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Where the link-layer address begins in neighbour discovery with one option.
const OPTION_MAC: usize = 14 + 40 + 24 + 2;
/// Where the ICMPv6 type is.
const ICMP_KIND: usize = 14 + 40;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;

/// Somebody at layers 2 and 3.
#[derive(Debug, Clone, Copy)]
struct Station {
    mac: MacAddr,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Station {
    fn of(pod: &Pod) -> Self {
        Self { mac: pod.mac, v4: pod.v4, v6: pod.v6 }
    }

    /// The gateway, as the pod knows it.
    fn gateway_of(pod: &Pod) -> Result<Self> {
        pod.pings_address(pod.gateway4.into())?;
        let neighbours = pod.namespace.neighbours()?;
        let gateway = neighbours.iter().find(|one| one.address == IpAddr::V4(pod.gateway4));
        let mac = gateway.and_then(|one| one.mac).context("a gateway")?;
        Ok(Self { mac, v4: pod.gateway4, v6: pod.gateway6 })
    }
}

/// Frames by the reason that they are dropped for.
#[derive(Default)]
struct Lies(BTreeMap<DropReason, Vec<Vec<u8>>>);

impl Lies {
    fn add(&mut self, reason: DropReason, frame: Vec<u8>) {
        self.0.entry(reason).or_default().push(frame);
    }

    /// UDP with the victim's MAC, its addresses, or both.
    fn packets(&mut self, liar: Station, victim: Station, to: Station) -> Result<()> {
        let pairs = [
            (IpAddr::from(liar.v4), IpAddr::from(victim.v4), IpAddr::from(to.v4)),
            (liar.v6.into(), victim.v6.into(), to.v6.into()),
        ];
        for (own, others, destination) in pairs {
            for (source_mac, source, reason) in [
                (victim.mac, own, DropReason::SpoofedMac),
                (victim.mac, others, DropReason::SpoofedMac),
                (liar.mac, others, DropReason::SpoofedIp),
            ] {
                let destination_mac = if destination == IpAddr::from(ALL_NODES) {
                    MacAddr::new([0x33, 0x33, 0, 0, 0, 1])
                } else {
                    to.mac
                };
                let between = Between { source_mac, destination_mac, source, destination };
                self.add(reason, frame::udp(between, (9, 9), WORD.as_bytes())?);
            }
        }
        Ok(())
    }

    /// Requests for what is known and what is not, replies, and both gratuitous.
    fn arp(&mut self, liar: Station, victim: Station, to: Station) -> Result<()> {
        for (frame_mac, sender, reason) in [
            (liar.mac, (liar.mac, victim.v4), DropReason::SpoofedIp),
            (liar.mac, (victim.mac, liar.v4), DropReason::SpoofedMac),
            (liar.mac, (victim.mac, victim.v4), DropReason::SpoofedMac),
            (victim.mac, (victim.mac, victim.v4), DropReason::SpoofedMac),
        ] {
            for operation in [ArpOperation::REQUEST, ArpOperation::REPLY] {
                for target in [NOBODY4, victim.v4] {
                    let target = (MacAddr::new([0; 6]), target);
                    self.add(reason, frame::arp((frame_mac, to.mac), operation, sender, target)?);
                }
            }
        }
        Ok(())
    }

    /// Solicitations, advertisements, routers and redirects.
    fn neighbour_discovery(&mut self, liar: Station, victim: Station, to: Station) -> Result<()> {
        let between = |source_mac, source: Ipv6Addr| Between {
            source_mac,
            destination_mac: to.mac,
            source: source.into(),
            destination: to.v6.into(),
        };
        let (own, others) = (between(liar.mac, liar.v6), between(liar.mac, victim.v6));
        let stolen = between(victim.mac, victim.v6);
        for target in [NOBODY6, victim.v6] {
            self.add(DropReason::SpoofedIp, frame::neighbour_solicitation(others, target)?);
            self.add(DropReason::SpoofedMac, frame::neighbour_solicitation(stolen, target)?);
            let mut claims = frame::neighbour_solicitation(own, target)?;
            claims[OPTION_MAC..OPTION_MAC + 6].copy_from_slice(&victim.mac.bytes());
            self.add(DropReason::SpoofedMac, claims);
        }
        let advertises = frame::neighbour_advertisement;
        self.add(DropReason::SpoofedIp, advertises(own, victim.v6, liar.mac)?);
        self.add(DropReason::SpoofedIp, advertises(others, victim.v6, liar.mac)?);
        self.add(DropReason::SpoofedMac, advertises(own, liar.v6, victim.mac)?);
        self.add(DropReason::SpoofedMac, advertises(stolen, victim.v6, victim.mac)?);
        for kind in [ROUTER_ADVERTISEMENT, REDIRECT] {
            for (between, reason) in [(own, DropReason::NeighbourNoise), (others, DropReason::SpoofedIp)] {
                let mut message = advertises(between, liar.v6, liar.mac)?;
                message[ICMP_KIND] = kind;
                self.add(reason, message);
            }
        }
        Ok(())
    }
}

fn lies(cloud: &Cloud<'_>) -> Result<Lies> {
    let liar = Station::of(cloud.pod("red-1"));
    let (near, far) = (Station::of(cloud.pod("red-2")), Station::of(cloud.pod("red-3")));
    let gateway = Station::gateway_of(cloud.pod("red-1"))?;
    let nobody = Station { mac: MacAddr::new([2, 0xbb, 0, 0, 0, 1]), v4: NOBODY4, v6: NOBODY6 };
    let everybody = Station { mac: MacAddr::BROADCAST, v4: Ipv4Addr::new(10, 0, 0, 255), v6: ALL_NODES };
    let routed = Station { mac: gateway.mac, ..far };
    let mut lies = Lies::default();
    for victim in [near, far, gateway] {
        for to in [near, far, routed, nobody, everybody] {
            lies.packets(liar, victim, to)?;
            lies.arp(liar, victim, to)?;
            lies.neighbour_discovery(liar, victim, to)?;
        }
    }
    Ok(lies)
}

/// In: every lie from red-1. Out: no other pod hears any, and nothing of them is on the underlay; each is counted under
/// its reason; nobody's neighbours have changed, and everyone reaches everyone.
#[test]
fn to_everybody_about_everybody() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let liar = cloud.pod("red-1");
        let own = liar.mac;
        let lies = lies(&cloud)?;
        for (from, to) in [("red-2", "red-3"), ("red-3", "red-2"), ("red-2", "red-1"), ("red-3", "red-1")] {
            cloud.pod(from).pings(cloud.pod(to))?;
        }
        let wire = Capture::start(&cloud.machine(0).namespace, underlay::UPLINK, move |packet| {
            let inner = packet.vxlan().map(|vxlan| &vxlan.inner);
            let is_ours = inner.is_some_and(|inner| inner.source_mac == own || is_datagram_of(inner, WORD));
            packet.direction == Direction::Out && is_ours
        })?;
        let mut witnesses = Vec::new();
        // Of the honest words for them, those from red-2 and blue-1 leave h1, over both families.
        let wire = Witness::of(wire, 4, || {
            witnesses = at_the_others(&cloud, liar, WORD, move |packet| {
                let lied = packet.arp.is_some_and(|(sender, target)| target == NOBODY4 || sender == target);
                packet.source_mac == own || lied
            })?;
            Ok(())
        })?;
        let before = known(&cloud)?;

        for (reason, frames) in &lies.0 {
            let drops = drops_of(&cloud, liar, *reason)?;
            liar.namespace.inject_all(POD_DEVICE, frames)?;
            wait_for(PATIENCE, reason.name(), || {
                let more = drops_of(&cloud, liar, *reason).map_err(|error| format!("{error:#}"))? - drops;
                if more >= frames.len() as u64 { Ok(()) } else { Err(format!("{more} of {}", frames.len())) }
            })?;
        }
        witnesses.into_iter().try_for_each(|witness| witness.assert_silent("a lie was delivered"))?;
        wire.assert_silent("a lie left the host")?;
        let after = known(&cloud)?;
        ensure!(before == after, "a pod believed a lie: {before:#?}, then {after:#?}");
        for (from, to) in [("red-2", "red-3"), ("red-3", "red-2"), ("red-2", "red-1"), ("red-1", "red-3")] {
            cloud.pod(from).pings(cloud.pod(to))?;
        }
        Ok(())
    })
}

type Known = BTreeMap<(String, IpAddr), MacAddr>;

/// Whom the victims take for whom.
fn known(cloud: &Cloud<'_>) -> Result<Known> {
    let mut known = Known::new();
    for name in ["red-2", "red-3"] {
        for neighbour in cloud.pod(name).namespace.neighbours()? {
            let global = match neighbour.address {
                IpAddr::V4(_) => true,
                IpAddr::V6(address) => address.segments()[0] == 0xfd00,
            };
            if let (Some(mac), true) = (neighbour.mac, global) {
                known.insert((name.to_owned(), neighbour.address), mac);
            }
        }
    }
    ensure!(known.len() >= 8, "too few neighbours to be fooled about: {known:#?}");
    Ok(known)
}
