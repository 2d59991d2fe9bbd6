//! What the stages of a received packet need of its context, so that they are the same before there is an skb (XDP)
//! and after (TC).

use weft_dataplane_abi::DropReason;

use crate::facts;
use crate::ip::Version;
use crate::packet::Packet;
use crate::skb::Skb;
use crate::xdp::Xdp;

/// A packet with its context.
pub trait Buffer {
    /// The linear bytes.
    fn packet(&mut self) -> Packet<'_>;
    /// Makes the first `wanted` bytes linear, or all of a shorter packet.
    fn pull(&mut self, wanted: u32) -> Result<(), DropReason>;
    /// Tells the kernel that a byte under its checksum of the whole packet has changed: [`Skb::checksum_changed`].
    fn checksum_changed(&mut self, difference: u16);
    /// Reads what decides whether a packet is let through: [`facts`](crate::facts).
    fn read_facts(&mut self, frame: usize, version: Version, len: u32) -> Result<(), DropReason>;
    /// Marks the packet as one for whoever it is delivered to: [`Skb::accept`].
    fn accept(&mut self) -> Result<(), DropReason>;
}

impl Buffer for Skb {
    #[inline(always)]
    fn packet(&mut self) -> Packet<'_> {
        Self::packet(self)
    }

    #[inline(always)]
    fn pull(&mut self, wanted: u32) -> Result<(), DropReason> {
        Self::pull(self, wanted)
    }

    #[inline(always)]
    fn checksum_changed(&mut self, difference: u16) {
        Self::checksum_changed(self, difference);
    }

    #[inline(always)]
    fn read_facts(&mut self, frame: usize, version: Version, len: u32) -> Result<(), DropReason> {
        facts::read_skb(self, frame, version, len)
    }

    #[inline(always)]
    fn accept(&mut self) -> Result<(), DropReason> {
        Self::accept(self)
    }
}

impl Buffer for Xdp {
    #[inline(always)]
    fn packet(&mut self) -> Packet<'_> {
        Self::packet(self)
    }

    /// Nothing can be made linear here. [`Xdp::reaches`] has seen that all which is asked for is.
    #[inline(always)]
    fn pull(&mut self, _: u32) -> Result<(), DropReason> {
        Ok(())
    }

    /// The kernel holds no checksum yet.
    #[inline(always)]
    fn checksum_changed(&mut self, _: u16) {}

    #[inline(always)]
    fn read_facts(&mut self, frame: usize, version: Version, len: u32) -> Result<(), DropReason> {
        facts::read_xdp(self, frame, version, len)
    }

    /// Nobody has looked at the destination MAC yet: the receiving device will.
    #[inline(always)]
    fn accept(&mut self) -> Result<(), DropReason> {
        Ok(())
    }
}
