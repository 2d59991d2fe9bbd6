//! Headroom: free bytes in front of what workloads send, so that the programs need not move a packet to put outer headers
//! before it.
//!
//! A device's sender leaves as much as the device says. Of a veth no message sets that; the kernel does, for the ports of a
//! bridge: as much as the neediest of them asks for, which is the vxlan device. So they are ports of one bridge. It is down
//! and carries nothing: the programs take packets before a bridge sees them, and what came past them would end there.

use crate::Failure;
use crate::change::{Change, DeviceSetting};
use crate::names;
use crate::netlink::Link;
use crate::observe::Observed;
use crate::plan::Devices;

/// Ports that a bridge can have: one less than `BR_MAX_PORTS`, as none has the number 0. More ports of a host than that work
/// without headroom.
const MOST: usize = 1023;

/// The bridge, if it is missing.
pub(super) fn create(observed: &Observed) -> Result<Option<Change>, Failure> {
    let device = names::HEADROOM;
    if observed.headroom().is_some() {
        return Ok(None);
    }
    if observed.named(device).is_some_and(|link| names::owned(link).is_none()) {
        let cause = "a device with this name exists and is not weft's: rename or remove it. Until then packets of workloads \
                     take a little longer";
        return Err(Failure::new(format!("device {device}"), cause.to_owned()));
    }
    Ok(Some(Change::CreateHeadroom { device: device.to_owned() }))
}

/// Has all be ports of `bridge`, as far as it can have so many, and it be down. What fails of that is no port's failure: it
/// works without.
pub(super) fn join(
    bridge: &Link,
    wanted: &Devices,
    observed: &Observed,
) -> impl Iterator<Item = Change> + use<> {
    let idle = bridge.up.then(|| set(bridge, DeviceSetting::Idle));
    let is_member = |link: &&Link| link.master == Some(bridge.index);
    let room = MOST.saturating_sub(observed.links.iter().filter(is_member).count());
    // The one that asks for the room comes first.
    let ports = wanted.ports.keys().filter_map(|name| observed.host_end(name));
    let devices = observed.vxlan().into_iter().chain(ports);
    let missing = devices.filter(|link| !is_member(link)).take(room);
    let joined: Vec<_> =
        missing.map(|link| set(link, DeviceSetting::Headroom { bridge: bridge.index })).collect();
    idle.into_iter().chain(joined)
}

fn set(link: &Link, setting: DeviceSetting) -> Change {
    Change::SetDevice { device: link.name.clone(), ifindex: link.index, port: None, setting }
}
