//! The TC context: what the kernel knows of a packet, and the helpers that change or send it.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_RECOMPUTE_CSUM, bpf_adj_room_mode, bpf_tunnel_key,
};
use aya_ebpf::helpers::generated as helper;
use aya_ebpf::programs::TcContext;
use weft_dataplane_abi::{DropEvent, DropReason, VtepAddr};

use crate::ip::Version;
use crate::packet::Packet;
use crate::refused::Helper;

/// `-EALREADY`: the packet has been encapsulated before.
const ALREADY: i64 = -114;
/// `-ENOTSUPP`: a super-packet that is neither of TCP nor of UDP, such as SCTP's.
const NOT_SUPPORTED: i64 = -524;
/// `skb->pkt_type`: for this host.
const PACKET_HOST: u32 = 0;

/// Bytes that [`Skb::make_room`] takes from the front of a packet: more than lie before any checksum to be filled in.
const LEFT_BEHIND: u32 = 1024;
/// What the kernel takes from a packet's front at once.
const MOST_ADJUSTED: u32 = 0xfff;
/// So many times are enough for the largest packet.
const MOST_CUTS: u32 = 17;

/// How room for the outer headers could not be made.
pub enum GrowError {
    /// The kernel refuses this way to the packet, which is as it was, and its vxlan device does not. It has been
    /// encapsulated before, by a workload's forwarding of what it received: the kernel keeps the mark. Or it is a
    /// super-packet of SCTP.
    DeviceOnly,
    /// Anything else.
    Refused,
}

/// A packet at TC.
pub struct Skb {
    ctx: *mut __sk_buff,
}

impl Skb {
    /// Wraps the context that the kernel passed.
    #[inline(always)]
    pub fn new(ctx: &TcContext) -> Self {
        Self { ctx: ctx.skb.skb }
    }

    /// The same from the kernel's pointer.
    #[inline(always)]
    pub fn of(ctx: *mut __sk_buff) -> Self {
        Self { ctx }
    }

    /// The kernel's pointer, for such a function.
    #[inline(always)]
    pub fn context(&mut self) -> *mut __sk_buff {
        self.ctx
    }

    /// The same packet, for a function that is not inlined: it gets the context in a register.
    #[inline(always)]
    pub fn again(&mut self) -> Self {
        Self { ctx: self.ctx }
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
        unsafe { (*self.ctx).len }
    }

