//! What the programs know of the devices that lead to other hosts.

use weft_vxlan::MacAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::assert_size;

/// An underlay device. Only XDP needs it: at TC, the kernel has already told whom a frame is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Underlay {
    mac: [u8; 6],
    padding: [u8; 2],
}
assert_size!(Underlay, 8);

impl Underlay {
    /// A device with this MAC.
    #[must_use]
    pub const fn new(mac: MacAddr) -> Self {
        Self { mac: mac.bytes(), padding: [0; 2] }
    }

    /// The destination MAC of frames for this host.
    #[must_use]
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }
}
