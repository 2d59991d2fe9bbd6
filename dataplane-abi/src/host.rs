//! What the programs know of the host that they run on.

use weft_vxlan::{MacAddr, Vtep};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{FlowLimits, Limits, VtepAddr, assert_size};

/// This host.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HostConfig {
    vtep: VtepAddr,
    vxlan_ifindex: u32,
    router_mac: [u8; 6],
    gateway_mac: [u8; 6],
    udp_port: [u8; 2],
    padding: [u8; 6],
    limits: Limits,
    flows: FlowLimits,
}
assert_size!(HostConfig, 112);

impl HostConfig {
    /// A host that receives VXLAN at `vtep` and UDP port `udp_port`, has a kernel vxlan device `vxlan_ifindex`,
    /// routes as `router_mac` towards other hosts and as `gateway_mac` towards its ports, within `limits`.
    #[must_use]
    pub const fn new(
        vtep: Vtep,
        udp_port: u16,
        vxlan_ifindex: u32,
        router_mac: MacAddr,
        gateway_mac: MacAddr,
        limits: Limits,
    ) -> Self {
        Self {
            vtep: VtepAddr::new(vtep),
            vxlan_ifindex,
            router_mac: router_mac.bytes(),
            gateway_mac: gateway_mac.bytes(),
            udp_port: udp_port.to_be_bytes(),
            padding: [0; 6],
            limits,
            flows: FlowLimits::NONE,
        }
    }

    /// The same host, with these limits of connections.
    #[must_use]
    pub const fn with_flows(self, flows: FlowLimits) -> Self {
        Self { flows, ..self }
    }

    /// How many connections there may be, and for how long.
    #[must_use]
    #[inline(always)]
    pub const fn flows(&self) -> &FlowLimits {
        &self.flows
    }

    /// Our VTEP address.
    #[must_use]
    #[inline(always)]
    pub const fn vtep(&self) -> &VtepAddr {
        &self.vtep
    }

    /// The kernel's vxlan device, for packets that the programs cannot encapsulate themselves.
    #[must_use]
    #[inline(always)]
    pub const fn vxlan_ifindex(&self) -> u32 {
        self.vxlan_ifindex
    }

    /// Inner source MAC of routed packets that leave, and the only inner destination MAC accepted for them.
    #[must_use]
    #[inline(always)]
    pub const fn router_mac(&self) -> [u8; 6] {
        self.router_mac
    }

    /// The anycast gateway's MAC, the same on every host.
    #[must_use]
    #[inline(always)]
    pub const fn gateway_mac(&self) -> [u8; 6] {
        self.gateway_mac
    }

    /// VXLAN's UDP port in wire order.
    #[must_use]
    #[inline(always)]
    pub const fn udp_port(&self) -> [u8; 2] {
        self.udp_port
    }

    /// What each port may cause.
    #[must_use]
    #[inline(always)]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
