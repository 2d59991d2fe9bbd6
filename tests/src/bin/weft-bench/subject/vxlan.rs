//! The kernel's own overlay: a bridge on each host, with the pods and a vxlan device as its ports, and no rules.

use anyhow::Result;
use weft_tests::{Lab, Namespace};

use super::hosts::{Rival, UNDERLAY, pod, two};
use super::{SUBNET_VNI, UNDERLAY_MTU};

pub(crate) const NAME: &str = "vxlan-bridge";
pub(crate) const WHAT: &str = "kernel vxlan and bridge, no rules";

const BRIDGE: &str = "br0";
const TUNNEL: &str = "vxlan0";
/// The outer headers take 50 bytes, as weft's do.
const MTU: u32 = UNDERLAY_MTU - 50;

/// Sets it up.
pub(crate) fn start(lab: &Lab) -> Result<Rival> {
    with_hosts(lab, "vxlan", |_| Ok(()))
}

/// Sets it up, with `more` done to each host.
pub(super) fn with_hosts(lab: &Lab, name: &str, more: impl Fn(&Namespace) -> Result<()>) -> Result<Rival> {
    let hosts = two(lab, name)?;
    let addresses = UNDERLAY.map(Into::into);
    for (number, host) in hosts.iter().enumerate() {
        host.add_bridge(BRIDGE)?;
        host.add_tunnel(TUNNEL, SUBNET_VNI, 4789, (addresses[number], addresses[1 - number]), MTU)?;
        host.join_bridge(TUNNEL, BRIDGE)?;
        host.set_up(TUNNEL, true)?;
        host.set_up(BRIDGE, true)?;
        more(host)?;
    }
    let [one, two] = &hosts;
    let bridged = |pod_name: &str, host, device: &str, number: u8| {
        let address = [10, 0, 0, number];
        let namespace = pod((lab, &format!("{name}-{pod_name}")), (host, device), address, None, MTU)?;
        host.join_bridge(device, BRIDGE)?;
        anyhow::Ok((namespace, address.into()))
    };
    let (client, _) = bridged("client", one, "pod1", 11)?;
    let near = bridged("near", one, "pod2", 12)?;
    let far = bridged("far", two, "pod1", 13)?;
    Ok(Rival { client, near, far })
}
