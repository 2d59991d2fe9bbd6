//! What the programs tell of a drop, one by one, through the ring buffer [`EVENTS`](crate::maps::EVENTS).
//!
//! The packet's first bytes go along as they are: whoever reads them has time to take them apart, and headers that
//! the programs do not understand are shown too.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{VtepAddr, assert_size};

/// Where a packet was dropped: the program that judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Place {
    /// `from_pod`: sent by a workload.
    Pod = 1,
    /// `from_underlay`: sent by another host; what is dropped here is VXLAN for us.
    Underlay = 2,
    /// `from_vxlan`: sent by another host, decapsulated by the kernel.
    Vxlan = 3,
    /// `guard`: past a program that is gone.
    Guard = 4,
    /// `xdp_guard`: as `from_underlay`, before there was an skb.
    XdpGuard = 5,
    /// `xdp_forward`: likewise.
    XdpForward = 6,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 6] =
        [Self::Pod, Self::Underlay, Self::Vxlan, Self::Guard, Self::XdpGuard, Self::XdpForward];

    /// The program's name, as in [`programs`](crate::programs).
    #[must_use]
    pub const fn program(self) -> &'static str {
        use crate::programs;
        match self {
            Self::Pod => programs::FROM_POD,
            Self::Underlay => programs::FROM_UNDERLAY,
            Self::Vxlan => programs::FROM_VXLAN,
            Self::Guard => programs::GUARD,
            Self::XdpGuard => programs::XDP_GUARD,
            Self::XdpForward => programs::XDP_FORWARD,
        }
    }
}

/// A packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DropEvent {
    /// When: nanoseconds of the kernel's clock `CLOCK_BOOTTIME`.
    pub time: u64,
    /// Why: a [`DropReason`](crate::DropReason) as its number.
    pub reason: u32,
    /// Where: a [`Place`] as its number.
    pub place: u32,
    /// The device that it arrived on.
    pub ifindex: u32,
    /// Slot of the port that sent it; 0: no port did.
    pub slot: u32,
    /// L3 VNI of the port's network; 0 if no port sent it.
    pub network: u32,
    /// L2 VNI of the port's subnet; 0 if no port sent it.
    pub subnet: u32,
    /// The VNI, if the kernel decapsulated it and `head` does not tell; 0 otherwise.
    pub vni: u32,
    /// Bytes of the frame, of which `head` has the first.
    pub len: u32,
    /// The sending VTEP, if the kernel decapsulated it and `head` does not tell; [`VtepAddr::NONE`] otherwise.
    pub vtep: VtepAddr,
    /// Bytes of `head` that are the packet's.
    pub head_len: u16,
    /// VXLAN's UDP port here, in wire order: tells whether `head` begins with a tunnel's headers.
    pub udp_port: [u8; 2],
    /// Zero.
    pub padding: [u8; 4],
    /// [`PolicyDenied`](crate::DropReason::PolicyDenied): whose policy, as the interface index of the port; 0 otherwise.
    pub judged: u32,
    /// Number of that policy.
    pub policy: u32,
    /// Number of the rule that denied, or [`Ruling::DEFAULT`](crate::Ruling::DEFAULT).
    pub rule: u32,
    /// Whether the port sent it: a [`Side`](crate::Side) as its number.
    pub side: u32,
    /// The frame's first bytes.
    pub head: [u8; DropEvent::HEAD],
}
assert_size!(DropEvent, 80 + DropEvent::HEAD);

impl DropEvent {
    /// Room for outer Ethernet, IPv6, UDP and VXLAN, inner Ethernet and IPv6, extension headers and layer 4 ports.
    pub const HEAD: usize = 160;
}
