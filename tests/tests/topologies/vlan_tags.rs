//! Frames with VLAN tags: weft's networks have none, so none passes, wherever the tag is.
//!
//! ```text
//! red-1 10.0.0.11 ┐
//! red-3 10.0.0.13 ┴ h1 up0 192.0.2.1 ────── 192.0.2.2 up0 h2 ─ red-2 10.0.0.12
//! ```
//! The kernel takes the outermost tag of what a device receives off before any program sees the frame, and keeps it beside
//! the packet; a second tag stays in the frame, as does every tag inside VXLAN that weft takes off itself.

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_api::view::Xdp;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::probe::Steady;
use weft_tests::underlay::{UPLINK, two_hosts};
use weft_tests::{Capture, Lab, Offloads, PATIENCE, Wire, wait_until};
use weft_vxlan::{MacAddr, Vni};

const WORD: &str = "tagged";
const PLAIN: &str = "not so";
/// A priority without a VLAN.
const PRIORITY: &[(u16, u16)] = &[(0x8100, 0xe000)];
/// Tags, the outermost first: 802.1Q, 802.1ad, both.
const TAGS: [(&str, &[(u16, u16)]); 6] = [
    ("a tag", &[(0x8100, 5)]),
    ("a priority tag", PRIORITY),
    ("a service tag", &[(0x88a8, 5)]),
    ("QinQ", &[(0x88a8, 5), (0x8100, 6)]),
    ("two tags", &[(0x8100, 5), (0x8100, 6)]),
    ("a tag of old QinQ", &[(0x9100, 5), (0x8100, 6)]),
];

fn start(lab: &Lab, xdp: Xdp) -> Result<Cloud<'_>> {
    let wire = Wire { offloads: Offloads::Off, ..Wire::default() };
    let mut cloud = Cloud::start_with(lab, two_hosts(lab, wire)?, |settings| settings.xdp = xdp)?;
    let intent = Intent::default()
        .tenant("red", 100)?
        .pod("red-1", "red-a", 0, 11)?
        .pod("red-2", "red-a", 1, 12)?
        .pod("red-3", "red-a", 0, 13)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// What `from` can say to `to`: UDP of both families, and ARP.
fn frames(from: &Pod, to: &Pod, word: &str) -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    for (source, destination) in from.addresses().into_iter().zip(to.addresses()) {
        let between = Between { source_mac: from.mac, destination_mac: to.mac, source, destination };
        frames.push(frame::udp(between, (1000, 2000), word.as_bytes())?);
    }
    let nobody = MacAddr::new([0; 6]);
    let macs = (from.mac, MacAddr::BROADCAST);
    frames.push(frame::arp(macs, ArpOperation::REQUEST, (from.mac, from.v4), (nobody, to.v4))?);
    Ok(frames)
}

/// All that arrives at pods with the word, or with a tag.
fn listen(cloud: &Cloud<'_>, at: &[&str]) -> Result<Vec<Capture>> {
    let tags = [0x8100, 0x88a8, 0x9100];
    let is_tagged = move |packet: &weft_tests::Packet| {
        let arrives = packet.direction == weft_tests::Direction::In;
        arrives && (packet.says(WORD) || tags.contains(&packet.ethertype))
    };
    at.iter().map(|name| cloud.pod(name).capture(is_tagged)).collect()
}

/// Sends each kind of frame with each kind of tags by `send`, and waits until the host with this number dropped all.
fn refused(
    cloud: &Cloud<'_>,
    (from, to): (&Pod, &Pod),
    host: usize,
    send: impl Fn(&[u8]) -> Result<()>,
) -> Result<()> {
    let weft = cloud.daemon(host).weft();
    for (what, tags) in TAGS {
        let before = weft.drops(DropReason::UnsupportedEthertype)?;
        let frames = frames(from, to, WORD)?;
        frames.iter().try_for_each(|frame| send(&frame::tagged(frame, tags)))?;
        let all = before + u64::try_from(frames.len())?;
        wait_until(PATIENCE, what, || {
            weft.drops(DropReason::UnsupportedEthertype).is_ok_and(|drops| drops >= all)
        })
        .with_context(|| format!("from {} to {}", from.name, to.name))?;
        let drops = weft.drops(DropReason::UnsupportedEthertype)?;
        ensure!(drops == all, "{what}: {} drops of {} frames", drops - before, frames.len());
    }
    Ok(())
}

