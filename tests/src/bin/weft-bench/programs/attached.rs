//! The programs that a host's weftd has attached, found by the pins of their links.

use std::fs;

use anyhow::{Context as _, Result};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{ProgramInfo, loaded_programs};
use weft_tests::cloud::Cloud;

/// A program on a device.
pub(crate) struct Attached {
    pub(crate) info: ProgramInfo,
    pub(crate) ifindex: u32,
}

/// All devices of the host with this number, from 0, that `program` is attached to.
pub(crate) fn find(cloud: &Cloud<'_>, host: usize, program: &str) -> Result<Vec<Attached>> {
    let folder = cloud.daemon(host).settings().pin_folder.join("links");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        // A pin's name is PROGRAM-IFINDEX.
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
        let Some((_, ifindex)) = name.filter(|(of, _)| *of == program) else { continue };
        let ifindex = ifindex.parse().with_context(|| path.display().to_string())?;
        let link = FdLink::from(PinnedLink::from_pin(&path)?);
        found.push(Attached { info: loaded(link.info()?.program_id())?, ifindex });
    }
    Ok(found)
}

/// The loaded program with this identifier, and its counts so far.
pub(crate) fn loaded(id: u32) -> Result<ProgramInfo> {
    let mut programs = loaded_programs().filter_map(std::result::Result::ok);
    programs.find(|program| program.id() == id).with_context(|| format!("program {id} is gone"))
}