    /// The device that the program is attached to.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).ifindex }
    }

    /// Payload of each segment of a super-packet that is segmented later (GSO), in bytes; 0: it is none.
    #[inline(always)]
    pub fn gso_size(&self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).gso_size }
    }

    /// Whether it is a super-packet.
    #[inline(always)]
    pub fn is_gso(&self) -> bool {
        self.gso_size() != 0
    }

    /// Whether a VLAN tag was taken off and lies in the metadata.
    #[inline(always)]
    pub fn has_vlan(&self) -> bool {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).vlan_present != 0 }
    }

    /// Makes the first `wanted` bytes linear, or all of a shorter packet.
    #[inline(always)]
    pub fn pull(&mut self, wanted: u32) -> Result<(), DropReason> {
        let wanted = if self.len() < wanted { self.len() } else { wanted };
        // SAFETY: the context is the kernel's.
        let linear = unsafe { (*self.ctx).data_end - (*self.ctx).data };
        if linear >= wanted {
            return Ok(());
        }
        // SAFETY: the context is the kernel's.
        let answer = unsafe { helper::bpf_skb_pull_data(self.ctx, wanted) };
        self.accepted(Helper::PullData, answer)
    }

    /// A hash of the packet's flow, as the kernel computes it for its own tunnels.
    #[inline(always)]
    pub fn flow_hash(&mut self) -> u32 {
        // SAFETY: the context is the kernel's.
        unsafe { helper::bpf_get_hash_recalc(self.ctx) }
    }

    /// Makes room for outer headers over the `outer` IP version in front of the network header, and marks the packet as
    /// a UDP tunnel's, so that offloads find the inner headers.
    #[inline(always)]
    pub fn grow(&mut self, outer: Version) -> Result<(), GrowError> {
        use aya_ebpf::bindings as b;
        const TUNNEL: u64 = b::BPF_F_ADJ_ROOM_ENCAP_L4_UDP as u64
            | b::BPF_F_ADJ_ROOM_ENCAP_L2_ETH as u64
            | (crate::headers::ETHERNET_LEN as u64) << b::BPF_ADJ_ROOM_ENCAP_L2_SHIFT
            | b::BPF_F_ADJ_ROOM_FIXED_GSO as u64;
        let flags = match outer {
            Version::V4 => TUNNEL | b::BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 as u64,
            Version::V6 => TUNNEL | b::BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 as u64,
        };
        let mode = bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
        // SAFETY: the context is the kernel's.
        match unsafe { helper::bpf_skb_adjust_room(self.ctx, outer.outer_len() as i32, mode, flags) } {
            0 => Ok(()),
            ALREADY | NOT_SUPPORTED => Err(GrowError::DeviceOnly),
            error => {
                self.note(Helper::AdjustRoom, error);
                Err(GrowError::Refused)
            }
        }
    }

    /// Takes the outer headers over the `outer` IP version off. The packet's protocol becomes that of the inner packet,
    /// which kernels before 6.3 cannot do where the two differ: they refuse.
    #[inline(always)]
    pub fn shrink(&mut self, outer: Version, inner: Version) -> Result<(), DropReason> {
        use aya_ebpf::bindings as b;
        let mode = bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
        let mut flags = b::BPF_F_ADJ_ROOM_FIXED_GSO as u64 | b::BPF_F_ADJ_ROOM_NO_CSUM_RESET as u64;
        match (outer, inner) {
            (Version::V4, Version::V6) => flags |= b::BPF_F_ADJ_ROOM_DECAP_L3_IPV6 as u64,
            (Version::V6, Version::V4) => flags |= b::BPF_F_ADJ_ROOM_DECAP_L3_IPV4 as u64,
            (Version::V4, Version::V4) | (Version::V6, Version::V6) => {}
        }
        // SAFETY: the context is the kernel's.
        let answer =
            unsafe { helper::bpf_skb_adjust_room(self.ctx, -(outer.outer_len() as i32), mode, flags) };
        self.accepted(Helper::AdjustRoom, answer)
    }

    /// Sets the packet's length.
    #[inline(always)]
    pub fn resize(&mut self, len: u32) -> Result<(), DropReason> {
        // SAFETY: the context is the kernel's.
        let answer = unsafe { helper::bpf_skb_change_tail(self.ctx, len, 0) };
        self.accepted(Helper::ChangeTail, answer)
    }

    /// Copies `len` bytes from `offset` on, linear or not, to the start of `to`; at least one.
    #[inline(always)]
    pub fn read(&mut self, offset: u32, to: &mut [u8], len: usize) -> Result<(), DropReason> {
        let len = within(len, to.len())?;
        // SAFETY: the context is the kernel's, and `to` has `len` bytes.
        let answer =
            unsafe { helper::bpf_skb_load_bytes(self.ctx.cast(), offset, to.as_mut_ptr().cast(), len) };
        self.accepted(Helper::LoadBytes, answer)
    }

    /// Makes room for `len` other bytes: no super-packet any more, and no checksum that the kernel is yet to fill in.
    /// Whether the latter is certain: it is not if the packet has been encapsulated before.
    #[inline(always)]
    pub fn make_room(&mut self, len: u32) -> Result<bool, DropReason> {
        // Setting the length also drops the GSO marks. Taking a stretch from the front then leaves behind where a
        // checksum was to be filled in (`csum_start`), and with that the wish for it.
        if self.resize(len + LEFT_BEHIND).is_ok() && self.take_off(LEFT_BEHIND).is_ok() {
            return Ok(true);
        }
        // The length of a packet that has been encapsulated before changes at its front only.
        self.cut(len)?;
        Ok(false)
    }

    /// Writes the first `len` bytes of `frame` over the packet's; at least one.
    #[inline(always)]
    pub fn write(&mut self, frame: &[u8], len: usize) -> Result<(), DropReason> {
        let len = within(len, frame.len())?;
        let (from, flags) = (frame.as_ptr().cast(), BPF_F_RECOMPUTE_CSUM as u64);
        // SAFETY: the context is the kernel's, and `frame` has `len` bytes.
        let answer = unsafe { helper::bpf_skb_store_bytes(self.ctx, 0, from, len, flags) };
        self.accepted(Helper::StoreBytes, answer)
    }

    /// Sets the packet's length by cutting or growing it behind the Ethernet header.
    #[inline(always)]
    fn cut(&mut self, len: u32) -> Result<(), DropReason> {
        if self.len() < len {
            return self.adjust((len - self.len()) as i32);
        }
        for _ in 0..MOST_CUTS {
            let excess = self.len() - len;
            if excess == 0 {
                return Ok(());
            }
            self.take_off(if excess < MOST_ADJUSTED { excess } else { MOST_ADJUSTED })?;
        }
        Err(DropReason::KernelRefused)
    }

    #[inline(always)]
    fn take_off(&mut self, bytes: u32) -> Result<(), DropReason> {
        self.adjust(-(bytes as i32))
    }

    #[inline(always)]
    fn adjust(&mut self, difference: i32) -> Result<(), DropReason> {
        let (mode, flags) = (bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO as u64);
        // SAFETY: the context is the kernel's.
        let answer = unsafe { helper::bpf_skb_adjust_room(self.ctx, difference, mode, flags) };
        self.accepted(Helper::AdjustRoom, answer)
    }

    /// Tells the kernel that a byte which its checksum of the whole packet covers has changed; `difference` is
    /// the change of the one's complement sum. Nothing happens if the kernel holds no such checksum.
    #[inline(always)]
    pub fn checksum_changed(&mut self, difference: u16) {
        // SAFETY: the context is the kernel's. An error only says that there is no such checksum.
        unsafe { helper::bpf_csum_update(self.ctx, difference as u32) };
    }

    /// Whether the destination MAC was the device's own.
    #[inline(always)]
    pub fn is_for_host(&self) -> bool {
        // SAFETY: the context is the kernel's.
        unsafe { (*self.ctx).pkt_type == PACKET_HOST }
    }

    /// Marks the packet as one for this host, whatever its destination MAC said of the device it came from.
    #[inline(always)]
    pub fn accept(&mut self) -> Result<(), DropReason> {
        if self.is_for_host() {
            return Ok(());
        }
        // SAFETY: the context is the kernel's.
        let answer = unsafe { helper::bpf_skb_change_type(self.ctx, PACKET_HOST) };
        self.accepted(Helper::ChangeType, answer)
    }

    /// Tells the kernel's vxlan device where to send the packet. Both addresses are of the same family.
    #[inline(always)]
    pub fn set_tunnel(&mut self, local: &VtepAddr, remote: &VtepAddr, vni: u32) -> Result<(), DropReason> {
        self.accepted(Helper::SetTunnelKey, set_tunnel_key(self.ctx, local, remote, vni))
    }

    /// From where and with which VNI the kernel's vxlan device received the packet over this IP version: (local,
    /// remote, VNI).
    #[inline(always)]
    pub fn tunnel(&self, outer: Version) -> Result<(VtepAddr, VtepAddr, u32), DropReason> {
        self.tunnel_key(outer).map_err(|error| {
            self.note(Helper::GetTunnelKey, error);
            DropReason::KernelRefused
        })
    }

    /// The same, or the helper's error.
    #[inline(always)]
    pub fn tunnel_key(&self, outer: Version) -> Result<(VtepAddr, VtepAddr, u32), i64> {
        let mut key = Tunnel { local: [0; 4], remote: [0; 4], vni: 0 };
        match get_tunnel_key(self.ctx, outer, &mut key) {
            0 => Ok((VtepAddr::ipv6(bytes(key.local)), VtepAddr::ipv6(bytes(key.remote)), key.vni)),
            error => Err(error),
        }
    }

    /// Copies the packet's first bytes, linear or not; how many.
    #[inline(always)]
    pub fn copy_head(&self, into: &mut [u8; DropEvent::HEAD]) -> u16 {
        let len = if self.len() < DropEvent::HEAD as u32 { self.len() } else { DropEvent::HEAD as u32 };
        let Ok(len) = within(len as usize, DropEvent::HEAD) else { return 0 };
        // SAFETY: the context is the kernel's, and `into` has room for `len` bytes.
        match unsafe { helper::bpf_skb_load_bytes(self.ctx.cast(), 0, into.as_mut_ptr().cast(), len) } {
            0 => len as u16,
            _ => 0,
        }
    }

    /// Sends a copy out of a device; whether the device took it.
    #[inline(always)]
    pub fn send_copy(&mut self, ifindex: u32) -> bool {
        // SAFETY: the context is the kernel's.
        unsafe { helper::bpf_clone_redirect(self.ctx, ifindex, 0) == 0 }
    }

    /// Verdict: sends the packet out of a device.
    #[inline(always)]
    pub fn redirect(&self, ifindex: u32) -> i32 {
        // SAFETY: takes no pointers.
        unsafe { helper::bpf_redirect(ifindex, 0) as i32 }
    }

    /// Verdict: puts the packet into the namespace at the other end of a veth, as received there.
    #[inline(always)]
    pub fn redirect_peer(&self, ifindex: u32) -> i32 {
        // SAFETY: takes no pointers.
        unsafe { helper::bpf_redirect_peer(ifindex, 0) as i32 }
    }

    #[inline(always)]
    fn accepted(&self, helper: Helper, answer: i64) -> Result<(), DropReason> {
        if answer == 0 {
            return Ok(());
        }
        self.note(helper, answer);
        Err(DropReason::KernelRefused)
    }

    /// The words that are the programs' own: the first, and an address that the others hold in wire order.
    #[inline(always)]
    pub fn words(&self) -> (u32, [u8; 16]) {
        // SAFETY: the context is the kernel's.
        let [first, address @ ..] = unsafe {
            [(*self.ctx).cb[0], (*self.ctx).cb[1], (*self.ctx).cb[2], (*self.ctx).cb[3], (*self.ctx).cb[4]]
        };
        (first, bytes(address))
    }

    /// Writes the first of them.
    #[inline(always)]
    pub fn set_words(&mut self, [one, two, three]: [u32; 3]) {
        // SAFETY: the context is the kernel's.
        unsafe {
            (*self.ctx).cb[0] = one;
            (*self.ctx).cb[1] = two;
            (*self.ctx).cb[2] = three;
        }
    }

    /// Notes a helper's error for the log, in words of the packet that are the programs' own.
    #[inline(always)]
    fn note(&self, helper: Helper, error: i64) {
        // SAFETY: the context is the kernel's.
        unsafe {
            (*self.ctx).cb[0] = helper as u32;
            (*self.ctx).cb[1] = error as u32;
        }
    }

    /// The note: a [`Helper`] as its number, and its error.
    #[inline(always)]
    pub fn refusal(&self) -> (u32, i32) {
        // SAFETY: the context is the kernel's.
        unsafe { ((*self.ctx).cb[0], (*self.ctx).cb[1] as i32) }
    }
}

