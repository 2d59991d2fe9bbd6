//! What must change of devices, programs and neighbours, in stages: a later stage needs what an earlier one made,
//! and no device comes up before its program and the maps are in place.

use std::collections::BTreeSet;
use std::net::IpAddr;

use weft_dataplane_abi::programs;

use super::headroom;
use super::inside::inside;
use crate::Failure;
use crate::change::{Change, DeviceSetting, PortSetting};
use crate::names::{self, Owned, PROTOCOL};
use crate::netlink::{Kind, Link, Neighbour};
use crate::observe::{Namespace, Observed};
use crate::plan::{Devices, WantedPort};

/// MTU of the vxlan device: larger than any underlay's, so that it is never the one to say "too big".
const VXLAN_MTU: u32 = 65_000;

/// When a change is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Make devices; also remove those that are in the way.
    Create,
    /// Set devices up but for bringing them up, attach programs, have next hops resolved. Then come the maps.
    Prepare,
    /// Bring devices up, and see to the workloads' ends.
    Open,
    /// Remove devices.
    Remove,
    /// Detach programs and forget next hops.
    Detach,
}

/// What must change in `stage`, and what cannot be had.
pub(crate) fn devices(stage: Stage, wanted: &Devices, observed: &Observed) -> (Vec<Change>, Vec<Failure>) {
    match stage {
        Stage::Create => create(wanted, observed),
        Stage::Prepare => (prepare(wanted, observed), Vec::new()),
        Stage::Open => (open(wanted, observed), Vec::new()),
        Stage::Remove => (removals(wanted, observed), Vec::new()),
        Stage::Detach => (detach(wanted, observed), Vec::new()),
    }
}

fn create(wanted: &Devices, observed: &Observed) -> (Vec<Change>, Vec<Failure>) {
    let mut changes = Vec::new();
    let mut failures = Vec::new();
    for link in &observed.links {
        if names::owned(link) == Some(Owned::Unfinished) {
            changes.push(remove(link, None));
        }
    }
    match create_vxlan(wanted.udp_port, observed) {
        Ok(made) => changes.extend(made),
        Err(failure) => failures.push(failure),
    }
    match headroom::create(observed) {
        Ok(made) => changes.extend(made),
        Err(failure) => failures.push(failure),
    }
    for (name, port) in &wanted.ports {
        match create_port(name, port, observed) {
            Ok(made) => changes.extend(made),
            Err(cause) => failures.push(Failure::of_port(name, cause)),
        }
    }
    (changes, failures)
}

fn create_vxlan(udp_port: u16, observed: &Observed) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    if let Some(ours) = observed.vxlan() {
        if ours.kind == (Kind::Vxlan { port: udp_port, external: true, zero_checksums: true }) {
            return Ok(changes);
        }
        changes.push(remove(ours, None));
    }
    let device = names::VXLAN;
    let fail = |cause| Failure::new(format!("device {device}"), cause);
    let foreign = |link: &&Link| names::owned(link).is_none();
    if observed.links.iter().filter(foreign).any(|link| link.name == device) {
        return Err(fail("a device with this name exists and is not weft's: rename or remove it".to_owned()));
    }
    let holds = |link: &&Link| matches!(link.kind, Kind::Vxlan { port, .. } if port == udp_port);
    if let Some(other) = observed.links.iter().filter(foreign).find(holds) {
        let other = &other.name;
        return Err(fail(format!(
            "the vxlan device {other} holds UDP port {udp_port}: remove it, or configure another port on all hosts"
        )));
    }
    changes.push(Change::CreateVxlan { device: device.to_owned(), udp_port });
    Ok(changes)
}

