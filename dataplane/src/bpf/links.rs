//! Pinned links: each holds one program on one device, without a daemon.

use std::path::Path;
use std::{fs, io};

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};

use super::sys;
use crate::error::{AttachError, chain};
use crate::{Hook, names};

/// A program on a device, as a pinned link or a filter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// What holds it.
    pub(crate) hook: Hook,
    /// The program, by the pin's or the filter's name.
    pub(crate) program: &'static str,
    /// The device that the pin's name says, or that has the filter.
    pub(crate) ifindex: u32,
    /// The device that it is attached to; 0 if that has gone.
    pub(crate) attached_to: u32,
}

impl Attachment {
    /// Whether a link does what its pin's name says.
    pub(crate) fn is_healthy(&self) -> bool {
        self.attached_to == self.ifindex
    }
}

/// The links pinned in `folder` under names of ours. Other files are not looked at.
pub(super) fn pinned(folder: &Path) -> io::Result<Vec<Attachment>> {
    let mut attachments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some((program, ifindex)) = entry.file_name().to_str().and_then(names::parse_link_pin) else {
            continue;
        };
        if let Some(info) = sys::link_at(&entry.path())? {
            attachments.push(Attachment { hook: Hook::Tcx, program, ifindex, attached_to: info.ifindex });
        }
    }
    attachments.sort_by_key(|attachment| (attachment.program, attachment.ifindex));
    Ok(attachments)
}

/// Puts `program` in the place of the one that the link at `pin` holds, atomically.
pub(super) fn replace(program: &mut SchedClassifier, pin: &Path) -> Result<(), AttachError> {
    let link = PinnedLink::from_pin(pin).map_err(|error| AttachError(chain(&error)))?;
    let link =
        SchedClassifierLink::try_from(FdLink::from(link)).map_err(|error| AttachError(chain(&error)))?;
    let id = program.attach_to_link(link).map_err(|error| AttachError(chain(&error)))?;
    // The pin holds the link; the descriptor is not needed.
    program.take_link(id).map(drop).map_err(|error| AttachError(chain(&error)))
}

/// Attaches `program` to the ingress of `device` and pins the link. A crash in between detaches it again.
pub(super) fn attach(
    program: &mut SchedClassifier,
    device: &str,
    order: LinkOrder,
    pin: &Path,
) -> Result<(), AttachError> {
    let order = TcAttachOptions::TcxOrder(order);
    let id = program
        .attach_with_options(device, TcAttachType::Ingress, order)
        .map_err(|error| AttachError(chain(&error)))?;
    let link = program.take_link(id).map_err(|error| AttachError(chain(&error)))?;
    let link = FdLink::try_from(link).map_err(|error| AttachError(chain(&error)))?;
    link.pin(pin).map(drop).map_err(|error| AttachError(chain(&error)))
}
