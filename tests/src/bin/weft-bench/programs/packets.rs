//! Packets as the programs meet them: 64 bytes of UDP payload between the pods that are measured.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;
use weft_tests::cloud::{Cloud, Pod};
use weft_vxlan::{Header, UDP_PORT, Vni};

use crate::subject::SUBNET_VNI;

/// That of every gateway, unless the config file says otherwise.
const GATEWAY_MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x01];

/// From a pod to another of its subnet, as the sender's device sends it.
pub(super) fn between(from: &Pod, to: &Pod) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.bytes(), to.mac.bytes())
        .ipv4(from.v4.octets(), to.v4.octets(), 64)
        .udp(40_000, 50_000)
        .write(&mut frame, &[0x5a; 64])?;
    Ok(frame)
}

/// From a pod to an address beyond its gateway.
pub(super) fn routed(from: &Pod, to: Ipv4Addr) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.bytes(), GATEWAY_MAC)
        .ipv4(from.v4.octets(), to.octets(), 64)
        .udp(40_000, 50_000)
        .write(&mut frame, &[0x5a; 64])?;
    Ok(frame)
}

/// From the client to the far pod, as the far pod's host receives it.
pub(super) fn tunnelled(cloud: &Cloud<'_>) -> Result<Vec<u8>> {
    outside(cloud, 1, &between(cloud.pod("client"), cloud.pod("far"))?)
}

/// A frame of the subnet as the host with this number receives it from the other one.
pub(crate) fn outside(cloud: &Cloud<'_>, host: usize, inner: &[u8]) -> Result<Vec<u8>> {
    let mut payload = Header { vni: Vni::new(SUBNET_VNI)? }.encode().to_vec();
    payload.extend(inner);
    let [from, to] = [1 - host, host].map(|host| match cloud.machine(host).vtep.address() {
        std::net::IpAddr::V4(address) => Some(address.octets()),
        std::net::IpAddr::V6(_) => None,
    });
    let (from, to) = from.zip(to).context("the underlay is IPv4")?;
    let mut frame = Vec::new();
    let device = cloud.machine(host).namespace.mac(&cloud.daemon(host).settings().device)?;
    PacketBuilder::ethernet2([2; 6], device.bytes())
        .ipv4(from, to, 64)
        .udp(45_000, UDP_PORT)
        .write(&mut frame, &payload)?;
    Ok(frame)
}