/// An IPv6 address as the kernel's tunnel key has it: words whose bytes are in wire order.
#[inline(always)]
fn words(address: [u8; 16]) -> [u32; 4] {
    // SAFETY: any bytes are words, and the sizes are equal.
    unsafe { core::mem::transmute(address) }
}

#[inline(always)]
fn bytes(address: [u32; 4]) -> [u8; 16] {
    // SAFETY: as in `words`.
    unsafe { core::mem::transmute(address) }
}

/// `len` if it is at least one and at most `most`, where the verifier sees that it is. Without the black box the compiler
/// knows a narrower range from before, and drops the part of the test that the verifier needs. And not every verifier
/// concludes from "not zero" that a number is at least one (Linux 6.1 does not); from adding one it does.
#[inline(always)]
pub fn within(len: usize, most: usize) -> Result<u32, DropReason> {
    let less = core::hint::black_box(len.wrapping_sub(1));
    if less >= most { Err(DropReason::Malformed) } else { Ok((less + 1) as u32) }
}

/// One's complement sum, in the machine's byte order, of the first `len` bytes, at least one, and of `seed`. `len` is a
/// multiple of four, and at most 512 before Linux 6.13.
#[inline(always)]
pub fn checksum(bytes: &[u8], len: usize, seed: u32) -> Result<u32, DropReason> {
    let len = within(len, bytes.len())?;
    let start = bytes.as_ptr().cast_mut().cast();
    // SAFETY: `bytes` has `len` bytes. The helper fails for lengths other than said above only.
    Ok(unsafe { helper::bpf_csum_diff(core::ptr::null_mut(), 0, start, len, seed) as u32 })
}

