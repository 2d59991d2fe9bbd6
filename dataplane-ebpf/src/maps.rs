//! The maps, named as in `weft_dataplane_abi::maps`. The daemon sets their sizes when it loads the object.
//!
//! Hash maps are not preallocated: a removed entry then stays readable until every program that found it has
//! ended (RCU), where a preallocated one may already hold another tenant's value.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, PerCpuArray, RingBuf};
use weft_dataplane_abi::{
    DropEvent, DropReason, Endpoint, FloodKey, FloodMember, HostConfig, HostRoute, IpKey, MacKey, NextHop,
    PortCounters, PortLimits, Underlay, VniEntry, VtepAddr, VtepEntry, VtepVniKey,
};

use crate::icmp_error::{MessageV4, MessageV6};

/// Sizes that the object declares; the daemon overrides each of them.
const SIZE: u32 = 1024;

#[map]
static ABI: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static HOST: Array<HostConfig> = Array::with_max_entries(1, 0);
#[map]
static ENDPOINTS: HashMap<u32, Endpoint> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static HOSTS: HashMap<IpKey, HostRoute> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static PREFIXES: LpmTrie<IpKey, NextHop> = LpmTrie::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static FDB: HashMap<MacKey, NextHop> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static VNIS: HashMap<u32, VniEntry> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static VTEP_VNIS: HashMap<VtepVniKey, u8> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static VTEPS: HashMap<VtepAddr, VtepEntry> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static UNDERLAYS: HashMap<u32, Underlay> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static FLOOD: HashMap<FloodKey, FloodMember> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static COUNTERS: PerCpuArray<PortCounters> = PerCpuArray::with_max_entries(SIZE, 0);
#[map]
static LIMITS: Array<PortLimits> = Array::with_max_entries(SIZE, 0);
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(64 * SIZE, 0);

/// Where a CPU builds its ICMP errors; of no meaning to the daemon, and not pinned.
#[map]
static MESSAGE_V4: PerCpuArray<MessageV4> = PerCpuArray::with_max_entries(1, 0);
#[map]
static MESSAGE_V6: PerCpuArray<MessageV6> = PerCpuArray::with_max_entries(1, 0);

/// This host, once the daemon has written it.
#[inline(always)]
pub fn host() -> Result<&'static HostConfig, DropReason> {
    match HOST.get(0) {
        Some(host) if host.vxlan_ifindex() != 0 => Ok(host),
        _ => Err(DropReason::NotConfigured),
    }
}

/// The port whose veth has this interface index.
#[inline(always)]
pub fn endpoint(ifindex: u32) -> Option<&'static Endpoint> {
    // SAFETY: not preallocated, see above; the daemon replaces values, it never edits them in place.
    unsafe { ENDPOINTS.get(ifindex) }
}

/// What is known of a single address.
#[inline(always)]
pub fn host_route(key: &IpKey) -> Option<&'static HostRoute> {
    // SAFETY: as for `endpoint`.
    unsafe { HOSTS.get(key) }
}

/// The longest prefix that holds the address.
#[inline(always)]
pub fn prefix(key: IpKey) -> Option<&'static NextHop> {
    PREFIXES.get(Key::new(IpKey::SCOPE_BITS + 128, key))
}

/// Where a MAC of a subnet is.
#[inline(always)]
pub fn switch(key: &MacKey) -> Option<&'static NextHop> {
    // SAFETY: as for `endpoint`.
    unsafe { FDB.get(key) }
}

/// What a VNI stands for here.
#[inline(always)]
pub fn vni(vni: u32) -> Option<&'static VniEntry> {
    // SAFETY: as for `endpoint`.
    unsafe { VNIS.get(vni) }
}

/// Whether a VTEP may send into a VNI.
#[inline(always)]
pub fn may_send(key: &VtepVniKey) -> bool {
    // SAFETY: as for `endpoint`.
    unsafe { VTEP_VNIS.get(key) }.is_some()
}

/// How to reach a VTEP.
#[inline(always)]
pub fn vtep(address: &VtepAddr) -> Option<&'static VtepEntry> {
    // SAFETY: as for `endpoint`.
    unsafe { VTEPS.get(address) }
}

/// The underlay device of this interface index.
#[inline(always)]
pub fn underlay(ifindex: u32) -> Option<&'static Underlay> {
    // SAFETY: as for `endpoint`.
    unsafe { UNDERLAYS.get(ifindex) }
}

/// Who is at a place in one of a subnet's lists of those who get copies.
#[inline(always)]
pub fn flood(key: &FloodKey) -> Option<&'static FloodMember> {
    // SAFETY: as for `endpoint`.
    unsafe { FLOOD.get(key) }
}

/// This CPU's counters of a port.
#[inline(always)]
pub fn counters(slot: u32) -> Option<&'static mut PortCounters> {
    let counters = COUNTERS.get_ptr_mut(slot)?;
    // SAFETY: the pointer is this CPU's own value of a map that never goes away while the program runs. No other
    // program of this CPU interrupts this one: XDP runs in the softirq that polls the device, TC in the same or with
    // softirqs off (what a process sends), and softirqs do not nest. With PREEMPT_RT they can be preempted, but all that
    // run with them off take turns on a lock of the CPU.
    Some(unsafe { &mut *counters })
}

/// When a port's limited events are next due.
#[inline(always)]
pub fn limits(slot: u32) -> Option<&'static mut PortLimits> {
    let limits = LIMITS.get_ptr_mut(slot)?;
    // SAFETY: the pointer is a value of a map that never goes away while the program runs. Other CPUs may write the
    // same words, which are whole each and mean something whatever they hold.
    Some(unsafe { &mut *limits })
}

/// Room for one more event, unless the daemon has not yet read what fills the buffer.
#[inline(always)]
pub fn event() -> Option<RingBufEntry<DropEvent>> {
    EVENTS.reserve(0)
}

/// This CPU's place to build an ICMP error.
#[inline(always)]
pub fn message_v4() -> Option<&'static mut MessageV4> {
    let message = MESSAGE_V4.get_ptr_mut(0)?;
    // SAFETY: as for `counters`.
    Some(unsafe { &mut *message })
}

/// This CPU's place to build an ICMPv6 error.
#[inline(always)]
pub fn message_v6() -> Option<&'static mut MessageV6> {
    let message = MESSAGE_V6.get_ptr_mut(0)?;
    // SAFETY: as for `counters`.
    Some(unsafe { &mut *message })
}
