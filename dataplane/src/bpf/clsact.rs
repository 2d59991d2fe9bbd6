//! Programs as filters of a device's clsact, for kernels without tcx. A filter belongs to the device, not to a pin: it
//! stays when pins and daemons go, and goes with the device.
//!
//! A filter is ours if its slot and name are as `names` makes them and its program uses the maps of our pin folder. The
//! clsact of a device that is not ours may be somebody else's too: it is removed only if we made it and nothing is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::{fs, io};

use aya::maps::MapInfo;
use aya::programs::{SchedClassifier, loaded_programs};
use weft_dataplane_abi::{maps, programs};

use super::links::Attachment;
use super::pins::PinFolder;
use super::sys;
use crate::error::{AttachError, chain};
use crate::netlink::{Filter, Netlink, NetlinkError};
use crate::{Hook, names};

/// The programs of ours that are attached to devices of the thread's network namespace by filters.
pub(super) fn attached(folder: &PinFolder) -> io::Result<Vec<Attachment>> {
    let ours = host_maps(folder);
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let mut netlink = open()?;
    let mut known = BTreeMap::new();
    let mut attachments = Vec::new();
    for link in netlink.links().map_err(other)? {
        for filter in netlink.bpf_filters(link.index).map_err(other)? {
            let Some(program) = names::filter_program(&filter) else { continue };
            let is_ours = match known.get(&filter.program) {
                Some(known) => *known,
                None => *known.entry(filter.program).or_insert(uses(filter.program, &ours)?),
            };
            if is_ours {
                let ifindex = link.index;
                attachments.push(Attachment { hook: Hook::Clsact, program, ifindex, attached_to: ifindex });
            }
        }
    }
    attachments.sort_by_key(|attachment| (attachment.program, attachment.ifindex));
    Ok(attachments)
}

/// The first filter on the ingress of the device with a program of weft's that uses the maps of another folder.
pub(super) fn stranger(ifindex: u32, folder: &PinFolder) -> io::Result<Option<String>> {
    let ours = host_maps(folder);
    for Filter { name, program, .. } in open()?.bpf_filters(ifindex).map_err(other)? {
        if programs::ALL.contains(&name.as_str()) && !uses(program, &ours)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a program of ours is in use that no pinned link of ours holds: a filter's then, on whatever device of whatever
/// network namespace.
pub(super) fn is_anywhere(folder: &PinFolder) -> io::Result<bool> {
    let ours = host_maps(folder);
    let held = super::strangers::held(&folder.links())?;
    for program in loaded_programs() {
        let program = program.map_err(|error| io::Error::other(chain(&error)))?;
        let named = program.name_as_str().is_some_and(|name| programs::ALL.contains(&name));
        if named && !held.contains(&program.id()) && uses(program.id(), &ours)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Attaches `program` to the ingress of the device. Whatever was in its slot makes it fail.
pub(super) fn attach(
    program: &SchedClassifier,
    name: &str,
    ifindex: u32,
    folder: &PinFolder,
) -> Result<(), AttachError> {
    let mut netlink = Netlink::open().map_err(refused)?;
    let made = netlink.add_clsact(ifindex).map_err(|error| match error.errno() {
        // The kernel has no such queueing discipline.
        Some(libc::ENOENT) => AttachError(format!("{}: `modprobe sch_ingress`", chain(&error))),
        _ => refused(error),
    })?;
    // The clsact of a device of ours goes with the device.
    if made && name == programs::FROM_UNDERLAY {
        let mark = folder.clsacts().join(ifindex.to_string());
        let marked = fs::DirBuilder::new().recursive(true).mode(0o700).create(&mark);
        marked.map_err(|error| AttachError(format!("{}: {error}", mark.display())))?;
    }
    let program = program.fd().map_err(|error| AttachError(chain(&error)))?;
    netlink.add_filter(names::slot(name, ifindex), name, program.as_fd()).map_err(|error| {
        match error.errno() {
            Some(libc::ENOENT) => AttachError(format!("{}: `modprobe cls_bpf`", chain(&error))),
            _ => refused(error),
        }
    })
}

/// As [`attach`], unless it is there.
pub(super) fn attach_guard(
    guard: &SchedClassifier,
    ifindex: u32,
    folder: &PinFolder,
) -> Result<(), AttachError> {
    let held = Netlink::open().and_then(|mut netlink| netlink.bpf_filters(ifindex)).map_err(refused)?;
    let slot = names::slot(programs::GUARD, ifindex);
    if held.iter().any(|filter| filter.slot == slot && filter.name == programs::GUARD) {
        return Ok(());
    }
    attach(guard, programs::GUARD, ifindex, folder)
}

/// Puts `program` in the place of the one that is attached, atomically.
pub(super) fn replace(program: &SchedClassifier, name: &str, ifindex: u32) -> Result<(), AttachError> {
    let program = program.fd().map_err(|error| AttachError(chain(&error)))?;
    let mut netlink = Netlink::open().map_err(refused)?;
    netlink.replace_filter(names::slot(name, ifindex), name, program.as_fd()).map_err(refused)
}

/// Detaches a program of ours, and removes a clsact that we made if nothing is left in it.
pub(super) fn detach(folder: &PinFolder, program: &str, ifindex: u32) -> io::Result<()> {
    let is_it = |held: &Attachment| held.program == program && held.ifindex == ifindex;
    if attached(folder)?.iter().any(is_it) {
        open()?.delete_filter(names::slot(program, ifindex)).map_err(other)?;
    }
    let mark = folder.clsacts().join(ifindex.to_string());
    if program == programs::FROM_UNDERLAY && mark.exists() {
        remove_clsact(ifindex)?;
        fs::remove_dir(mark)?;
    }
    Ok(())
}

/// Somebody who adds a filter between the look and the removal loses it: the kernel has no "remove if empty".
fn remove_clsact(ifindex: u32) -> io::Result<()> {
    let mut netlink = open()?;
    if !netlink.has_no_filters(ifindex).map_err(other)? {
        return Ok(());
    }
    match netlink.delete_clsact(ifindex) {
        // It, or its device, has gone.
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => Ok(()),
        removed => removed.map_err(other),
    }
}

/// Ids of our folder's map of the host, which every program uses: the pinned one, and one that is to take its place.
fn host_maps(folder: &PinFolder) -> BTreeSet<u32> {
    let pins = [folder.map(maps::HOST), folder.staging().join(maps::HOST)];
    let id = |pin: &Path| MapInfo::from_pin(pin).map(|info| info.id()).ok();
    pins.iter().filter_map(|pin| id(pin)).collect()
}

/// Whether a program uses one of these maps. One that has just gone does not.
fn uses(program: u32, maps: &BTreeSet<u32>) -> io::Result<bool> {
    match sys::maps_of(program) {
        Ok(used) => Ok(used.iter().any(|map| maps.contains(map))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open() -> io::Result<Netlink> {
    Netlink::open().map_err(other)
}

fn other(error: NetlinkError) -> io::Error {
    io::Error::other(chain(&error))
}

fn refused(error: NetlinkError) -> AttachError {
    AttachError(chain(&error))
}
