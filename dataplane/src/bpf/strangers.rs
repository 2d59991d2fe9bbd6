//! weft's programs on a device of ours that no link in our pin folder holds, or that use other maps: another pin folder's.
//! They run before ours, know none of our maps' entries, and drop what ours should get.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use aya::programs::{SchedClassifier, TcAttachType};
use weft_dataplane_abi::programs;

use super::pins::PinFolder;
use super::{clsact, sys};
use crate::error::chain;
use crate::patience::look_until;

/// The kernel takes a program off a little after its link has lost its pin.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first such program on the ingress of `device`, which has the index `ifindex`.
pub(super) fn stranger(device: &str, ifindex: u32, folder: &PinFolder) -> Result<Option<String>, String> {
    look_until(PATIENCE, || look(device, ifindex, folder), |found| *found == Ok(None))
}

fn look(device: &str, ifindex: u32, folder: &PinFolder) -> Result<Option<String>, String> {
    let filter = clsact::stranger(ifindex, folder).map_err(|error| error.to_string())?;
    if filter.is_some() || !sys::has_tcx().map_err(|error| error.to_string())? {
        return Ok(filter);
    }
    let (_, attached) =
        SchedClassifier::query_tcx(device, TcAttachType::Ingress).map_err(|error| chain(&error))?;
    let links = folder.links();
    let ours = held(&links).map_err(|error| format!("{}: {error}", links.display()))?;
    let stranger = attached.iter().find(|program| {
        let named = program.name_as_str().is_some_and(|name| programs::ALL.contains(&name));
        named && !ours.contains(&program.id())
    });
    Ok(stranger.and_then(|program| program.name_as_str()).map(str::to_owned))
}

/// Ids of the programs that the pinned links hold.
pub(super) fn held(links: &Path) -> io::Result<BTreeSet<u32>> {
    let mut programs = BTreeSet::new();
    let entries = match std::fs::read_dir(links) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(programs),
        entries => entries?,
    };
    for entry in entries {
        programs.extend(sys::link_at(&entry?.path())?.map(|link| link.program_id));
    }
    Ok(programs)
}
