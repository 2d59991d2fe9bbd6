//! VXLAN that weft must not take.
//!
//! ```text
//!   red-1, blue-1 ─ h1 ┐                    ┌ h3 ─ red-3
//!                      ├ r1 ──────── r2 ┤
//!           red-2 ─ h2 ┤                    └ h4 ─ blue-4
//!             stranger ┘
//! ```
//! red (network VNI 100, subnet 101) is on h1, h2 and h3; blue (200, 201) on h1 and h4, with the same addresses.

mod fragments;

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Lab, Wire, underlay};
use weft_vxlan::{MacAddr, Vni};

const WORD: &str = "forged";

fn start(lab: &Lab) -> Result<Cloud<'_>> {
    let mut cloud = Cloud::start(lab, underlay::two_data_centres(lab, Wire::default())?)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .tenant("blue", 200)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 2, 13)?
        .pod("blue-1", "blue-a", 0, 11)?
        .pod("blue-4", "blue-a", 3, 14)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// Captures at every pod that pick what the forger says.
fn listen(cloud: &Cloud<'_>) -> Result<Vec<Capture>> {
    cloud.pods().map(|pod| pod.capture(|packet| packet.says(WORD))).collect()
}

/// A datagram that says the word, for `pod` from one that its network knows.
fn datagram(pod: &Pod, destination_mac: MacAddr, from: Ipv4Addr) -> Result<Vec<u8>> {
    saying(pod, destination_mac, from, WORD)
}

/// The same with another word.
fn saying(pod: &Pod, destination_mac: MacAddr, from: Ipv4Addr, word: &str) -> Result<Vec<u8>> {
    let between = Between {
        source_mac: MacAddr::new([2, 0xbb, 0, 0, 0, 1]),
        destination_mac,
        source: from.into(),
        destination: pod.v4.into(),
    };
    frame::udp(between, (1000, 2000), word.as_bytes())
}

/// The stranger's outer header to `host`, with a source address of its choice.
fn outer(cloud: &Cloud<'_>, source: IpAddr, host: usize) -> Result<Between> {
    let (stranger, _) = cloud.underlay.stranger.as_ref().context("a stranger")?;
    Ok(Between {
        source_mac: stranger.mac(underlay::UPLINK)?,
        destination_mac: cloud.underlay.routers[0].mac("port5")?,
        source,
        destination: cloud.machine(host).vtep.address(),
    })
}

/// In: from the stranger, VXLAN to h1 with right VNIs and MACs and inner addresses, but from an address that is no
/// VTEP; from h1's own address; and from addresses of VTEPs, into VNIs that they or h1 have no part in, or to a MAC that is not the
/// router's, or without a VNI. Out: no pod hears a word, and each is counted under its reason.
#[test]
fn from_a_stranger() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (stranger, own) = cloud.underlay.stranger.as_ref().context("a stranger")?;
        let vtep = |host: usize| cloud.machine(host).vtep.address();
        let router = cloud.machine(0).vtep.default_router_mac();
        let (red, blue) = (cloud.pod("red-1"), cloud.pod("blue-1"));
        let from = cloud.pod("red-2").v4;
        let weft = cloud.daemon(0).weft();
        let captures = listen(&cloud)?;
        for (source, vni, pod, mac, reason) in [
            // Nobody's address, into each of red's VNIs.
            (IpAddr::V4(*own), 101, red, red.mac, DropReason::UnknownVtep),
            (IpAddr::V4(*own), 100, red, router, DropReason::UnknownVtep),
            // h2 has no part in blue, h4 none in red.
            (vtep(1), 201, blue, blue.mac, DropReason::UnknownVtep),
            (vtep(1), 200, blue, router, DropReason::UnknownVtep),
            (vtep(3), 101, red, red.mac, DropReason::UnknownVtep),
            (vtep(3), 100, red, router, DropReason::UnknownVtep),
            // h1's own address, as if it had sent it: into both of red's VNIs.
            (vtep(0), 101, red, red.mac, DropReason::UnknownVtep),
            (vtep(0), 100, red, router, DropReason::UnknownVtep),
            // A VNI that h1 has not.
            (vtep(1), 999, red, red.mac, DropReason::UnknownVni),
            // Routed, but past the router.
            (vtep(1), 100, red, red.mac, DropReason::NotRouterMac),
            // To a MAC of blue's in red's subnet.
            (vtep(1), 101, blue, blue.mac, DropReason::UnknownMac),
        ] {
            let before = weft.drops(reason)?;
            let inner = datagram(pod, mac, from)?;
            stranger.inject(
                underlay::UPLINK,
                &frame::vxlan(outer(&cloud, source, 0)?, Vni::new(vni)?, &inner)?,
            )?;
            weft.wait_for_drop(reason, before).with_context(|| format!("{source} into VNI {vni}"))?;
        }

        let before = weft.drops(DropReason::BadVxlanHeader)?;
        let mut headless = vec![0; 8];
        headless.extend(datagram(red, red.mac, from)?);
        stranger
            .inject(underlay::UPLINK, &frame::udp(outer(&cloud, vtep(1), 0)?, (49_152, 4789), &headless)?)?;
        weft.wait_for_drop(DropReason::BadVxlanHeader, before)?;
        captures.into_iter().try_for_each(|capture| capture.assert_none("forged VXLAN was delivered"))
    })
}

