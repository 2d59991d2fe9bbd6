//! A packet for each reason that packets alone can cause. [`Lie::provoking`] matches on all of them: a new reason does
//! not compile until it is said here what causes it, or that no packet does.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use etherparse::ArpOperation;
use weft_api::view::Drop as Dropped;
use weft_dataplane_abi::{DropReason, programs};
use weft_tests::cloud::{Cloud, POD_DEVICE, Pod};
use weft_tests::frame::{self, Between};
use weft_tests::underlay::UPLINK;
use weft_vxlan::{MacAddr, Vni};

/// The anycast gateways' MAC, as it is by default.
const GATEWAY: MacAddr = MacAddr::new([0, 0, 0x5e, 0, 1, 1]);
const NOBODY: MacAddr = MacAddr::new([2, 0xbb, 0, 0, 0, 1]);
/// UDP ports that nothing else here uses.
const PORTS: (u16, u16) = (40_001, 40_002);

/// Who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// red-1.
    Pod,
    /// red-3, whose subnet has nobody else: nothing of it is flooded.
    Loner,
    /// h2's end of the cable.
    Cable,
}

/// A packet that is to be dropped on h1.
#[derive(Debug)]
pub(super) struct Lie {
    reason: DropReason,
    sender: Sender,
    frame: Vec<u8>,
    /// Addresses by which it is recognised, and whether it has [`PORTS`].
    packet: Option<(IpAddr, IpAddr)>,
    ports: bool,
    vni: Option<u32>,
}

