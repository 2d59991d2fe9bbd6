//! Frames that lie in several pieces of memory, only the Ethernet header in the first: as from network devices that
//! split headers.
//!
//! ```text
//!                             ┌ red-2 10.0.0.12
//! red-1 10.0.0.11 ─ h1 ── h2 ┴ red-3 10.0.1.13
//! ```
//! red-1 and h2 send by hand. What a program reads of a packet, it must have asked the kernel for before: otherwise such a
//! frame ends too early, or passes for what it is not.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_dataplane_abi::DropReason;
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::underlay::{UPLINK, two_hosts, two_hosts_over_ipv6};
use weft_tests::{Direction, Lab, Namespace, PATIENCE, Packet, Wire, wait_until};
use weft_vxlan::{MacAddr, Vni};

const WORD: &str = "in pieces";
/// The gateways' MAC.
const GATEWAY: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 1]);
/// Hops that nothing else here starts with.
const HOPS: u8 = 77;

fn start(lab: &Lab, over_ipv6: bool) -> Result<Cloud<'_>> {
    let wire = Wire::default();
    let underlay = if over_ipv6 { two_hosts_over_ipv6(lab, wire) } else { two_hosts(lab, wire) };
    let mut cloud = Cloud::start(lab, underlay?)?;
    let intent = Intent::default().tenant("red", 100)?.pod("red-1", "red-a", 0, 11)?;
    cloud.deploy(&intent.pod("red-2", "red-a", 1, 12)?.pod("red-3", "red-b", 1, 13)?)?;
    Ok(cloud)
}

fn between(from: &Pod, mac: MacAddr, family: usize, destination: IpAddr) -> Between {
    Between { source_mac: from.mac, destination_mac: mac, source: from.addresses()[family], destination }
}

/// Sends by `send` until what arrives at `pod` and is picked by `expected` is one packet.
fn arrives(
    pod: &Pod,
    what: &str,
    expected: impl Fn(&Packet) -> bool + Send + 'static,
    send: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let arrived = pod.capture(move |packet| packet.direction == Direction::In && expected(packet))?;
    send().with_context(|| what.to_owned())?;
    wait_until(PATIENCE, what, || arrived.count() == 1)
}

/// Whether it is ICMP from `source` that has or quotes what was sent.
fn from_and_says(source: IpAddr) -> impl Fn(&Packet) -> bool + Send + 'static {
    move |packet| packet.ip.as_ref().is_some_and(|ip| ip.source == source) && packet.says(WORD)
}

/// Echo requests that expire at the first router: plain, and behind options or an extension header.
fn spent(between: Between) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let plain = frame::echo(between, 1, WORD.as_bytes())?;
    let behind = if between.source.is_ipv4() {
        ("behind options", frame::with_ipv4_options(&plain, &[1; 40])?)
    } else {
        ("behind options", frame::behind_extension_header(&plain, 60)?)
    };
    Ok(vec![("plain", plain), behind])
}

/// In: from red-1 ARP and a solicitation for its gateway, echo requests to it, and to red-3 with one hop left, plain and
/// behind options. Out: an answer of the gateway to each.
#[test]
fn of_a_pod_are_answered() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, false)?;
        let (red, far) = (cloud.pod("red-1"), cloud.pod("red-3"));
        let inject = |frame: &[u8]| red.namespace.inject_in_pieces(POD_DEVICE, frame);
        let unknown = MacAddr::new([0; 6]);
        let ask = frame::arp(
            (red.mac, MacAddr::BROADCAST),
            ArpOperation::REQUEST,
            (red.mac, red.v4),
            (unknown, red.gateway4),
        )?;
        let answer = (red.gateway4.into(), red.v4.into());
        arrives(red, "ARP", move |packet| packet.arp == Some(answer), || inject(&ask))?;

        let gateway6 = IpAddr::V6(red.gateway6);
        let solicits = between(red, MacAddr::new([0x33, 0x33, 0xff, 0, 0, 1]), 1, "ff02::1:ff00:1".parse()?);
        let ask = frame::neighbour_solicitation(solicits, red.gateway6)?;
        let is_advertisement = move |packet: &Packet| {
            packet.ip.as_ref().is_some_and(|ip| (ip.source, ip.protocol, ip.hops) == (gateway6, 58, 255))
        };
        arrives(red, "a solicitation", is_advertisement, || inject(&ask))?;

        for family in [0, 1] {
            let gateway = red.gateways()[family];
            let ask = frame::echo(between(red, GATEWAY, family, gateway), 64, WORD.as_bytes())?;
            arrives(red, &format!("ping of {gateway}"), from_and_says(gateway), || inject(&ask))?;
            let to_far = between(red, GATEWAY, family, far.addresses()[family]);
            for (how, ask) in spent(to_far)? {
                let what = format!("hops that end, {how}, {}", to_far.source);
                arrives(red, &what, from_and_says(gateway), || inject(&ask))?;
            }
        }
        Ok(())
    })
}

