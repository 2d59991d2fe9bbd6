//! Captures: an AF_PACKET socket on a device, read by a thread, that counts and keeps what a filter picks.
//!
//! It sees both directions, and frames *before* BPF programs at TC ingress and *after* those at TC egress: what is
//! seen in a pod has arrived there. A capture that the kernel could not keep up with fails instead of telling less.

use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddrStorage, SockFilter, Socket, Type};

use crate::{Direction, Namespace, Packet, socket_option};

/// Bytes of each frame that are kept.
const SNAP: usize = 512;
/// The kernel's queue in front of us: a captured super-packet is charged in full.
const QUEUE: libc::c_int = 256 << 20;
/// Matching packets that are kept whole; all are counted.
const KEPT: usize = 4096;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    name: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What a capture saw.
#[derive(Debug)]
pub struct Caught {
    /// Frames that the filter picked.
    pub count: u64,
    /// The first of them.
    pub packets: Vec<Packet>,
    /// All frames, picked or not.
    pub seen: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: AtomicU64,
    count: AtomicU64,
    packets: Mutex<Vec<Packet>>,
}

impl Capture {
    /// Captures on `device` from now on; when this returns, nothing is missed any more.
    ///
    /// # Errors
    /// There is no such device.
    pub fn start(
        namespace: &Namespace,
        device: &str,
        filter: impl Fn(&Packet) -> bool + Send + 'static,
    ) -> Result<Self> {
        let name = format!("{device} in {}", namespace.name());
        let index = namespace.link(device)?.index;
        let socket = namespace.run(|| open(index))?.with_context(|| format!("capturing on {name}"))?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name(name.clone()).spawn(move || read(&socket, &theirs, &filter))?;
        Ok(Self { name, shared, thread: Some(thread) })
    }

    /// Where it captures.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Frames picked so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Whether one of those picked so far, as far as they are kept, is what was meant.
    #[must_use]
    pub fn has(&self, is: impl Fn(&Packet) -> bool) -> bool {
        self.shared.packets.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is)
    }

    /// Ends the capture, after all that had arrived by now is looked at.
    ///
    /// # Errors
    /// The kernel dropped frames in front of the capture.
    pub fn finish(mut self) -> Result<Caught> {
        self.stop().with_context(|| format!("the capture on {}", self.name))?;
        Ok(Caught {
            count: self.count(),
            packets: std::mem::take(&mut self.shared.packets.lock().unwrap_or_else(PoisonError::into_inner)),
            seen: self.shared.seen.load(Ordering::Relaxed),
        })
    }

    /// Ends the capture and fails if it picked anything, with `what` as the reason why nothing should be there.
    ///
    /// # Errors
    /// It picked something, or it cannot tell.
    pub fn assert_none(self, what: &str) -> Result<()> {
        let name = self.name.clone();
        let caught = self.finish()?;
        ensure!(
            caught.count == 0,
            "{what}: {} on {name}, such as {:#?}",
            caught.count,
            caught.packets.first()
        );
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("the capturing thread panicked"))?
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nobody asks for the result any more.
        drop(self.stop());
    }
}

fn open(index: u32) -> Result<Socket> {
    let every = u16::try_from(libc::ETH_P_ALL)?;
    // Protocol 0: nothing arrives before the device is chosen.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket_option::set_queue(&socket, QUEUE)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    socket.bind(&link_address(index, every)?)?;
    Ok(socket)
}

/// An address of AF_PACKET: the device, and the protocol that is wanted.
pub(crate) fn link_address(index: u32, protocol: u16) -> Result<socket2::SockAddr> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is a C struct of integers, smaller than the storage.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = u16::try_from(libc::AF_PACKET)?;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(index)?;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
    // SAFETY: the storage holds a sockaddr_ll of this length, with its family set.
    Ok(unsafe { socket2::SockAddr::new(storage, length) })
}

/// `BPF_RET | BPF_K` of `linux/bpf_common.h`: so many bytes of a frame are taken.
const RETURN: u16 = 0x06;