fn create_port(name: &str, port: &WantedPort, observed: &Observed) -> Result<Vec<Change>, String> {
    let namespace = match observed.namespaces.get(&port.netns) {
        Some(Ok(namespace)) => namespace,
        Some(Err(error)) => return Err(error.to_string()),
        None => return Ok(Vec::new()),
    };
    let host_end = observed.host_end(name);
    if workloads_end(host_end, namespace).is_some_and(|link| link.name == port.device) {
        return Ok(Vec::new());
    }
    let (device, netns) = (&port.device, port.netns.display());
    let ours = workloads_end(host_end, namespace).map(|link| link.index);
    if namespace.links.iter().any(|link| link.name == *device && Some(link.index) != ours) {
        return Err(format!(
            "device {device} already exists in {netns} and is not this port's: remove it, or choose another device \
             name for the port"
        ));
    }
    if host_end.is_none() && observed.named(&port.host_end).is_some_and(|link| names::owned(link).is_none()) {
        let host_end = &port.host_end;
        return Err(format!("device {host_end} exists on the host and is not weft's: rename or remove it"));
    }
    let Some(mtu) = port.mtu else {
        return Err("its MTU is not known before the underlay device is there".to_owned());
    };
    // One whose other end is elsewhere, or has another name, is made anew.
    let misplaced = host_end.map(|link| remove(link, Some(name)));
    let created = Change::CreatePort {
        port: name.to_owned(),
        device: port.host_end.clone(),
        netns: port.netns.clone(),
        inside: device.clone(),
        mac: port.mac,
        mtu,
    };
    Ok(misplaced.into_iter().chain([created]).collect())
}

/// The other end of `host_end`, if it is in `namespace`.
fn workloads_end<'a>(host_end: Option<&Link>, namespace: &'a Namespace) -> Option<&'a Link> {
    let host_end = host_end?;
    let Kind::Veth(far) = host_end.kind else { return None };
    if far.nsid.is_none() || far.nsid != namespace.nsid {
        return None;
    }
    let is_far_end = |link: &&Link| {
        link.index == far.index && matches!(link.kind, Kind::Veth(near) if near.index == host_end.index)
    };
    namespace.links.iter().find(is_far_end)
}

fn prepare(wanted: &Devices, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(link) = observed.vxlan() {
        changes.extend(settings(link, Some(VXLAN_MTU)));
        // Before the maps lead packets to it for that, and no longer than they do.
        changes.extend(checksums(link, wanted, observed).filter(|_| wanted.software_checksums));
    }
    for (name, port) in &wanted.ports {
        if let Some(link) = observed.host_end(name) {
            changes.extend(settings(link, port.mtu));
        }
    }
    if let Some(bridge) = observed.headroom() {
        changes.extend(settings(bridge, None));
        changes.extend(headroom::join(bridge, wanted, observed));
    }
    for (program, ifindex) in wanted.attachments(observed) {
        if let Some(link) = observed.indexed(ifindex).filter(|_| !observed.is_attached(program, ifindex)) {
            let (device, port) = (link.name.clone(), port_of(link));
            changes.push(Change::Attach { program, device, ifindex, port });
        }
    }
    changes.extend(missing_neighbours(&wanted.neighbours, observed));
    changes
}

/// The next hops that nobody keeps resolved yet.
pub(crate) fn missing_neighbours(
    wanted: &BTreeSet<(u32, IpAddr)>,
    observed: &Observed,
) -> impl Iterator<Item = Change> {
    let missing = wanted.iter().filter(|&&(ifindex, address)| {
        let same = |held: &&Neighbour| held.is(ifindex, address);
        // One that somebody else made is used as it is.
        let held = observed.neighbours.iter().find(same);
        held.is_none_or(|held| held.protocol == 0 && !held.managed && !held.permanent)
    });
    missing.map(|&(ifindex, address)| Change::AddNeighbour { address, ifindex })
}

fn settings(link: &Link, mtu: Option<u32>) -> Vec<Change> {
    let ipv6 = link.ipv6.then_some(DeviceSetting::NoIpv6);
    let mtu = mtu.filter(|mtu| *mtu != link.mtu).map(DeviceSetting::Mtu);
    ipv6.into_iter().chain(mtu).map(|setting| set(link, setting)).collect()
}

/// Has the vxlan device compute checksums, or leave them to others, if it is to do the other than it does.
fn checksums(link: &Link, wanted: &Devices, observed: &Observed) -> Option<Change> {
    let on = wanted.software_checksums;
    (on != observed.software_checksums).then(|| set(link, DeviceSetting::SoftwareChecksums(on)))
}

