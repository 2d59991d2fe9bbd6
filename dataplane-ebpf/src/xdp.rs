//! The XDP context: a received frame before there is an skb, and the helpers that change or send it.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated as helper;
use aya_ebpf::programs::XdpContext;
use weft_dataplane_abi::DropEvent;

use crate::extension_headers;
use crate::packet::Packet;
use crate::skb::within;

/// No stage looks at bytes behind these.
const REACH: u32 = extension_headers::REACH;

/// The kernel refused, and the frame is as it was.
pub struct Refused;

/// A frame at XDP.
pub struct Xdp {
    ctx: *mut xdp_md,
}

impl Xdp {
    /// Wraps the context that the kernel passed.
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { ctx: ctx.ctx }
    }

    /// The same frame, for a function that is not inlined.
    #[inline(always)]
    pub fn again(&mut self) -> Self {
        Self { ctx: self.ctx }
    }

    /// The same from the kernel's pointer.
    #[inline(always)]
    pub fn of(ctx: *mut xdp_md) -> Self {
        Self { ctx }
    }

    /// The kernel's pointer.
    #[inline(always)]
    pub fn context(&mut self) -> *mut xdp_md {
        self.ctx
    }

    /// The linear bytes.
    #[inline(always)]
    pub fn packet(&mut self) -> Packet<'_> {
        // SAFETY: the context is the kernel's; every helper that moves the packet needs `&mut self`.
        unsafe { Packet::new((*self.ctx).data as usize, (*self.ctx).data_end as usize) }
    }

    /// Bytes of the whole frame, Ethernet header included.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { helper::bpf_xdp_get_buff_len(self.ctx) as u32 }
    }

    /// The device that the program is attached to.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    /// Whether the whole frame, of `len` bytes, is in one piece.
    #[inline(always)]
    pub fn is_linear(&self, len: u32) -> bool {
        self.linear() == len
    }

    /// Whether all that any stage looks at is in the first piece of the frame, of `len` bytes.
    #[inline(always)]
    pub fn reaches(&self, len: u32) -> bool {
        self.linear() >= if len < REACH { len } else { REACH }
    }

    #[inline(always)]
    fn linear(&self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).data_end - (*self.ctx).data }
    }

    /// Whether the frame without its first `outer` bytes is no longer than the device takes.
    #[inline(always)]
    pub fn fits(&self, ifindex: u32, outer: usize) -> bool {
        let mut mtu = 0;
        // SAFETY: the context is the kernel's, `mtu` is a local that outlives the call.
        unsafe { helper::bpf_check_mtu(self.ctx.cast(), ifindex, &mut mtu, -(outer as i32), 0) == 0 }
    }

    /// Takes the first `outer` bytes off.
    #[inline(always)]
    pub fn shrink(&mut self, outer: usize) -> Result<(), Refused> {
        // SAFETY: the context is the kernel's.
        match unsafe { helper::bpf_xdp_adjust_head(self.ctx, outer as i32) } {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }

    /// Copies the frame's first bytes; how many.
    #[inline(always)]
    pub fn copy_head(&self, into: &mut [u8; DropEvent::HEAD]) -> u16 {
        let len = if self.len() < DropEvent::HEAD as u32 { self.len() } else { DropEvent::HEAD as u32 };
        let Ok(len) = within(len as usize, DropEvent::HEAD) else { return 0 };
        // SAFETY: the context is the kernel's, and `into` has room for `len` bytes.
        match unsafe { helper::bpf_xdp_load_bytes(self.ctx, 0, into.as_mut_ptr().cast(), len) } {
            0 => len as u16,
            _ => 0,
        }
    }

    /// Verdict: sends the frame out of a device; for a veth, that is into the namespace at its other end.
    #[inline(always)]
    pub fn redirect(&self, ifindex: u32) -> u32 {
        // SAFETY: takes no pointers.
        unsafe { helper::bpf_redirect(ifindex, 0) as u32 }
    }
}
