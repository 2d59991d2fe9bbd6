//! The eBPF object: loaded beside what runs, and only when the kernel has accepted all of it put in its place.

use std::collections::BTreeSet;
use std::{fs, io};

use aya::maps::{Array, Map, MapError, MapInfo};
use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use weft_dataplane_abi::{ABI_VERSION, maps, programs};

use super::hook;
use super::inventory::Inventory;
use super::links::Attachment;
use super::log::{KernelLog, ToTracing};
use super::maps::{Maps, Shape, shapes};
use super::pins::{Fresh, PinFolder};
use super::resize::Staging;
use super::{memory, xdp};
use crate::error::{AttachError, OpenError, chain};
use crate::{Hook, Options, Owner, Sizes};

static OBJECT: &[u8] = include_bytes_aligned!(env!("WEFT_BPF_OBJECT"));

/// The loaded programs.
pub(crate) struct Programs {
    ebpf: Ebpf,
    hook: Hook,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Programs")
    }
}

impl Programs {
    /// Loads the programs, adopts the pinned maps, moves the entries of those of another size or layout to new ones, or
    /// pins new ones, and replaces the programs on every device. Fails before it changes anything, but for the
    /// replacement itself, which no packet notices.
    pub(crate) fn load(
        folder: &mut PinFolder,
        options: &Options,
        owner: &Owner,
    ) -> Result<(Self, Maps, KernelLog), OpenError> {
        let hook = hook::choose(options.hook)?;
        let sizes = &options.sizes;
        folder.check_owner(owner)?;
        let Inventory { adopted, outgrown } = Inventory::take(folder, sizes)?;
        memory::check(sizes, &adopted)?;
        let staging = Staging::prepare(folder, outgrown)?;
        let mut ebpf = load(folder, &adopted, sizes)?;
        for name in programs::ALL.into_iter().chain([programs::GUARD, programs::JUDGE]) {
            classifier(&mut ebpf, name)
                .map_err(|cause| OpenError::Program { name, cause })?
                .load()
                .map_err(|error| OpenError::Program { name, cause: chain(&error) })?;
        }
        for name in programs::XDP {
            xdp::program(&mut ebpf, name)
                .map_err(|cause| OpenError::Program { name, cause })?
                .load()
                .map_err(|error| OpenError::Program { name, cause: chain(&error) })?;
        }
        let log = KernelLog::init_with_logger(&mut ebpf, ToTracing)
            .map_err(|error| OpenError::Load { cause: chain(&error) })?;
        if !folder.is_complete() {
            // Before the maps are complete, so that complete ones always have an owner.
            folder.record_owner(owner)?;
        }
        let fresh = pin_new(&mut ebpf, folder, &staging, &adopted, sizes)?;
        let unusable = |error: MapError| OpenError::Pin { path: folder.maps(), cause: chain(&error) };
        let path = |name: &str| staging.map(name).unwrap_or_else(|| folder.map(name));
        let maps = Maps::open(path).map_err(unusable)?;
        staging.fill(folder, &maps)?;
        fresh.keep();

        let mut programs = Self { ebpf, hook };
        programs.replace_all(folder)?;
        staging.put_in_place(folder)?;
        folder.record_owner(owner)?;
        let settled = folder.settle(hook);
        settled.map_err(|source| OpenError::Folder { path: folder.root().to_owned(), source })?;
        tracing::info!(%hook, "programs are loaded");
        Ok((programs, maps, log))
    }