fn open(wanted: &Devices, observed: &Observed) -> Vec<Change> {
    let vxlan = observed.vxlan();
    let mut changes: Vec<_> =
        vxlan.and_then(|link| guarded(link, programs::FROM_VXLAN, observed)).into_iter().collect();
    changes.extend(vxlan.and_then(|link| checksums(link, wanted, observed)));
    // Of several ports in a namespace the first by device name gets a default route that is missing.
    let mut ports: Vec<_> = wanted.ports.iter().collect();
    ports.sort_by_key(|(name, port)| (&port.device, *name));
    let mut routed = BTreeSet::new();
    for (name, port) in ports {
        let host_end = observed.host_end(name);
        changes.extend(host_end.and_then(|link| guarded(link, programs::FROM_POD, observed)));
        if let Some(Ok(namespace)) = observed.namespaces.get(&port.netns)
            && let Some(link) = workloads_end(host_end, namespace)
        {
            let changed = inside(name, port, link, namespace).into_iter();
            changes.extend(changed.filter(|change| match default_route(change) {
                Some(gateway) => routed.insert((namespace.nsid, gateway.is_ipv6())),
                None => true,
            }));
            changes.extend(redirectable(name, port, (host_end, link), observed));
        }
    }
    changes
}

/// Has XDP able to redirect into a port. The kernel makes the host end able to when the other's GRO is switched on, but
/// only while that one is up.
fn redirectable(
    name: &str,
    port: &WantedPort,
    (host_end, link): (Option<&Link>, &Link),
    observed: &Observed,
) -> Option<Change> {
    let host_end = host_end.filter(|host_end| host_end.up && link.up)?;
    (!observed.is_redirect_target(host_end.index)).then(|| Change::SetPort {
        port: name.to_owned(),
        netns: port.netns.clone(),
        ifindex: link.index,
        setting: PortSetting::Gro,
    })
}

/// The gateway of a default route, if it is what the change adds.
fn default_route(change: &Change) -> Option<IpAddr> {
    if let Change::SetPort { setting: PortSetting::AddRoute(gateway), .. } = change {
        Some(*gateway)
    } else {
        None
    }
}

/// A device is up if, and only if, its program is attached.
fn guarded(link: &Link, program: &str, observed: &Observed) -> Option<Change> {
    match (link.up, observed.is_attached(program, link.index)) {
        (false, true) => Some(set(link, DeviceSetting::Up)),
        (true, false) => Some(set(link, DeviceSetting::Down)),
        (true, true) | (false, false) => None,
    }
}

fn removals(wanted: &Devices, observed: &Observed) -> Vec<Change> {
    observed
        .links
        .iter()
        .filter_map(|link| match names::owned(link)? {
            Owned::Port(port) if !wanted.ports.contains_key(port) => Some(remove(link, Some(port))),
            Owned::Port(_) | Owned::Vxlan | Owned::Headroom | Owned::Unfinished => None,
        })
        .collect()
}

fn detach(wanted: &Devices, observed: &Observed) -> Vec<Change> {
    let attachments = wanted.attachments(observed);
    let tc = observed.attachments.iter().filter(|link| !programs::XDP.contains(&link.program));
    let unwanted = tc.filter(|link| {
        // A device of ours that could not be removed keeps its program.
        let device = observed.indexed(link.ifindex);
        let guards = device.is_some_and(|device| names::owned(device).is_some());
        // And so does the underlay that was, until there is another.
        let receives =
            device.is_some() && link.program == programs::FROM_UNDERLAY && wanted.underlay.is_none();
        !link.is_healthy() || !(guards || receives || attachments.contains(&(link.program, link.ifindex)))
    });
    let detached = unwanted.map(|link| Change::Detach { program: link.program, ifindex: link.ifindex });
    let ours = observed.neighbours.iter().filter(|held| held.protocol == PROTOCOL);
    let forgotten = ours
        .filter(|held| !wanted.neighbours.contains(&(held.ifindex, held.address)))
        .map(|held| Change::RemoveNeighbour { address: held.address, ifindex: held.ifindex });
    detached.chain(forgotten).collect()
}

fn set(link: &Link, setting: DeviceSetting) -> Change {
    Change::SetDevice { device: link.name.clone(), ifindex: link.index, port: port_of(link), setting }
}

fn port_of(link: &Link) -> Option<String> {
    match names::owned(link)? {
        Owned::Port(port) => Some(port.to_owned()),
        Owned::Vxlan | Owned::Headroom | Owned::Unfinished => None,
    }
}

fn remove(link: &Link, port: Option<&str>) -> Change {
    Change::RemoveDevice { device: link.name.clone(), ifindex: link.index, port: port.map(str::to_owned) }
}

#[cfg(test)]
#[path = "devices/tests.rs"]
mod tests;
