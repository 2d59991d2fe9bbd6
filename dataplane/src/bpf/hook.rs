//! How programs are attached to devices: the seam between tcx and clsact. Chosen once, when the data plane is opened;
//! what is attached by the other way stays as it is, and is replaced and detached as such.

use aya::programs::{LinkOrder, SchedClassifier};
use weft_dataplane_abi::programs;

use super::links::Attachment;
use super::pins::PinFolder;
use super::{clsact, guard, links, sys};
use crate::Hook;
use crate::error::{AttachError, OpenError};

/// The hook that is asked for, or else the best that the kernel has.
pub(super) fn choose(wanted: Option<Hook>) -> Result<Hook, OpenError> {
    let has_tcx = sys::has_tcx().map_err(|source| OpenError::Hook { source })?;
    match wanted {
        None if has_tcx => Ok(Hook::Tcx),
        None | Some(Hook::Clsact) => Ok(Hook::Clsact),
        Some(Hook::Tcx) if has_tcx => Ok(Hook::Tcx),
        Some(Hook::Tcx) => Err(OpenError::NoTcx),
    }
}

/// Attaches a program by `hook` to the ingress of a device: before all others, and after all others on the underlay
/// device.
pub(super) fn attach(
    hook: Hook,
    program: &mut SchedClassifier,
    name: &str,
    (device, ifindex): (&str, u32),
    folder: &PinFolder,
) -> Result<(), AttachError> {
    match hook {
        Hook::Tcx => {
            let first = name != programs::FROM_UNDERLAY;
            let order = if first { LinkOrder::first() } else { LinkOrder::last() };
            links::attach(program, device, order, &folder.link(name, ifindex))
        }
        Hook::Clsact => clsact::attach(program, name, ifindex, folder),
    }
}

/// Attaches the guard behind all others, unless it is there.
pub(super) fn attach_guard(
    hook: Hook,
    program: &SchedClassifier,
    (device, ifindex): (&str, u32),
    folder: &PinFolder,
) -> Result<(), AttachError> {
    match hook {
        Hook::Tcx => guard::attach(program, device, ifindex),
        Hook::Clsact => clsact::attach_guard(program, ifindex, folder),
    }
}

/// Puts a program in the place of the one that is attached, atomically.
pub(super) fn replace(
    program: &mut SchedClassifier,
    attachment: &Attachment,
    folder: &PinFolder,
) -> Result<(), AttachError> {
    let Attachment { program: name, ifindex, .. } = *attachment;
    match attachment.hook {
        Hook::Tcx => links::replace(program, &folder.link(name, ifindex)),
        Hook::Clsact => clsact::replace(program, name, ifindex),
    }
}