/// What a tunnel key says: both addresses as the words of a VTEP.
struct Tunnel {
    local: [u32; 4],
    remote: [u32; 4],
    vni: u32,
}

/// A function of its own, like [`set_tunnel_key`].
#[inline(never)]
fn get_tunnel_key(ctx: *mut __sk_buff, outer: Version, tunnel: &mut Tunnel) -> i64 {
    let mut key = MaybeUninit::uninit();
    let key = zeroed(&mut key);
    let size = size_of::<bpf_tunnel_key>() as u32;
    let flags = match outer {
        Version::V4 => 0,
        Version::V6 => aya_ebpf::bindings::BPF_F_TUNINFO_IPV6 as u64,
    };
    // SAFETY: the context is the kernel's, the key is a local that outlives the call.
    match unsafe { helper::bpf_skb_get_tunnel_key(ctx, key, size, flags) } {
        0 => {}
        error => return error,
    }
    // SAFETY: the kernel filled in the arms of the family that it was asked for, or refused.
    unsafe {
        match outer {
            Version::V4 => {
                tunnel.local = mapped(key.__bindgen_anon_3.local_ipv4);
                tunnel.remote = mapped(key.__bindgen_anon_1.remote_ipv4);
            }
            Version::V6 => {
                tunnel.local = key.__bindgen_anon_3.local_ipv6;
                tunnel.remote = key.__bindgen_anon_1.remote_ipv6;
            }
        }
    }
    tunnel.vni = key.tunnel_id;
    0
}

