//! Reads the drops that the programs tell one by one, without the data plane's thread.
//!
//! The position up to which the buffer was read is the kernel's, beside the pinned buffer: the reader of the next weftd
//! goes on there, with what was dropped in between.

mod dissect;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aya::maps::{MapData, RingBuf};
use nix::time::{ClockId, clock_gettime};
use tokio::io::unix::AsyncFd;
use weft_dataplane_abi::{DropEvent, DropReason, Place, Side, maps};
use weft_vxlan::{Vni, Vtep};
use zerocopy::FromBytes;

use crate::bpf::pinned;
use crate::counters::CounterReader;
use crate::error::{ObserveError, chain};
use crate::flows::RuleId;
use crate::names;
pub use dissect::{Frame, Packet, Transport, Tunnel};

/// Events that are taken at once: so many that a burst costs few wake-ups, so few that others get their turn.
const BATCH: usize = 256;

/// A packet that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// When.
    pub time: SystemTime,
    /// Why.
    pub reason: DropReason,
    /// By which program.
    pub place: Place,
    /// Interface index of the device that it arrived on.
    pub ifindex: u32,
    /// L3 VNI of the network and L2 VNI of the subnet of the port that sent it.
    pub port: Option<(Vni, Vni)>,
    /// Bytes of the frame as it arrived, outer headers included.
    pub length: u32,
    /// By which port's rules, if they are why.
    pub judged: Option<Judged>,
    /// From where it came, if from another host, as far as its headers could be read.
    pub tunnel: Option<Tunnel>,
    /// The tenant's frame, as far as it could be read.
    pub frame: Option<Frame>,
}

/// What denied a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Interface index of the host end of the port whose rules these are.
    pub ifindex: u32,
    /// Whether the port sent it, or was to get it.
    pub side: Side,
    /// The rule: [`Dataplane::rules`](crate::Dataplane::rules) tells it.
    pub rule: RuleId,
}

/// The only reader of the drops.
pub struct DropReader {
    ring: AsyncFd<RingBuf<MapData>>,
    counters: CounterReader,
}

impl std::fmt::Debug for DropReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DropReader")
    }
}

impl DropReader {
    /// Opens the buffer in the pin folder `root`.
    pub(crate) fn open(root: &Path) -> Result<Self, ObserveError> {
        let failed = |cause| ObserveError::Map { map: maps::EVENTS, cause };
        let map = pinned(&root.join(names::MAPS).join(maps::EVENTS)).and_then(RingBuf::try_from);
        let ring = map.map_err(|error| failed(chain(&error)))?;
        // SAFETY: the descriptor is that of the ring's map, which lives and dies with it.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| failed(error.to_string()))?;
        Ok(Self { ring, counters: CounterReader::open(root)? })
    }

    /// Waits for drops, and takes those that there are, the oldest first. Cancel safe.
    ///
    /// # Errors
    /// The buffer cannot be waited for.
    pub async fn next(&mut self) -> io::Result<Vec<Dropped>> {
        loop {
            let mut ready = self.ring.readable_mut().await?;
            let clock = Clock::read()?;
            let mut drops = Vec::new();
            let mut taken = 0;
            let ring = ready.get_inner_mut();
            while taken < BATCH
                && let Some(bytes) = ring.next()
            {
                taken += 1;
                drops
                    .extend(DropEvent::read_from_bytes(&bytes).ok().and_then(|event| drop_of(&event, clock)));
            }
            if taken < BATCH {
                // Empty: the kernel wakes us at the next one.
                ready.clear_ready();
            }
            if !drops.is_empty() {
                return Ok(drops);
            }
        }
    }

    /// How many drops were counted but not told, by the name of the port and since its counters began; those of no
    /// port under the empty name.
    ///
    /// # Errors
    /// [`ObserveError`] if the kernel does not answer.
    pub fn untold(&self) -> Result<BTreeMap<String, u64>, ObserveError> {
        let counters = self.counters.read()?;
        Ok(counters.into_iter().map(|(port, counters)| (port, counters.untold)).collect())
    }
}