fn read(socket: &Socket, shared: &Shared, filter: &impl Fn(&Packet) -> bool) -> Result<()> {
    let mut frame = vec![0; SNAP];
    let mut closed = false;
    loop {
        if !closed && shared.stop.load(Ordering::Relaxed) {
            // What has arrived stays in the queue, and its end comes whatever goes on arriving.
            socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
            closed = true;
        }
        match receive(socket, &mut frame) {
            Ok((direction, length)) => {
                shared.seen.fetch_add(1, Ordering::Relaxed);
                let captured = frame.get(..length.min(frame.len())).unwrap_or_default();
                if let Some(packet) = Packet::parse(direction, length, captured).filter(filter) {
                    shared.keep(packet);
                }
            }
            Err(Errno::EAGAIN) if closed => break,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(errno) => bail!(errno),
        }
    }
    let lost = lost(socket)?;
    ensure!(lost == 0, "the kernel dropped {lost} frames in front of it");
    Ok(())
}

impl Shared {
    fn keep(&self, packet: Packet) {
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        if packets.len() < KEPT {
            packets.push(packet);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One frame's direction and length on the wire.
fn receive(socket: &Socket, frame: &mut [u8]) -> std::result::Result<(Direction, usize), Errno> {
    // SAFETY: sockaddr_ll is a C struct of integers, for which all zero is a value.
    let mut from: libc::sockaddr_ll = unsafe { zeroed() };
    #[expect(clippy::cast_possible_truncation, reason = "a sockaddr_ll has 20 bytes")]
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `frame` is writable for its length, `from` for `length` bytes. MSG_TRUNC only changes the result.
    let result = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            frame.as_mut_ptr().cast(),
            frame.len(),
            libc::MSG_TRUNC,
            (&raw mut from).cast(),
            &raw mut length,
        )
    };
    let bytes = Errno::result(result)?.unsigned_abs();
    let direction = if from.sll_pkttype == libc::PACKET_OUTGOING { Direction::Out } else { Direction::In };
    Ok((direction, bytes))
}

/// Frames that found the queue full.
fn lost(socket: &Socket) -> Result<u32> {
    // SAFETY: tpacket_stats is a C struct of integers, for which all zero is a value.
    let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>())?;
    // SAFETY: `statistics` is writable for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    Errno::result(result)?;
    Ok(statistics.tp_drops)
}

impl Namespace {
    /// Sends a frame out of a device as it is.
    ///
    /// # Errors
    /// The device is missing or down, or the frame is larger than its MTU.
    pub fn inject(&self, device: &str, frame: &[u8]) -> Result<()> {
        self.inject_all(device, &[frame])
    }

    /// Sends frames out of a device as they are, as fast as it takes them.
    ///
    /// # Errors
    /// The device is missing or down, or a frame is larger than its MTU; those before it are sent.
    pub fn inject_all<Frame: AsRef<[u8]> + Sync>(&self, device: &str, frames: &[Frame]) -> Result<()> {
        self.inject_by(device, frames, false)
    }

    /// Sends a frame out of a device past whatever the kernel there has in the way of what it sends.
    ///
    /// # Errors
    /// As [`Namespace::inject`].
    pub fn inject_directly(&self, device: &str, frame: &[u8]) -> Result<()> {
        self.inject_by(device, &[frame], true)
    }

    fn inject_by<Frame: AsRef<[u8]> + Sync>(
        &self,
        device: &str,
        frames: &[Frame],
        directly: bool,
    ) -> Result<()> {
        let address = link_address(self.link(device)?.index, 0)?;
        self.run(|| -> Result<()> {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
            if directly {
                socket_option::set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
            }
            for frame in frames.iter().map(AsRef::as_ref) {
                let sent = socket.send_to(frame, &address)?;
                ensure!(sent == frame.len(), "only {sent} of {} bytes were sent", frame.len());
            }
            Ok(())
        })?
        .with_context(|| format!("sending a frame out of {device} in {}", self.name()))
    }
}
