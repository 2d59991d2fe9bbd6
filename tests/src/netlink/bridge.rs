//! Bridges and point-to-point vxlan devices: the overlay that a kernel has without weft.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVxlan, LinkAttribute, LinkInfo,
    LinkMessage,
};

use crate::Namespace;

impl Namespace {
    /// Makes a bridge without ports; it is down. Its packets are kept from the host's packet filter, which the
    /// machine's defaults may have them pass.
    ///
    /// # Errors
    /// The name is taken.
    pub fn add_bridge(&self, name: &str) -> Result<()> {
        self.add_link(name, 0, InfoKind::Bridge, None, Vec::new())?;
        for variable in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"] {
            // A kernel without the module has no such variable, and no such detour.
            drop(self.sysctl(&format!("bridge/{variable}"), "0"));
        }
        Ok(())
    }

    /// Makes a kernel vxlan device that sends everything to one other host; it is down. Like weft it sends without a
    /// UDP checksum and learns no addresses from what it receives.
    ///
    /// # Errors
    /// The name, or the VNI on the UDP port, is taken.
    pub fn add_tunnel(
        &self,
        name: &str,
        vni: u32,
        udp_port: u16,
        ends: (Ipv4Addr, Ipv4Addr),
        mtu: u32,
    ) -> Result<()> {
        let (local, remote) = ends;
        let data = InfoData::Vxlan(vec![
            InfoVxlan::Id(vni),
            InfoVxlan::Port(udp_port),
            InfoVxlan::Local(local),
            InfoVxlan::Group(remote),
            InfoVxlan::UDPCsum(false),
            InfoVxlan::Learning(false),
        ]);
        self.add_link(name, 0, InfoKind::Vxlan, Some(data), vec![LinkAttribute::Mtu(mtu)])
    }

    /// Makes a kernel vxlan device that is told where addresses are: it has no other end of its own, and learns none. It
    /// is down.
    ///
    /// # Errors
    /// The name, or the VNI on the UDP port, is taken.
    pub fn add_evpn_vxlan(&self, name: &str, vni: u32, udp_port: u16, local: IpAddr, mtu: u32) -> Result<()> {
        let local = match local {
            IpAddr::V4(address) => InfoVxlan::Local(address),
            IpAddr::V6(address) => InfoVxlan::Local6(address),
        };
        let data = InfoData::Vxlan(vec![
            InfoVxlan::Id(vni),
            InfoVxlan::Port(udp_port),
            local,
            InfoVxlan::Learning(false),
        ]);
        self.add_link(name, 0, InfoKind::Vxlan, Some(data), vec![LinkAttribute::Mtu(mtu)])
    }

    /// Has a port of a bridge learn no addresses from frames, and answer ARP from what the bridge was told.
    ///
    /// # Errors
    /// The device is missing, or in no bridge.
    pub fn leave_to_control_plane(&self, port: &str) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.link(port)?.index;
        let settings = vec![InfoBridgePort::Learning(false), InfoBridgePort::NeighSupress(true)];
        message.attributes = vec![LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(settings)),
        ])];
        // What a port has of its bridge is changed by the message that makes links.
        self.netlink()
            .change(RouteNetlinkMessage::NewLink(message))
            .with_context(|| format!("changing port {port} in {}", self.name()))
    }

    /// Makes a device a port of a bridge.
    ///
    /// # Errors
    /// One of them is missing.
    pub fn join_bridge(&self, device: &str, bridge: &str) -> Result<()> {
        let bridge = self.link(bridge)?.index;
        self.set_link(device, vec![LinkAttribute::Controller(bridge)], None)
    }
}