/// Sends frames by `send`; each must be dropped on h1 for its reason.
fn dropped(
    cloud: &Cloud<'_>,
    frames: Vec<(String, Vec<u8>, DropReason)>,
    send: impl Fn(&[u8]) -> Result<()>,
) -> Result<()> {
    let weft = cloud.daemon(0).weft();
    for (what, frame, reason) in frames {
        let before = weft.drops(reason)?;
        send(&frame)?;
        weft.wait_for_drop(reason, before).with_context(|| what)?;
    }
    Ok(())
}

/// Destination options of so many bytes, of a kind that whoever does not know it skips, put in front of what a frame holds.
fn behind_options(frame: &[u8], bytes: usize) -> Result<Vec<u8>> {
    let mut body = vec![u8::try_from(bytes / 8 - 1)?];
    while body.len() < bytes - 1 {
        let length = (bytes - 1 - body.len() - 2).min(255);
        body.extend([0x1e, u8::try_from(length)?]);
        body.resize(body.len() + length, 0);
    }
    frame::behind_extension(frame, 60, &body)
}

/// Advertisements of a neighbour's address: behind each kind of extension header, and behind long ones, where the last that
/// is followed begins in the last bytes which are.
fn hidden(from: &Pod, to: &Pod) -> Result<Vec<(String, Vec<u8>, DropReason)>> {
    let plain =
        frame::neighbour_advertisement(between(from, to.mac, 1, to.v6.into()), to.gateway6, from.mac)?;
    let mut hidden = Vec::new();
    for number in [0, 43, 44, 60] {
        hidden.push((format!("behind {number}"), frame::behind_extension_header(&plain, number)?));
    }
    for bytes in [456, 464, 1000] {
        let framed = behind_options(&frame::behind_extension_header(&plain, 60)?, bytes)?;
        hidden.push((format!("behind {bytes} bytes"), framed));
    }
    Ok(hidden.into_iter().map(|(what, frame)| (what, frame, DropReason::ExtensionHeaders)).collect())
}