/// In: UDP and ARP with tags from red-1's device, to a pod of the same host and of the other, while red-1 pings both. Out:
/// h1 drops each as `unsupported_ethertype`, no pod gets one, and no ping is lost.
#[test]
fn of_a_pod_do_not_pass() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, Xdp::Off)?;
        let from = cloud.pod("red-1");
        let captures = listen(&cloud, &["red-2", "red-3"])?;
        for to in ["red-2", "red-3"].map(|name| cloud.pod(name)) {
            let pings = Steady::ping(&from.namespace, to.v4.into(), 200)?;
            refused(&cloud, (from, to), 0, |frame| from.namespace.inject(POD_DEVICE, frame))?;
            pings.wait_for_more(1)?;
            let tally = pings.stop()?;
            ensure!(tally.lost() == 0, "{tally:?}");
        }
        captures.into_iter().try_for_each(|capture| capture.assert_none("a tagged frame was delivered"))
    })
}

/// In: the same from h2 in VXLAN, whole and, where the kernel's vxlan device has to put it together, in IP fragments; with
/// each mode of XDP. Then VXLAN that is right, in a frame that is tagged itself. Out: h1 drops what is tagged inside as
/// `unsupported_ethertype`; what is tagged outside is no host's without a VLAN device and reaches no pod; the same without
/// any tag arrives, and with one that names a priority and no VLAN, which the kernel's stack takes.
#[test]
fn from_the_wire_do_not_pass() -> Result<()> {
    for xdp in [Xdp::Off, Xdp::Guard, Xdp::Forward] {
        Lab::test(|lab| {
            let cloud = start(lab, xdp)?;
            let (here, there) = (cloud.machine(0), cloud.machine(1));
            let (from, to) = (cloud.pod("red-2"), cloud.pod("red-1"));
            let outer = Between {
                source_mac: there.namespace.mac(UPLINK)?,
                destination_mac: here.namespace.mac(UPLINK)?,
                source: there.vtep.address(),
                destination: here.vtep.address(),
            };
            let wrapped = |inner: &[u8]| frame::vxlan(outer, Vni::new(101)?, inner);
            let inject = |frame: &[u8]| there.namespace.inject(UPLINK, frame);
            let captures = listen(&cloud, &["red-1", "red-3"])?;
            refused(&cloud, (from, to), 0, |inner| inject(&wrapped(inner)?))?;
            refused(&cloud, (from, to), 0, |inner| {
                frame::fragments(&wrapped(inner)?, 48)?.iter().try_for_each(|fragment| inject(fragment))
            })?;
            for (_, tags) in TAGS.iter().filter(|(_, tags)| *tags != PRIORITY) {
                for inner in frames(from, to, WORD)? {
                    inject(&frame::tagged(&wrapped(&inner)?, tags))?;
                }
            }
            // Behind them all: when they have arrived, so has what else there was.
            for tags in [&[], PRIORITY] {
                let plain = to.capture(|packet| packet.says(PLAIN))?;
                for inner in frames(from, to, PLAIN)? {
                    inject(&frame::tagged(&wrapped(&inner)?, tags))?;
                }
                wait_until(PATIENCE, "the frames without VLAN", || plain.count() >= 2)?;
            }
            captures.into_iter().try_for_each(|capture| capture.assert_none("a tagged frame was delivered"))
        })
        .with_context(|| format!("with XDP {xdp}"))?;
    }
    Ok(())
}
