//! XDP on an underlay device: one program, held by a pinned link that is weft's from the start. A program that
//! somebody else put there is never replaced: the kernel refuses a second one.

use std::os::fd::AsFd;
use std::{fs, io};

use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use weft_dataplane_abi::programs;

use super::pins::PinFolder;
use super::sys;
use crate::error::{AttachError, chain};

/// The program `name`, if it is one of XDP's.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, String> {
    let program = ebpf.program_mut(name).ok_or("it is not in the object")?;
    program.try_into().map_err(|error| chain(&error))
}

/// Attaches `name` to the device `ifindex`, in native mode, and pins the link. If the device has another of weft's, that
/// one's link takes the program over, and no packet meets neither.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    folder: &PinFolder,
    name: &str,
    ifindex: u32,
) -> Result<(), AttachError> {
    let failed = |error: io::Error| AttachError(error.to_string());
    let pin = folder.link(name, ifindex);
    let others = programs::XDP.into_iter().filter(|other| *other != name);
    let held = others.map(|other| folder.link(other, ifindex)).find(|pin| pin.exists());
    let program = program(ebpf, name).map_err(AttachError)?;
    if let Some(held) = held {
        replace(program, &held)?;
        // Until then the pin says what was there before, and the next open puts that back.
        return fs::rename(&held, &pin).map_err(failed);
    }
    let program = program.fd().map_err(|error| AttachError(chain(&error)))?;
    let link = sys::attach_xdp_native(program.as_fd(), ifindex).map_err(refused)?;
    sys::pin(link.as_fd(), &pin).map_err(failed)
}

/// Puts `program` in the place of the one that the link at `pin` holds, atomically.
pub(super) fn replace(program: &mut Xdp, pin: &std::path::Path) -> Result<(), AttachError> {
    let link = PinnedLink::from_pin(pin).map_err(|error| AttachError(chain(&error)))?;
    let link = XdpLink::try_from(FdLink::from(link)).map_err(|error| AttachError(chain(&error)))?;
    let id = program.attach_to_link(link).map_err(|error| AttachError(chain(&error)))?;
    // The pin holds the link; the descriptor is not needed.
    program.take_link(id).map(drop).map_err(|error| AttachError(chain(&error)))
}

/// What the kernel's refusals mean here.
fn refused(error: io::Error) -> AttachError {
    let hint = match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "the device's driver has no native XDP",
        Some(libc::ERANGE | libc::EINVAL) => {
            "the driver takes no XDP program as the device is set up: its MTU may be too large, or it has too few queues"
        }
        Some(libc::EBUSY | libc::EEXIST) => "there is an XDP program that is not weft's on the device",
        _ => "the driver refused",
    };
    AttachError(format!(
        "{error}: {hint}. Packets are judged at TC meanwhile; underlay.xdp = \"off\" leaves it at that"
    ))
}