    fn replace_all(&mut self, folder: &PinFolder) -> Result<(), OpenError> {
        let attachments = || {
            let links = folder.attachments();
            links.map_err(|source| OpenError::Folder { path: folder.root().to_owned(), source })
        };
        for attachment in attachments()? {
            let Attachment { program, ifindex, .. } = attachment;
            let path = folder.link(program, ifindex);
            if attachment.attached_to != 0 {
                let Err(error) = self.replace(&attachment, folder) else { continue };
                // The device may have gone since the links were read, as one goes with its namespace.
                let same = |link: &Attachment| (link.program, link.ifindex) == (program, ifindex);
                if attachments()?.iter().any(|link| same(link) && link.attached_to != 0) {
                    return Err(OpenError::Pin { path, cause: error.0 });
                }
            }
            tracing::info!(program, ifindex, "unpinning the link of a device that has gone");
            match fs::remove_file(&path) {
                // A filter has no pin: it went with its device.
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::Folder { path, source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn replace(&mut self, attachment: &Attachment, folder: &PinFolder) -> Result<(), AttachError> {
        let Attachment { program, ifindex, .. } = *attachment;
        if programs::XDP.contains(&program) {
            let xdp = xdp::program(&mut self.ebpf, program).map_err(AttachError)?;
            return xdp::replace(xdp, &folder.link(program, ifindex));
        }
        hook::replace(self.program(program)?, attachment, folder)
    }

    /// How programs are attached.
    pub(crate) fn hook(&self) -> Hook {
        self.hook
    }

    /// Attaches `program` to the device.
    pub(crate) fn attach(
        &mut self,
        folder: &PinFolder,
        program: &str,
        device: &str,
        ifindex: u32,
    ) -> Result<(), AttachError> {
        if programs::XDP.contains(&program) {
            return xdp::attach(&mut self.ebpf, folder, program, ifindex);
        }
        folder.detach(program, ifindex).map_err(|error| AttachError(error.to_string()))?;
        folder.require_no_stranger_on(device, ifindex).map_err(|error| AttachError(error.to_string()))?;
        let hook = self.hook;
        if program != programs::FROM_UNDERLAY {
            hook::attach_guard(hook, self.program(programs::GUARD)?, (device, ifindex), folder)?;
        }
        hook::attach(hook, self.program(program)?, program, (device, ifindex), folder)
    }

    /// The program that judges packets that nobody sent.
    pub(crate) fn judge(&mut self) -> Result<&SchedClassifier, AttachError> {
        self.program(programs::JUDGE).map(|program| &*program)
    }

    fn program(&mut self, name: &str) -> Result<&mut SchedClassifier, AttachError> {
        classifier(&mut self.ebpf, name).map_err(AttachError)
    }
}

fn load(folder: &PinFolder, adopted: &BTreeSet<&'static str>, sizes: &Sizes) -> Result<Ebpf, OpenError> {
    let mut loader = EbpfLoader::new();
    for (name, shape) in shapes(sizes) {
        loader.map_max_entries(name, shape.max_entries);
        if adopted.contains(name) {
            loader.map_pin_path(name, folder.map(name));
        }
    }
    loader.load(OBJECT).map_err(|error| OpenError::Load { cause: chain(&error) })
}

fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, String> {
    let program = ebpf.program_mut(name).ok_or("it is not in the object")?;
    program.try_into().map_err(|error| chain(&error))
}

/// Pins the maps that were not adopted, the ABI last: its pin says that the others are complete.
fn pin_new(
    ebpf: &mut Ebpf,
    folder: &PinFolder,
    staging: &Staging,
    adopted: &BTreeSet<&'static str>,
    sizes: &Sizes,
) -> Result<Fresh, OpenError> {
    let mut fresh = Fresh::default();
    let shapes = shapes(sizes);
    let last = shapes.iter().filter(|(name, _)| *name == maps::ABI);
    for (name, shape) in shapes.iter().filter(|(name, _)| *name != maps::ABI).chain(last) {
        let map =
            ebpf.take_map(name).ok_or_else(|| OpenError::Load { cause: format!("it has no map {name}") })?;
        if adopted.contains(name) {
            continue;
        }
        let staged = staging.map(name);
        let path = staged.clone().unwrap_or_else(|| folder.map(name));
        let failed = |cause| OpenError::Pin { path: path.clone(), cause };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error.to_string())),
            // Left by an open that did not come to its end.
            Ok(()) | Err(_) => {}
        }
        map.pin(&path).map_err(|error| failed(chain(&error)))?;
        if staged.is_none() {
            fresh.made(path.clone());
        }
        let made = MapInfo::from_pin(&path).and_then(|info| Shape::of(&info));
        let made = made.map_err(|error| failed(chain(&error)))?;
        if made != *shape {
            return Err(failed(format!("the object makes {made}, but the data plane speaks {shape}")));
        }
        if *name == maps::ABI {
            set_abi(map).map_err(failed)?;
        }
    }
    Ok(fresh)
}

fn set_abi(map: Map) -> Result<(), String> {
    let mut abi = Array::<_, u32>::try_from(map).map_err(|error| chain(&error))?;
    abi.set(0, ABI_VERSION, 0).map_err(|error| chain(&error))
}
