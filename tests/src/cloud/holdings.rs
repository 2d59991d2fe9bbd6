//! What weft holds on a host, counted: what grows from start to start would fill the kernel some day.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::MapInfo;
use aya::programs::{SchedClassifier, TcAttachType, loaded_programs};

use super::{Cloud, SELF_TEST};

/// What weft holds on one host, its weftd running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// Files in the pin folder.
    pub pins: Vec<String>,
    /// Loaded programs that use one of the pinned maps, wherever they are attached or held.
    pub programs: usize,
    /// Programs on the ingress of the host's devices.
    pub attached: usize,
    /// Devices in the host's namespace.
    pub devices: usize,
    /// Open files of weftd.
    pub files: usize,
    /// Threads of weftd.
    pub threads: usize,
}

impl Cloud<'_> {
    /// What weft holds on the host with this number.
    ///
    /// # Errors
    /// weftd is not running, or the kernel does not answer.
    pub fn holdings(&self, host: usize) -> Result<Holdings> {
        let daemon = self.daemon(host);
        let folder = &daemon.settings().pin_folder;
        let mut pins = Vec::new();
        collect(folder, &mut pins)?;
        let namespace = &self.machine(host).namespace;
        let devices = namespace.links()?;
        if let Some(own) = devices.iter().find(|device| device.name == SELF_TEST) {
            for pin in &mut pins {
                rename(pin, own.index);
            }
        }
        pins.sort();
        let mut maps = BTreeSet::new();
        for pin in fs::read_dir(folder.join("maps"))? {
            maps.insert(MapInfo::from_pin(pin?.path())?.id());
        }
        let programs = loaded_programs().filter(|program| {
            // One that goes while it is looked at is not held.
            let used = program.as_ref().ok().and_then(|program| program.map_ids().ok().flatten());
            used.is_some_and(|used| used.iter().any(|id| maps.contains(id)))
        });
        let programs = programs.count();
        let mut attached = 0;
        for device in &devices {
            let query = || SchedClassifier::query_tcx(&device.name, TcAttachType::Ingress);
            attached += namespace.run(query)??.1.len();
        }
        let process = format!("/proc/{}", daemon.pid().context("weftd is not running")?);
        let entries = |of: &str| fs::read_dir(format!("{process}/{of}")).map(Iterator::count);
        Ok(Holdings {
            pins,
            programs,
            attached,
            devices: devices.len(),
            files: entries("fd")?,
            threads: entries("task")?,
        })
    }
}

/// Gives what is pinned for the self-test's device a name that it keeps: each weftd's has another index.
fn rename(pin: &mut String, index: u32) {
    let index = index.to_string();
    if let Some((folder, file)) = pin.rsplit_once('/')
        && file.rsplit('-').next() == Some(&index)
    {
        *pin = format!("{folder}/{}", file.replace(&index, SELF_TEST));
    }
}

/// The files below `folder`.
fn collect(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        files.push(path.display().to_string());
        if path.is_dir() {
            collect(&path, files)?;
        }
    }
    Ok(())
}