/// The words of an IPv4 VTEP.
#[inline(always)]
fn mapped(address: u32) -> [u32; 4] {
    // As `VtepAddr::ipv4` has it, in words: single bytes would be a call to `memset`.
    [0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff]), address.to_be()]
}

/// An empty key. Written so that no call to `memset` is made of it: a call takes 32 bytes of stack, and there are none left.
#[inline(always)]
fn zeroed(key: &mut MaybeUninit<bpf_tunnel_key>) -> &mut bpf_tunnel_key {
    const { assert!(size_of::<bpf_tunnel_key>().is_multiple_of(4) && align_of::<bpf_tunnel_key>() == 4) };
    let mut word = 0;
    while word < size_of::<bpf_tunnel_key>() / 4 {
        // SAFETY: the word is within the key, and aligned as the key is.
        unsafe { key.as_mut_ptr().cast::<u32>().add(word).write_volatile(0) };
        word += 1;
    }
    // SAFETY: all zero is a valid key.
    unsafe { key.assume_init_mut() }
}

/// A function of its own, so that the key takes stack only while it is needed: callers' stacks are nearly full.
#[inline(never)]
fn set_tunnel_key(ctx: *mut __sk_buff, local: &VtepAddr, remote: &VtepAddr, vni: u32) -> i64 {
    use aya_ebpf::bindings as b;
    let mut key = MaybeUninit::uninit();
    let key = zeroed(&mut key);
    key.tunnel_id = vni;
    key.tunnel_ttl = 64;
    let mut flags = b::BPF_F_ZERO_CSUM_TX as u64;
    if remote.is_ipv4() {
        key.__bindgen_anon_1.remote_ipv4 = u32::from_be_bytes(remote.ipv4_bytes());
        key.__bindgen_anon_3.local_ipv4 = u32::from_be_bytes(local.ipv4_bytes());
        flags |= b::BPF_F_DONT_FRAGMENT as u64;
    } else {
        key.__bindgen_anon_1.remote_ipv6 = words(remote.bytes());
        key.__bindgen_anon_3.local_ipv6 = words(local.bytes());
        flags |= b::BPF_F_TUNINFO_IPV6 as u64;
    }
    let size = size_of::<bpf_tunnel_key>() as u32;
    // SAFETY: the context is the kernel's, the key is a local that outlives the call.
    unsafe { helper::bpf_skb_set_tunnel_key(ctx, key, size, flags) }
}