impl Lie {
    /// What is dropped for a reason; `None` if no packet can cause that.
    pub(super) fn provoking(reason: DropReason, cloud: &Cloud<'_>) -> Result<Option<Self>> {
        let (red, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let to = |address: [u8; 4]| Ipv4Addr::from(address);
        let pod =
            |frame, packet, ports| Self { reason, sender: Sender::Pod, frame, packet, ports, vni: None };
        let udp = |source: Ipv4Addr, mac, destination: Ipv4Addr| -> Result<Self> {
            let addresses = (source.into(), destination.into());
            Ok(pod(datagram(red.mac, mac, addresses, 100)?, Some(addresses), true))
        };
        let lie = match reason {
            // The tables would have to contradict each other, or to change at the right moment, the programs be new, or memory run out.
            DropReason::UnknownEndpoint
            | DropReason::NoVtep
            | DropReason::KernelRefused
            | DropReason::NotConfigured
            | DropReason::TableChanged => return Ok(None),
            // The devices of a port do not take it, unless their MTU was raised by hand.
            DropReason::TooBig => return Ok(None),
            // It takes a flood; `flooding.rs` has it.
            DropReason::FloodLimited => return Ok(None),
            // `a_restart_loses_none` has it.
            DropReason::ProgramMissing => return Ok(None),
            // No port here judges what it sends or gets; `security_groups.rs` and the programs' own tests have these.
            DropReason::PolicyDenied
            | DropReason::NoConnection
            | DropReason::InvalidState
            | DropReason::FlowsFull
            | DropReason::PortFlowQuota
            | DropReason::TenantFlowQuota
            | DropReason::FlowsBusy
            | DropReason::FragmentWithoutFirst
            | DropReason::FragmentedHeader
            | DropReason::UnrelatedError => return Ok(None),
            DropReason::Malformed => {
                let lie = udp(red.v4, far.mac, far.v4)?;
                Self { frame: with(lie.frame, 16, &[0xff, 0xff]), ..lie }
            }
            DropReason::SpoofedMac => {
                let lie = udp(red.v4, far.mac, far.v4)?;
                Self { frame: with(lie.frame, 6, &NOBODY.bytes()), ..lie }
            }
            DropReason::WrongDestination => udp(red.v4, far.mac, to([224, 0, 0, 251]))?,
            DropReason::SpoofedIp => udp(far.v4, far.mac, far.v4)?,
            DropReason::UnsupportedEthertype => {
                let lie = udp(red.v4, far.mac, far.v4)?;
                Self { frame: with(lie.frame, 12, &[0x88, 0xcc]), packet: None, ports: false, ..lie }
            }
            DropReason::UnknownNeighbour => {
                let lone = cloud.pod("red-3");
                Self { sender: Sender::Loner, ..arp(reason, lone, ArpOperation::REQUEST)? }
            }
            DropReason::NeighbourNoise => arp(reason, red, ArpOperation::REPLY)?,
            DropReason::Multicast => lonely(reason, cloud, MacAddr::BROADCAST)?,
            DropReason::UnknownMac => lonely(reason, cloud, NOBODY)?,
            DropReason::NoRoute => udp(red.v4, GATEWAY, to([10, 99, 0, 1]))?,
            DropReason::TtlExpired => {
                let lie = udp(red.v4, GATEWAY, cloud.pod("red-3").v4)?;
                Self { frame: with(lie.frame, 22, &[1]), ..lie }
            }
            DropReason::NotForGateway => udp(red.v4, GATEWAY, red.gateway4)?,
            DropReason::LinkLocal => {
                let addresses = (red.mac.link_local().into(), IpAddr::V6(cloud.pod("red-3").v6));
                pod(datagram(red.mac, GATEWAY, addresses, 100)?, Some(addresses), true)
            }
            DropReason::ExtensionHeaders => {
                let (source, destination) = (IpAddr::V6(red.v6), IpAddr::V6(far.v6));
                let between = Between { source_mac: red.mac, destination_mac: far.mac, source, destination };
                let plain = frame::neighbour_advertisement(between, far.v6, red.mac)?;
                pod(frame::behind_extension_header(&plain, 60)?, Some((source, destination)), false)
            }
            DropReason::Unroutable => udp(red.v4, GATEWAY, to([127, 0, 0, 1]))?,
            DropReason::BadVxlanHeader => {
                let lie = cable(reason, cloud, 2, 101, red.mac)?;
                // The flag that says that the VNI is valid.
                Self { frame: with(lie.frame, 42, &[0]), vni: None, ..lie }
            }
            DropReason::Congestion => {
                let lie = cable(reason, cloud, 2, 101, red.mac)?;
                // A router's mark on the outer header; the inner packet is not of a flow that heeds it.
                // Written again without options, it has the checksum that belongs to the mark.
                Self { frame: frame::with_ipv4_options(&with(lie.frame, 15, &[3]), &[])?, ..lie }
            }
            DropReason::UnknownVtep => cable(reason, cloud, 77, 101, red.mac)?,
            DropReason::UnknownVni => cable(reason, cloud, 2, 999, red.mac)?,
            DropReason::NotRouterMac => cable(reason, cloud, 2, 100, red.mac)?,
            DropReason::NotLocal => cable(reason, cloud, 2, 101, far.mac)?,
        };
        Ok(Some(lie))
    }

    /// Sends it.
    pub(super) fn send(&self, cloud: &Cloud<'_>) -> Result<()> {
        match self.sender {
            Sender::Pod | Sender::Loner => cloud.pod(self.port()).namespace.inject(POD_DEVICE, &self.frame),
            Sender::Cable => cloud.machine(1).namespace.inject(UPLINK, &self.frame),
        }
    }

    /// The port that it is counted for.
    pub(super) fn port(&self) -> &'static str {
        match self.sender {
            Sender::Pod => "red-1",
            Sender::Loner => "red-3",
            Sender::Cable => "",
        }
    }

