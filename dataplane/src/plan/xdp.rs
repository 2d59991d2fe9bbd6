//! Which underlay devices get an XDP program, and which: each by its own driver.

use weft_dataplane_abi::programs;

use super::Devices;
use crate::desired::{Host, Xdp};
use crate::netlink::{Kind, Link, XDP_BASIC, XDP_REDIRECT};
use crate::observe::{Observed, UnderlayDriver};
use crate::{Failure, XdpMode, XdpState};

/// Drivers that have native XDP and pay for it with offloads that bulk transfers live on, by their names in ethtool.
/// Most are of virtual machines, where the other side of the device is memory and not a wire.
const DEAR: [&str; 7] = ["veth", "tun", "virtio_net", "hv_netvsc", "vmxnet3", "xen_netfront", "netkit"];

/// What is wanted of XDP on an underlay device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedXdp {
    /// Index of the device.
    pub(crate) ifindex: u32,
    pub(crate) device: String,
    configured: Xdp,
    mode: XdpMode,
    reason: String,
}

impl WantedXdp {
    /// What is wanted on each underlay device that there is, and what stands against it.
    pub(crate) fn plan(host: &Host, devices: &Devices, observed: &Observed) -> (Vec<Self>, Vec<Failure>) {
        let mut failures = Vec::new();
        let wanted = devices.underlays(observed).map(|link| {
            let (mode, reason, fault) = match observed.underlay_drivers.get(&link.index) {
                None => (XdpMode::Off, "as configured".to_owned(), None),
                Some(driver) => decide(host.xdp, link, driver),
            };
            let fault = fault.map(|fault| Failure::new(format!("XDP on device {}", link.name), fault));
            failures.extend(fault);
            Self { ifindex: link.index, device: link.name.clone(), configured: host.xdp, mode, reason }
        });
        (wanted.collect(), failures)
    }

    /// The program that the device should have.
    pub(crate) fn program(&self) -> Option<&'static str> {
        match self.mode {
            XdpMode::Off => None,
            XdpMode::Guard => Some(programs::XDP_GUARD),
            XdpMode::Forward => Some(programs::XDP_FORWARD),
        }
    }

    /// What the device has.
    pub(crate) fn state(&self, observed: &Observed) -> XdpState {
        let effective = [XdpMode::Guard, XdpMode::Forward]
            .into_iter()
            .zip(programs::XDP)
            .find(|(_, program)| observed.is_attached(program, self.ifindex))
            .map_or(XdpMode::Off, |(mode, _)| mode);
        let reason = if effective == self.mode { &self.reason } else { "see the failures" };
        XdpState {
            device: self.device.clone(),
            configured: self.configured,
            effective,
            reason: reason.to_owned(),
        }
    }
}

/// The mode, why, and what is wrong if it is not what was asked for.
fn decide(asked: Xdp, link: &Link, driver: &UnderlayDriver) -> (XdpMode, String, Option<String>) {
    let off = |reason: String, fault: Option<String>| (XdpMode::Off, reason, fault);
    let UnderlayDriver { name, features, foreign } = driver;
    let wanted = match asked {
        Xdp::Off => return off("as configured".to_owned(), None),
        Xdp::Auto => None,
        Xdp::Guard => Some(XdpMode::Guard),
        Xdp::Forward => Some(XdpMode::Forward),
    };
    if let Some(id) = foreign {
        let device = &link.name;
        let fault = wanted.map(|_| {
            format!(
                "there is an XDP program that is not weft's (id {id}; `bpftool prog show id {id}`): it stays, and \
                 packets are judged at TC. Take it off (`ip link set dev {device} xdp off`), or set underlay.xdp = \
                 \"off\" in weftd.toml"
            )
        });
        return off(format!("foreign program {id}"), fault);
    }
    let Some(mode) = wanted else { return by_driver(link, driver) };
    if mode == XdpMode::Forward && features.is_none() {
        let old = "this kernel cannot tell which devices take what XDP redirects".to_owned();
        let fault = "it needs Linux 6.3: set underlay.xdp = \"guard\" or \"off\" in weftd.toml".to_owned();
        return off(old, Some(fault));
    }
    let needed = if mode == XdpMode::Forward { XDP_BASIC | XDP_REDIRECT } else { XDP_BASIC };
    if features.is_some_and(|features| features & needed != needed) {
        let lacks = format!("driver {name} has no native XDP");
        let fault =
            format!("{lacks}: set underlay.xdp = \"off\" or \"auto\" in weftd.toml; TC does the same work");
        return off(lacks, Some(fault));
    }
    (mode, "as configured".to_owned(), None)
}

/// What `auto` means for a device.
fn by_driver(link: &Link, driver: &UnderlayDriver) -> (XdpMode, String, Option<String>) {
    let UnderlayDriver { name, features, .. } = driver;
    let (mode, reason) = if matches!(link.kind, Kind::Veth(_)) {
        (XdpMode::Off, "veth, where native XDP costs bulk throughput".to_owned())
    } else if DEAR.contains(&name.as_str()) {
        (XdpMode::Off, format!("driver {name}, where native XDP costs bulk throughput"))
    } else {
        match features {
            None => (XdpMode::Off, "this kernel cannot tell whether the driver has native XDP".to_owned()),
            Some(features) if features & XDP_BASIC == 0 => {
                (XdpMode::Off, format!("driver {name} has no native XDP"))
            }
            Some(_) => (XdpMode::Guard, format!("driver {name} has native XDP")),
        }
    };
    (mode, reason, None)
}

#[cfg(test)]
#[path = "xdp/tests.rs"]
mod tests;