/// The programs' clock and the world's, at the same time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    boot: Duration,
    world: SystemTime,
}

impl Clock {
    fn read() -> io::Result<Self> {
        Ok(Self { boot: clock_gettime(ClockId::CLOCK_BOOTTIME)?.into(), world: SystemTime::now() })
    }

    /// The world's time at `boot` nanoseconds of the programs' clock.
    fn world(self, boot: u64) -> SystemTime {
        let ago = self.boot.saturating_sub(Duration::from_nanos(boot));
        self.world.checked_sub(ago).unwrap_or(self.world)
    }
}

/// `None` for a reason or a place that this weftd does not know: told by the programs of a newer one.
fn drop_of(event: &DropEvent, clock: Clock) -> Option<Dropped> {
    let reason = DropReason::ALL.into_iter().find(|reason| *reason as u32 == event.reason)?;
    let place = Place::ALL.into_iter().find(|place| *place as u32 == event.place)?;
    let head = event.head.get(..usize::from(event.head_len)).unwrap_or(&event.head);
    let udp_port = u16::from_be_bytes(event.udp_port);
    let (tunnel, frame) = match place {
        Place::Underlay | Place::XdpGuard | Place::XdpForward => dissect::tunnelled(head, udp_port),
        Place::Vxlan => {
            let vtep = Vtep::from_bytes(event.vtep.bytes()).ok();
            let tunnel = vtep.map(|vtep| Tunnel { vtep, vni: Vni::new(event.vni).ok() });
            (tunnel, dissect::frame(head))
        }
        Place::Pod | Place::Guard => (None, dissect::frame(head)),
    };
    Some(Dropped {
        time: clock.world(event.time),
        reason,
        place,
        ifindex: event.ifindex,
        port: Vni::new(event.network).ok().zip(Vni::new(event.subnet).ok()),
        length: event.len,
        judged: judged_of(event, reason),
        tunnel,
        frame,
    })
}

fn judged_of(event: &DropEvent, reason: DropReason) -> Option<Judged> {
    if reason != DropReason::PolicyDenied {
        return None;
    }
    let side = if event.side == Side::Own as u32 { Side::Own } else { Side::Peer };
    Some(Judged { ifindex: event.judged, side, rule: RuleId::new(event.policy, event.rule) })
}

#[cfg(test)]
mod tests {
    use weft_dataplane_abi::{Ruling, VtepAddr};

    use super::*;

    #[test]
    fn only_what_rules_deny_was_judged() {
        let mut event = DropEvent {
            time: 0,
            reason: DropReason::PolicyDenied as u32,
            place: Place::Pod as u32,
            ifindex: 30,
            slot: 1,
            network: 100,
            subnet: 200,
            vni: 0,
            len: 60,
            vtep: VtepAddr::NONE,
            head_len: 0,
            udp_port: [0; 2],
            padding: [0; 4],
            judged: 31,
            policy: 4,
            rule: 9,
            side: Side::Peer as u32,
            head: [0; DropEvent::HEAD],
        };
        let clock = Clock { boot: Duration::ZERO, world: SystemTime::UNIX_EPOCH };
        let mut judged = |reason: DropReason, rule| {
            (event.reason, event.rule) = (reason as u32, rule);
            drop_of(&event, clock).unwrap().judged
        };
        let by = |rule| Judged { ifindex: 31, side: Side::Peer, rule: RuleId { policy: 4, rule } };
        assert_eq!(judged(DropReason::PolicyDenied, 9), Some(by(Some(9))));
        assert_eq!(judged(DropReason::PolicyDenied, Ruling::DEFAULT), Some(by(None)));
        assert_eq!(judged(DropReason::NoConnection, 9), None);
    }
}