    /// The program that must drop it.
    pub(super) fn program(&self) -> &'static str {
        match self.sender {
            Sender::Pod | Sender::Loner => programs::FROM_POD,
            Sender::Cable => programs::FROM_UNDERLAY,
        }
    }

    /// Whether it is this one that was dropped.
    pub(super) fn is(&self, told: &Dropped) -> bool {
        let frame = told.frame.as_ref();
        let addresses = frame.and_then(|frame| frame.source.zip(frame.destination));
        let ports = frame.and_then(|frame| frame.source_port.zip(frame.destination_port));
        told.reason == self.reason.name() && addresses == self.packet && (!self.ports || ports == Some(PORTS))
    }

    /// Checks all else that was told of it.
    pub(super) fn check(&self, told: &Dropped, cloud: &Cloud<'_>) -> Result<()> {
        ensure!(told.length as usize == self.frame.len(), "it has {} bytes", self.frame.len());
        let frame = told.frame.as_ref().context("no frame")?;
        let names = (told.network.as_deref(), told.subnet.as_deref());
        match self.sender {
            Sender::Pod | Sender::Loner => {
                ensure!(frame.source_mac.bytes() == self.frame[6..12], "source MAC");
                ensure!(frame.destination_mac.bytes() == self.frame[..6], "destination MAC");
                ensure!(told.tunnel.is_none(), "a tunnel");
                let subnet = if self.sender == Sender::Pod { "red-a" } else { "red-b" };
                ensure!(names == (Some("red"), Some(subnet)), "names");
                let ports = cloud.daemon(0).weft().status()?.ports;
                let port = ports.into_iter().find(|port| port.name == self.port()).context("a port")?;
                let device = port.device.context("a device")?;
                ensure!(told.ifindex == cloud.machine(0).namespace.link(&device)?.index, "device");
            }
            Sender::Cable => {
                let tunnel = told.tunnel.context("no tunnel")?;
                ensure!(tunnel.vni.map(Vni::get) == self.vni, "VNI");
                ensure!(tunnel.vtep.address() == IpAddr::from([192, 0, 2, self.frame[29]]), "VTEP");
                let known = match self.vni {
                    Some(101) => (Some("red"), Some("red-a")),
                    Some(100) => (Some("red"), None),
                    _ => (None, None),
                };
                ensure!(names == known, "names");
            }
        }
        Ok(())
    }
}

/// UDP with a payload of so many bytes.
fn datagram(
    source_mac: MacAddr,
    destination_mac: MacAddr,
    addresses: (IpAddr, IpAddr),
    length: usize,
) -> Result<Vec<u8>> {
    let (source, destination) = addresses;
    frame::udp(Between { source_mac, destination_mac, source, destination }, PORTS, &vec![0; length])
}

/// From red-3 to an address of its subnet that nobody has, and the MAC `to`.
fn lonely(reason: DropReason, cloud: &Cloud<'_>, to: MacAddr) -> Result<Lie> {
    let lone = cloud.pod("red-3");
    let addresses = (lone.v4.into(), Ipv4Addr::new(10, 0, 1, 99).into());
    let frame = datagram(lone.mac, to, addresses, 100)?;
    Ok(Lie { reason, sender: Sender::Loner, frame, packet: Some(addresses), ports: true, vni: None })
}

/// ARP about an address that nobody has.
fn arp(reason: DropReason, red: &Pod, operation: ArpOperation) -> Result<Lie> {
    let [a, b, c, _] = red.v4.octets();
    let nobody = Ipv4Addr::new(a, b, c, 99);
    let macs = (red.mac, MacAddr::BROADCAST);
    let frame = frame::arp(macs, operation, (red.mac, red.v4), (MacAddr::new([0; 6]), nobody))?;
    let packet = Some((IpAddr::V4(red.v4), IpAddr::V4(nobody)));
    Ok(Lie { reason, sender: Sender::Pod, frame, packet, ports: false, vni: None })
}

/// VXLAN from 192.0.2.`last`, with a packet from red-2's address to red-1's and the MAC `to`.
fn cable(reason: DropReason, cloud: &Cloud<'_>, last: u8, vni: u32, to: MacAddr) -> Result<Lie> {
    let (red, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
    let addresses = (far.v4.into(), red.v4.into());
    let outer = Between {
        source_mac: cloud.machine(1).namespace.mac(UPLINK)?,
        destination_mac: cloud.machine(0).namespace.mac(UPLINK)?,
        source: [192, 0, 2, last].into(),
        destination: cloud.machine(0).vtep.address(),
    };
    let frame = frame::vxlan(outer, Vni::new(vni)?, &datagram(far.mac, to, addresses, 100)?)?;
    Ok(Lie { reason, sender: Sender::Cable, frame, packet: Some(addresses), ports: true, vni: Some(vni) })
}

/// A frame with other bytes at `offset`.
fn with(mut frame: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    frame
}
