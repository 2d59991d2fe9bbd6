//! weft's programs on a device of ours that no link in our pin folder holds: another pin folder's. They run before
//! ours, know none of our maps' entries, and drop what ours should get.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use aya::programs::{SchedClassifier, TcAttachType};
use weft_dataplane_abi::programs;

use super::sys;
use crate::error::chain;
use crate::patience::look_until;

/// The kernel takes a program off a little after its link has lost its pin.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first such program on the ingress of `device`, given the folder of our pinned links.
pub(super) fn stranger(device: &str, links: &Path) -> Result<Option<String>, String> {
    look_until(PATIENCE, || look(device, links), |found| *found == Ok(None))
}

fn look(device: &str, links: &Path) -> Result<Option<String>, String> {
    let (_, attached) =
        SchedClassifier::query_tcx(device, TcAttachType::Ingress).map_err(|error| chain(&error))?;
    let ours = held(links).map_err(|error| format!("{}: {error}", links.display()))?;
    let stranger = attached.iter().find(|program| {
        let named = program.name_as_str().is_some_and(|name| programs::ALL.contains(&name));
        named && !ours.contains(&program.id())
    });
    Ok(stranger.and_then(|program| program.name_as_str()).map(str::to_owned))
}

/// Ids of the programs that the pinned links hold.
pub(super) fn held(links: &Path) -> io::Result<BTreeSet<u32>> {
    let mut programs = BTreeSet::new();
    for entry in std::fs::read_dir(links)? {
        programs.extend(sys::link_at(&entry?.path())?.map(|link| link.program_id));
    }
    Ok(programs)
}
