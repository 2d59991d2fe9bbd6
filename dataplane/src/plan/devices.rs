//! The devices, programs and neighbours that are wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_dataplane_abi::programs;
use weft_vxlan::{MacAddr, inner_mtu, overhead};

use super::NextHops;
use crate::desired::{Desired, Host, Port, Subnet};
use crate::netlink::Link;
use crate::observe::Observed;
use crate::{Failure, names};

/// The smallest packet that every IPv6 link takes (RFC 8200 section 5).
const IPV6_MIN_MTU: u16 = 1280;

/// What should be there of devices and of what hangs on them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Devices {
    /// UDP port of the vxlan device.
    pub(crate) udp_port: u16,
    /// Index of the underlay device, if it exists.
    pub(crate) underlay: Option<u32>,
    /// Other devices that lead to VTEPs.
    pub(crate) uplinks: BTreeSet<u32>,
    pub(crate) ports: BTreeMap<String, WantedPort>,
    /// Next hops to keep resolved, by device.
    pub(crate) neighbours: BTreeSet<(u32, IpAddr)>,
    /// The vxlan device computes checksums before it encapsulates, rather than leave them to the underlay device.
    pub(crate) software_checksums: bool,
}

/// A port's veth and what is in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedPort {
    pub(crate) host_end: String,
    pub(crate) netns: PathBuf,
    pub(crate) device: String,
    pub(crate) mac: MacAddr,
    /// `None` while the underlay cannot say.
    pub(crate) mtu: Option<u32>,
    pub(crate) gso_max_size: u32,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) gateways: Vec<IpAddr>,
}

impl Devices {
    /// What is wanted, and what stands against it on the host's own side.
    pub(crate) fn plan(desired: &Desired, observed: &Observed, next_hops: &NextHops) -> (Self, Vec<Failure>) {
        let host = &desired.host;
        let mut failures = Vec::new();
        let underlay = observed.named(&host.underlay);
        let mtu = match inner_mtu_of(host, observed) {
            Ok(mtu) => Some(mtu),
            Err(failure) => {
                failures.push(failure);
                None
            }
        };
        if !observed.addresses.contains(&host.vtep.address()) {
            failures.push(Failure::new(
                format!("VTEP {} of this host", host.vtep),
                "no device has the address: add it to one, or correct underlay.vtep in weftd.toml. Until then the \
                 VTEP that worked before stays in use, if there was one"
                    .to_owned(),
            ));
        }
        let ports = desired.ports.iter().map(|(name, port)| {
            let subnet = desired.subnets.get(&port.subnet);
            (name.clone(), WantedPort::plan(name, port, subnet, mtu, gso_max_size(host)))
        });
        let devices = Self {
            udp_port: host.udp_port,
            underlay: underlay.map(|link| link.index),
            uplinks: next_hops.devices().filter(|ifindex| is_foreign(*ifindex, observed)).collect(),
            ports: ports.collect(),
            neighbours: next_hops.targets().collect(),
            software_checksums: !host.software_checksums.is_empty(),
        };
        (devices, failures)
    }

    /// The devices that receive what other hosts send, the one that is configured first.
    pub(crate) fn underlays<'a>(&'a self, observed: &'a Observed) -> impl Iterator<Item = &'a Link> {
        let others = self.uplinks.iter().filter(|uplink| Some(**uplink) != self.underlay);
        self.underlay.iter().chain(others).filter_map(|ifindex| observed.indexed(*ifindex))
    }

    /// Which program belongs on which of the devices that exist.
    pub(crate) fn attachments(&self, observed: &Observed) -> BTreeSet<(&'static str, u32)> {
        let ports = self.ports.keys().filter_map(|port| observed.host_end(port));
        let ports = ports.map(|link| (programs::FROM_POD, link.index));
        let vxlan = observed.vxlan().map(|link| (programs::FROM_VXLAN, link.index));
        let underlay = self.underlays(observed).map(|link| (programs::FROM_UNDERLAY, link.index));
        ports.chain(vxlan).chain(underlay).collect()
    }
}

impl WantedPort {
    fn plan(name: &str, port: &Port, subnet: Option<&Subnet>, mtu: Option<u32>, gso_max_size: u32) -> Self {
        let v4 = subnet.and_then(|subnet| subnet.ipv4);
        let v6 = subnet.and_then(|subnet| subnet.ipv6);
        let address4 = v4.zip(port.ipv4).and_then(|((prefix, _), address)| {
            Ipv4Net::new(address, prefix.prefix_len()).ok().map(IpNet::V4)
        });
        let address6 = v6.zip(port.ipv6).and_then(|((prefix, _), address)| {
            Ipv6Net::new(address, prefix.prefix_len()).ok().map(IpNet::V6)
        });
        // A gateway is of use only to a port with an address to send from.
        let gateway4 = address4.and(v4).map(|(_, gateway)| IpAddr::from(gateway));
        let gateway6 = address6.and(v6).map(|(_, gateway)| IpAddr::from(gateway));
        Self {
            host_end: names::host_end(name),
            netns: port.netns.clone(),
            device: port.device.clone(),
            mac: port.mac,
            mtu,
            gso_max_size,
            addresses: address4.into_iter().chain(address6).collect(),
            gateways: gateway4.into_iter().chain(gateway6).collect(),
        }
    }
}

/// Whether a device is none of weft's own, whatever routes lead through it: what workloads send is never decapsulated.
fn is_foreign(ifindex: u32, observed: &Observed) -> bool {
    observed.indexed(ifindex).is_some_and(|link| names::owned(link).is_none())
}

/// The first frame length at which a super-packet, once encapsulated, would be longer than an IP packet can say.
fn gso_max_size(host: &Host) -> u32 {
    const ETHERNET_LEN: u32 = 14;
    u32::from(u16::MAX - overhead(host.vtep)) + ETHERNET_LEN + 1
}

/// MTU of the workloads' ends: what fits into the underlay's.
fn inner_mtu_of(host: &Host, observed: &Observed) -> Result<u32, Failure> {
    let object = format!("underlay device {}", host.underlay);
    let Some(link) = observed.named(&host.underlay) else {
        let cause = "there is no such device: create it, or correct underlay.device in weftd.toml. Until then no \
                     port is created, and a device that was in use before stays so";
        return Err(Failure::new(object, cause.to_owned()));
    };
    // A loopback device may have more than an IP packet can.
    let outer = u16::try_from(link.mtu).unwrap_or(u16::MAX);
    inner_mtu(outer, host.vtep).map(u32::from).ok_or_else(|| {
        let needed = IPV6_MIN_MTU + overhead(host.vtep);
        Failure::new(object, format!("its MTU {outer} leaves too little inside VXLAN: set at least {needed}"))
    })
}

#[cfg(test)]
#[path = "devices/tests.rs"]
mod tests;
