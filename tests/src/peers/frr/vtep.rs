//! What of a VTEP the kernel does: bridges, VXLAN devices and the pods behind them. zebra finds them and fills their
//! tables (`advertise-all-vni`).
//!
//! ```text
//! underlay ┊ overlay: the same namespace or, as a VRF, one of its own
//! up0 ───┄┄┊┄┄┄ vx101 ─┬─ br101 (gateway) ─┬─ pod        L2 VNI 101
//!          ┊           └───────────────────┴─ pod
//!          ┊    vx9000 ── br9000                         L3 VNI 9000
//! ```
//!
//! A VXLAN device sends where it was made, wherever it is moved to: in the underlay.

use std::net::IpAddr;

use anyhow::Result;
use ipnet::IpNet;
use weft_vxlan::{MacAddr, UDP_PORT};

use crate::{End, Lab, Namespace, Wire};

/// MTU of what goes through the tunnels: VXLAN takes 50 bytes of 1500.
const MTU: u32 = 1450;

/// The bridges and VXLAN devices of a host.
#[derive(Debug)]
pub struct KernelVtep<'a> {
    /// Where the tunnels run.
    pub underlay: &'a Namespace,
    /// Where the bridges are: the same, or a VRF.
    pub overlay: &'a Namespace,
    /// Tunnel address.
    pub address: IpAddr,
}

/// A namespace with one device, `eth0`, behind a bridge.
#[derive(Debug)]
pub struct Pod {
    /// The namespace.
    pub namespace: Namespace,
    /// Its address.
    pub address: IpNet,
}

impl KernelVtep<'_> {
    /// Makes the bridge `br<vni>` and in it the device `vx<vni>`, which learns nothing by itself.
    ///
    /// # Errors
    /// One of them is there.
    pub fn add_vni(&self, vni: u32) -> Result<()> {
        let (bridge, tunnel) = (bridge(vni), format!("vx{vni}"));
        self.overlay.add_bridge(&bridge)?;
        self.underlay.add_evpn_vxlan(&tunnel, vni, UDP_PORT, self.address, MTU)?;
        if self.underlay.name() != self.overlay.name() {
            self.underlay.move_link(&tunnel, self.overlay)?;
        }
        for device in [&bridge, &tunnel] {
            // Without: packets of the bridge itself would be routed and announced like a pod's.
            self.overlay.sysctl(&format!("ipv6/conf/{device}/addr_gen_mode"), "1")?;
        }
        self.overlay.join_bridge(&tunnel, &bridge)?;
        self.overlay.leave_to_control_plane(&tunnel)?;
        self.overlay.set_up(&tunnel, true)?;
        self.overlay.set_up(&bridge, true)
    }

    /// Gives the bridge of an L2 VNI the subnet's gateway, an address and a MAC that every VTEP has.
    ///
    /// # Errors
    /// There is no such bridge.
    pub fn add_gateway(&self, vni: u32, address: IpNet, mac: MacAddr) -> Result<()> {
        self.overlay.set_mac(&bridge(vni), mac)?;
        self.overlay.add_address(&bridge(vni), address)
    }

    /// A pod in an L2 VNI, with a default route if there is a gateway.
    ///
    /// # Errors
    /// The name is taken.
    pub fn pod(
        &self,
        lab: &Lab,
        name: &str,
        vni: u32,
        address: IpNet,
        gateway: Option<IpAddr>,
    ) -> Result<Pod> {
        let namespace = lab.namespace(name)?;
        Wire { mtu: MTU, ..Wire::default() }.lay(
            End { namespace: &namespace, device: "eth0", addresses: &[address] },
            End { namespace: self.overlay, device: name, addresses: &[] },
        )?;
        self.overlay.join_bridge(name, &bridge(vni))?;
        if let Some(gateway) = gateway {
            let all = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            namespace.add_route(all.parse()?, gateway)?;
        }
        Ok(Pod { namespace, address })
    }
}

fn bridge(vni: u32) -> String {
    format!("br{vni}")
}
