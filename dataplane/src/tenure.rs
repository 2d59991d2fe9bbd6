//! One data plane in a network namespace: devices are recognised by their names there, so two would remove each
//! other's ports, whatever pin folders they have.
//!
//! Held by an abstract unix socket: such names belong to the network namespace and go with the process.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::error::OpenError;
use crate::names;
use crate::patience::look_until;

/// A process that is just being started from this one holds a copy of every descriptor until it executes its
/// program, and with it a name that was just given up.
const PATIENCE: Duration = Duration::from_millis(200);

/// The right to manage the network namespace of the thread that took it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tenure {
    _socket: UnixDatagram,
}

impl Tenure {
    /// Takes it, unless another has it.
    pub(crate) fn take() -> Result<Self, OpenError> {
        let failed = |source| OpenError::Namespace { name: names::TENURE, source };
        let name = SocketAddr::from_abstract_name(names::TENURE).map_err(failed)?;
        let taken = |bound: &io::Result<_>| {
            bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        };
        let bound = look_until(PATIENCE, || UnixDatagram::bind_addr(&name), |bound| !taken(bound));
        if taken(&bound) {
            return Err(OpenError::NamespaceInUse { name: names::TENURE });
        }
        Ok(Self { _socket: bound.map_err(failed)? })
    }
}
