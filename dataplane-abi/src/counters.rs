//! What is counted, per port and CPU.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{DropReason, assert_size};

/// Packets and the bytes of their frames. A super-packet (GSO) counts as one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, Ethernet header included, outer headers not.
    pub bytes: u64,
}
assert_size!(Traffic, 16);

/// Counters of one port; of slot 0, those of everything that belongs to no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortCounters {
    /// What the port sent and weft passed on.
    pub from_port: Traffic,
    /// What was delivered into the port.
    pub to_port: Traffic,
    /// Drops by [`DropReason::index`].
    pub drops: [u64; DropReason::CAPACITY],
    /// Drops that were counted only, not told one by one: over the limit, or no room for the event.
    pub untold: u64,
}
assert_size!(PortCounters, 552);

impl PortCounters {
    /// Nothing counted yet.
    pub const ZERO: Self = Self {
        from_port: Traffic { packets: 0, bytes: 0 },
        to_port: Traffic { packets: 0, bytes: 0 },
        drops: [0; DropReason::CAPACITY],
        untold: 0,
    };

    /// Adds the counters of another CPU.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.from_port, &other.from_port), (&mut self.to_port, &other.to_port)] {
            mine.packets += theirs.packets;
            mine.bytes += theirs.bytes;
        }
        for (mine, theirs) in self.drops.iter_mut().zip(&other.drops) {
            *mine += theirs;
        }
        self.untold += other.untold;
    }
}