/// In: from red-1 solicitations that lie about who asks, ARP too, and advertisements behind extension headers; then an
/// echo request behind long ones, which is no lie. Out: a drop for each of the first, and nothing of them at red-2; the
/// last arrives there.
#[test]
fn of_a_pod_hide_no_lie() -> Result<()> {
    Lab::test(|lab| {
        let cloud = start(lab, false)?;
        let (red, near) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let inject = |frame: &[u8]| red.namespace.inject_in_pieces(POD_DEVICE, frame);
        let lie = Between { source: near.v6.into(), ..between(red, near.mac, 1, near.v6.into()) };
        let macs = (red.mac, MacAddr::BROADCAST);
        let nobody = MacAddr::new([2, 0xbb, 0, 0, 0, 1]);
        let arp = |sender| frame::arp(macs, ArpOperation::REQUEST, sender, (nobody, near.v4));
        let mut lies = vec![
            (
                "a neighbour's solicitation",
                frame::neighbour_solicitation(lie, near.v6)?,
                DropReason::SpoofedIp,
            ),
            ("a neighbour's ARP", arp((red.mac, near.v4))?, DropReason::SpoofedIp),
            ("nobody's ARP", arp((nobody, red.v4))?, DropReason::SpoofedMac),
        ];
        let of_mac = between(red, near.mac, 1, near.v6.into());
        let other_mac = frame::neighbour_advertisement(of_mac, red.v6, nobody)?;
        lies.push(("an advertisement of another MAC", other_mac, DropReason::SpoofedMac));
        let mut lies: Vec<_> =
            lies.into_iter().map(|(what, frame, why)| (what.to_owned(), frame, why)).collect();
        lies.extend(hidden(red, near)?);
        let own = IpAddr::V6(red.v6);
        let arrived = near.capture(move |packet| {
            let of_red = packet.ip.as_ref().is_some_and(|ip| ip.source == own && ip.hops == 255);
            packet.direction == Direction::In && (of_red || packet.ethertype == 0x0806)
        })?;
        dropped(&cloud, lies, inject)?;
        // Before red-2 asks for the MAC of whom it answers.
        arrived.assert_none("a lie was delivered")?;
        let plain = frame::echo(of_mac, HOPS, WORD.as_bytes())?;
        let is_honest =
            move |packet: &Packet| packet.ip.as_ref().is_some_and(|ip| (ip.source, ip.hops) == (own, HOPS));
        // The message far behind the header that leads to it.
        let far = behind_options(&plain, 1000)?;
        arrives(near, "an echo request far behind", is_honest, || inject(&far))?;
        Ok(())
    })
}

/// In: from h2, in VXLAN over each family, a datagram of red-3 to red-1; its echo requests with one hop left, plain and
/// behind options; advertisements of red-2 behind extension headers; and a datagram for a VNI that is not here. Out: the first
/// arrives; h1 tells red-3 through the tunnel; the others are dropped, each for its reason.
#[test]
fn from_the_wire() -> Result<()> {
    for over_ipv6 in [false, true] {
        Lab::test(|lab| from_the_wire_over(&start(lab, over_ipv6)?))
            .with_context(|| format!("over IPv6: {over_ipv6}"))?;
    }
    Ok(())
}

fn from_the_wire_over(cloud: &Cloud<'_>) -> Result<()> {
    let (here, there) = (cloud.machine(0), cloud.machine(1));
    let (red, near, far) = (cloud.pod("red-1"), cloud.pod("red-2"), cloud.pod("red-3"));
    let outer = Between {
        source_mac: there.namespace.mac(UPLINK)?,
        destination_mac: here.namespace.mac(UPLINK)?,
        source: there.vtep.address(),
        destination: here.vtep.address(),
    };
    let udp = 14 + if outer.source.is_ipv4() { 20 } else { 40 };
    let send = |vni: u32, inner: &[u8]| -> Result<()> {
        let mut frame = frame::vxlan(outer, Vni::new(vni)?, inner)?;
        // Without a UDP checksum, as weft sends it, and reads it itself over IPv6.
        frame[udp + 6..udp + 8].fill(0);
        inject(&there.namespace, &frame)
    };
    for family in [0, 1] {
        let routed = Between {
            source_mac: there.vtep.default_router_mac(),
            ..between(far, here.vtep.default_router_mac(), family, red.addresses()[family])
        };
        let plain = frame::udp(routed, (1000, 2000), WORD.as_bytes())?;
        arrives(red, "a datagram", from_and_says(routed.source), || send(100, &plain))?;
        for (how, ask) in spent(routed)? {
            let what = format!("hops that end, {how}, {}", routed.source);
            arrives(far, &what, from_and_says(red.gateways()[family]), || send(100, &ask))?;
        }
    }
    let unknown = frame::udp(between(near, red.mac, 0, red.v4.into()), (1000, 2000), WORD.as_bytes())?;
    dropped(cloud, vec![("no VNI of h1".to_owned(), unknown, DropReason::UnknownVni)], |inner| {
        send(999, inner)
    })?;
    dropped(cloud, hidden(near, red)?, |inner| send(101, inner))?;
    let all = cloud.daemon(0).weft().drops(DropReason::Malformed)?;
    ensure!(all == 0, "{all} packets ended too early");
    Ok(())
}

fn inject(host: &Namespace, frame: &[u8]) -> Result<()> {
    host.inject_in_pieces(UPLINK, frame)
}