/// In: a pod sends VXLAN for blue's network itself: to its own host's VTEP, to another host's, and from a VTEP's
/// address; whole and in fragments. Out: nothing leaves its host, no pod hears a word, and the drops are counted.
#[test]
fn from_a_pod() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let watch = cloud.watch()?;
        let (red, blue) = (cloud.pod("red-1"), cloud.pod("blue-1"));
        let weft = cloud.daemon(0).weft();
        let captures: Vec<_> = cloud
            .pods()
            .filter(|pod| pod.name != red.name)
            .map(|pod| pod.capture(|packet| packet.says(WORD)))
            .collect::<Result<_>>()?;
        let inner = datagram(blue, blue.mac, cloud.pod("blue-4").v4)?;
        let gateway_mac = gateway_mac(red)?;
        for (source, host, reason) in [
            (IpAddr::V4(red.v4), 0, DropReason::NoRoute),
            (IpAddr::V4(red.v4), 3, DropReason::NoRoute),
            (cloud.machine(3).vtep.address(), 0, DropReason::SpoofedIp),
        ] {
            let between = Between {
                source_mac: red.mac,
                destination_mac: gateway_mac,
                source,
                destination: cloud.machine(host).vtep.address(),
            };
            let before = weft.drops(reason)?;
            let whole = frame::vxlan(between, Vni::new(201)?, &inner)?;
            red.namespace.inject(POD_DEVICE, &whole)?;
            weft.wait_for_drop(reason, before).with_context(|| format!("{source} to h{}", host + 1))?;
            // A host that got the pieces would put them together.
            for fragment in frame::fragments(&whole, 40)? {
                let before = weft.drops(reason)?;
                red.namespace.inject(POD_DEVICE, &fragment)?;
                weft.wait_for_drop(reason, before).with_context(|| format!("a fragment to h{}", host + 1))?;
            }
        }
        red.pings(cloud.pod("red-2"))?;
        captures
            .into_iter()
            .try_for_each(|capture| capture.assert_none("a pod's own VXLAN was delivered"))?;
        watch.assert_clean().map(drop)
    })
}

/// What the pod takes for its gateway's MAC.
fn gateway_mac(pod: &Pod) -> Result<MacAddr> {
    pod.pings_address(pod.gateway4.into())?;
    let neighbours = pod.namespace.neighbours()?;
    let gateway = neighbours.iter().find(|neighbour| neighbour.address == IpAddr::V4(pod.gateway4));
    gateway.and_then(|neighbour| neighbour.mac).with_context(|| format!("a gateway among {neighbours:?}"))
}

/// In: what the stranger sends that is not VXLAN for h1: a ping, TCP, and UDP to another port. Out: h1's own stack has
/// it, as if weft were not there.
#[test]
fn what_is_not_ours_passes() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab)?;
        let (stranger, own) = cloud.underlay.stranger.as_ref().context("a stranger")?;
        let host = cloud.machine(0);
        let vtep = host.vtep.address();
        let rtt = stranger.ping(vtep)?;
        ensure!(rtt.is_ok(), "{rtt:?}");
        let back = host.namespace.ping((*own).into())?;
        ensure!(back.is_ok(), "{back:?}");
        let _server = weft_tests::probe::EchoServer::start(&host.namespace, "h1")?;
        ensure!(stranger.tcp_echo(vtep, "hello")? == "h1:hello");

        let receiver = host.namespace.run(|| UdpSocket::bind((vtep, 4790)))??;
        receiver.set_read_timeout(Some(weft_tests::probe::ANSWER))?;
        stranger.run(|| UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", (vtep, 4790)))??;
        let mut said = [0; 16];
        let length = receiver.recv(&mut said)?;
        ensure!(said.get(..length) == Some(b"hello".as_slice()));
        Ok(())
    })
}
