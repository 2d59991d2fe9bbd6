//! One data plane in a network namespace: devices are recognised by their names there, so two would remove each
//! other's ports, whatever pin folders they have.
//!
//! Held by an abstract unix socket: such names belong to the network namespace and go with the process.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use std::{io, thread};

use crate::error::OpenError;
use crate::names;

/// A process that is just being started from this one holds a copy of every descriptor until it executes its
/// program, and with it a name that was just given up: a name that is taken is tried so many times.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

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
        for attempt in 1.. {
            match UnixDatagram::bind_addr(&name) {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(failed(error)),
                Err(_) if attempt < ATTEMPTS => thread::sleep(PAUSE),
                Err(_) => break,
                Ok(socket) => return Ok(Self { _socket: socket }),
            }
        }
        Err(OpenError::NamespaceInUse { name: names::TENURE })
    }
}
