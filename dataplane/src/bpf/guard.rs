//! The guard: a program behind from_pod and from_vxlan that drops everything. It is attached to the device itself, not
//! by a link, so that it stays when a pin is lost, until the device goes.

use std::os::fd::AsFd;

use aya::programs::{SchedClassifier, TcAttachType};
use weft_dataplane_abi::programs::GUARD;

use super::sys;
use crate::error::{AttachError, chain};

/// Attaches `guard` to the ingress of `device`, which has the index `ifindex`, unless one is there.
pub(super) fn attach(guard: &SchedClassifier, device: &str, ifindex: u32) -> Result<(), AttachError> {
    let (_, attached) = SchedClassifier::query_tcx(device, TcAttachType::Ingress)
        .map_err(|error| AttachError(chain(&error)))?;
    if attached.iter().any(|program| program.name_as_str() == Some(GUARD)) {
        return Ok(());
    }
    let program = guard.fd().map_err(|error| AttachError(chain(&error)))?;
    sys::attach_tcx_ingress(program.as_fd(), ifindex)
        .map_err(|error| AttachError(format!("cannot attach {GUARD}: {error}")))
}
