//! Frames of which only the Ethernet header lies in front: what network devices that split headers, or put what they
//! receive into pages, make of each frame. AF_PACKET's transmit ring makes such: the rest stays in the ring's pages.

use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::capture::link_address;
use crate::{Namespace, socket_option};

/// Bytes of the ring, which has one frame.
const RING: usize = 8192;
/// Where the frame begins in it: behind the header (`linux/if_packet.h`, TPACKET_V2).
const START: usize = size_of::<libc::tpacket2_hdr>();

impl Namespace {
    /// Sends a frame out of a device as it is, with all but its Ethernet header in pages of their own.
    ///
    /// # Errors
    /// The device is missing or down, or the frame is larger than its MTU or the ring.
    pub fn inject_in_pieces(&self, device: &str, frame: &[u8]) -> Result<()> {
        let address = link_address(self.link(device)?.index, 0)?;
        self.run(|| -> Result<()> {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
            socket.bind(&address)?;
            let mut ring = Ring::of(&socket)?;
            ring.put(frame)?;
            let sent = socket.send(&[])?;
            ensure!(sent == frame.len(), "only {sent} of {} bytes were sent", frame.len());
            Ok(())
        })?
        .with_context(|| format!("sending a frame in pieces out of {device} in {}", self.name()))
    }
}

/// A transmit ring, mapped. What was sent keeps its pages when the ring is gone.
struct Ring(NonNull<libc::c_void>);

impl Ring {
    fn of(socket: &Socket) -> Result<Self> {
        let version = libc::c_int::try_from(libc::tpacket_versions::TPACKET_V2 as u32)?;
        socket_option::set(socket, libc::SOL_PACKET, libc::PACKET_VERSION, version)?;
        // `struct tpacket_req`: size of blocks, how many, size of frames, how many.
        let ring = u32::try_from(RING)?;
        let request = [ring, 1, ring, 1].map(u32::to_ne_bytes).concat();
        socket_option::set_bytes(socket, libc::SOL_PACKET, libc::PACKET_TX_RING, &request)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, of the ring's size.
        let mapped = unsafe {
            libc::mmap(std::ptr::null_mut(), RING, access, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        ensure!(mapped != libc::MAP_FAILED, "mapping a transmit ring: {}", Errno::last());
        NonNull::new(mapped).map(Self).context("a transmit ring at address 0")
    }

    /// Writes a frame that waits to be sent.
    fn put(&mut self, frame: &[u8]) -> Result<()> {
        ensure!(frame.len() <= RING - START, "{} bytes are more than the ring takes", frame.len());
        let header: NonNull<libc::tpacket2_hdr> = self.0.cast();
        // SAFETY: the mapping is larger than header and frame, aligned to a page, and the kernel leaves both alone until
        // the status says that there is something to send, which is written last.
        unsafe {
            self.0.cast::<u8>().add(START).copy_from_nonoverlapping(NonNull::from(frame).cast(), frame.len());
            (*header.as_ptr()).tp_len = u32::try_from(frame.len())?;
            (&raw mut (*header.as_ptr()).tp_status).write_volatile(libc::TP_STATUS_SEND_REQUEST);
        }
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing refers to it any more.
        unsafe { libc::munmap(self.0.as_ptr(), RING) };
    }
}
