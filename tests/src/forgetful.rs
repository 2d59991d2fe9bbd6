//! A wire that forgets which checksums are still to be computed, as a NIC or hypervisor does that damages offloaded ones
//! inside VXLAN.
//!
//! ```text
//! a ── veth ── a │ copies frames │ b ── veth ── b
//!                └ a namespace ──┘
//! ```
//! What comes in at one device is sent out of the other by a thread, byte for byte. The kernel hands it a packet whose
//! checksum was left to the device as it lies in memory, and takes it back as one that is finished: the receiver finds
//! the checksum wrong. Super-packets, which no wire carries, are lost. A wire that damages one protocol alone
//! computes the checksums of the others, and has their super-packets cut before they come to it.

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow, ensure};
use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, Socket, Type};
use weft_vxlan::UDP_PORT;

use crate::capture::link_address;
use crate::probe::sum;
use crate::{End, Lab, Namespace, Wire, socket_option};

/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`, which the libc crate has not: what we send does not come back.
const IGNORE_OUTGOING: libc::c_int = 23;
/// The kernel's queue in front of each socket.
const QUEUE: libc::c_int = 64 << 20;
/// How often the thread looks whether it is to stop, in milliseconds.
const LOOK: u16 = 20;
/// Protocol numbers, and where their checksums are.
const TCP: (u8, usize) = (6, 16);
const UDP: (u8, usize) = (17, 6);
/// Where the tenant's frame begins over IPv4.
const IN_TUNNEL: usize = 50;
/// Longer than any frame.
const FRAME: usize = 1 << 17;

/// Whose checksums are forgotten inside VXLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Of all.
    All,
    /// Of TCP.
    Tcp,
    /// Of UDP.
    Udp,
}

/// The wire. It carries nothing more once it is dropped.
#[derive(Debug)]
pub struct Forgetful {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    // Kept to the end: the thread's devices are in it.
    _middle: Namespace,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    carried: AtomicU64,
}

impl Forgetful {
    /// Lays it.
    ///
    /// # Errors
    /// A device name is taken.
    pub fn lay(lab: &Lab, wire: Wire, a: End<'_>, b: End<'_>) -> Result<Self> {
        Self::lay_damaging(Damage::All, lab, wire, a, b)
    }

    /// Lays one that damages no more than this. What is damaged may be of either family, inside a tunnel over IPv4.
    ///
    /// # Errors
    /// A device name is taken.
    pub fn lay_damaging(damage: Damage, lab: &Lab, wire: Wire, a: End<'_>, b: End<'_>) -> Result<Self> {
        let middle = lab.namespace(&format!("{}-forgets", a.device))?;
        for of in ["all", "default"] {
            middle.sysctl(&format!("ipv6/conf/{of}/disable_ipv6"), "1")?;
        }
        for (device, end) in [("a", a), ("b", b)] {
            wire.lay(end, End { namespace: &middle, device, addresses: &[] })?;
            if let Some(cut) = damage.cut_before() {
                end.namespace.set_features(end.device, |name| name.starts_with(cut).then_some(false))?;
            }
        }
        let sockets = [open(&middle, "a")?, open(&middle, "b")?];
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = middle.spawn(move || carry(damage, &sockets, &theirs))?;
        Ok(Self { shared, thread: Some(thread), _middle: middle })
    }

    /// Frames that it carried so far.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// Takes it away, and makes sure that it worked until now.
    ///
    /// # Errors
    /// It did not.
    pub fn finish(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("a forgetful wire panicked"))?
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        // Nobody asks for the result any more.
        drop(self.stop());
    }
}

fn open(middle: &Namespace, device: &str) -> Result<Socket> {
    let every = u16::try_from(libc::ETH_P_ALL)?;
    let address = link_address(middle.link(device)?.index, every)?;
    middle.run(|| -> Result<Socket> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket_option::set_queue(&socket, QUEUE)?;
        socket_option::set(&socket, libc::SOL_PACKET, IGNORE_OUTGOING, 1)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address)?;
        Ok(socket)
    })?
}

fn carry(damage: Damage, sockets: &[Socket; 2], shared: &Shared) -> Result<()> {
    let mut frame = vec![0; FRAME];
    let [a, b] = sockets;
    while !shared.stop.load(Ordering::Relaxed) {
        let mut waiting = sockets.each_ref().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        poll(&mut waiting, LOOK)?;
        for (mut from, to) in [(a, b), (b, a)] {
            loop {
                let length = match from.read(&mut frame) {
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                ensure!(length < FRAME, "a frame of more than {FRAME} bytes");
                let frame = frame.get_mut(..length).unwrap_or_default();
                damage.compute_others(frame);
                if send(to, frame)? {
                    shared.carried.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
    Ok(())
}

impl Damage {
    /// How the names of the features begin by which a device cuts what is not damaged.
    fn cut_before(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Tcp => Some("tx-udp-segmentation"),
            Self::Udp => Some("tx-tcp"),
        }
    }

    /// Fills in the inner checksum of a frame that is not to be damaged, as the sender's device should have.
    fn compute_others(self, frame: &mut [u8]) {
        let spared = match self {
            Self::All => return,
            Self::Tcp => UDP,
            Self::Udp => TCP,
        };
        // What it has nothing to do for passes as it is.
        let _ = fill_in(frame, spared);
    }
}

/// Computes the inner checksum if that packet is of this protocol, and has one; `None` if there is nothing to do.
fn fill_in(frame: &mut [u8], (protocol, at): (u8, usize)) -> Option<()> {
    let (outer, inner) = frame.split_at_mut_checked(IN_TUNNEL)?;
    if outer.get(12..14)? != [8, 0] || outer.get(36..38)? != UDP_PORT.to_be_bytes() {
        return None;
    }
    let (start, carried, addresses) = match inner.get(12..14)? {
        [8, 0] => (14 + usize::from(inner.get(14)? & 15) * 4, *inner.get(23)?, 26..34),
        [0x86, 0xdd] => (54, *inner.get(20)?, 22..54),
        _ => return None,
    };
    let (headers, packet) = inner.split_at_mut_checked(start)?;
    if carried != protocol || (protocol == UDP.0 && packet.get(at..at + 2)? == [0, 0]) {
        return None;
    }
    packet.get_mut(at..at + 2)?.fill(0);
    let length = u32::try_from(packet.len()).ok()?.to_be_bytes();
    let all = [headers.get(addresses)?, &length, &[0, protocol], packet].concat();
    // What comes out as zero would say that there is none.
    let checksum = match !u16::try_from(sum(&all)).ok()? {
        0 => u16::MAX,
        checksum => checksum,
    };
    packet.get_mut(at..at + 2)?.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

/// Sends a frame; false if it does not fit on a wire.
fn send(to: &Socket, frame: &[u8]) -> Result<bool> {
    loop {
        match to.send(frame) {
            Ok(_) => return Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => return Ok(false),
            // Its queue is full: a wire would not be either.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], LOOK)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
