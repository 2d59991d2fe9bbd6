//! The maps, named as in `weft_dataplane_abi::maps`. The daemon sets their sizes when it loads the object.
//!
//! The kernel may give a removed or replaced element's memory to another element of the map while a program still reads
//! it. So what belongs to a tenant is copied, and the copy is believed if its seal is right: [`seal`](crate::seal).

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use weft_dataplane_abi::{
    AllowedPair, DropEvent, DropReason, Endpoint, FloodKey, FloodMember, Flow, FlowCounts, FlowKey, Fragment,
    FragmentKey, HalfOpenKey, HostConfig, HostRoute, IdentityKey, IpKey, MacKey, MembershipKey, NextHop,
    PathKey, PolicyClass, PolicyRule, PortCounters, PortLimits, RuleKey, Scope, ServiceKey, Underlay,
    VniEntry, VtepAddr, VtepEntry, VtepVniKey,
};

use crate::facts::Facts;
use crate::icmp_error::{MessageV4, MessageV6};
use crate::receive::Arrived;
use crate::seal::{Found, believed, believed_in};

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
static PATHS: HashMap<PathKey, NextHop> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
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
#[map]
static PATH_MTU: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static PEERS: LpmTrie<IpKey, PolicyClass> = LpmTrie::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static IDENTITIES: HashMap<IdentityKey, PolicyClass> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static SERVICES: LpmTrie<ServiceKey, PolicyRule> = LpmTrie::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static GENERATION: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static HITS: HashMap<RuleKey, u64> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
#[map]
static PAIRS: LpmTrie<IpKey, AllowedPair> = LpmTrie::with_max_entries(SIZE, BPF_F_NO_PREALLOC);
/// With memory of their own, as those that follow: a program must not have to wait for it.
#[map]
static FLOWS: HashMap<FlowKey, Flow> = HashMap::with_max_entries(SIZE, 0);
#[map]
static HALF_OPEN: HashMap<FlowKey, Flow> = HashMap::with_max_entries(SIZE, 0);
/// Places are kept when their connections have gone: those that were given longest ago make room for others.
#[map]
static ASKED: LruHashMap<HalfOpenKey, FlowKey> = LruHashMap::with_max_entries(SIZE, 0);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, Fragment> = LruHashMap::with_max_entries(SIZE, 0);
#[map]
static FLOW_COUNTS: Array<FlowCounts> = Array::with_max_entries(SIZE, 0);
#[map]
static FLOWS_OVER: Array<u64> = Array::with_max_entries(SIZE, 0);
/// Of no meaning to the programs.
#[map]
static MEMBERSHIPS: HashMap<MembershipKey, u8> = HashMap::with_max_entries(SIZE, BPF_F_NO_PREALLOC);

/// Where a CPU has copies of what it looked up: the stack has no room. Of no meaning to the daemon, and not pinned.
#[map]
static ENDPOINT: PerCpuArray<Endpoint> = PerCpuArray::with_max_entries(1, 0);
#[map]
static ROUTE: PerCpuArray<HostRoute> = PerCpuArray::with_max_entries(1, 0);
#[map]
static NEXT_HOP: PerCpuArray<NextHop> = PerCpuArray::with_max_entries(1, 0);
#[map]
static MEMBER: PerCpuArray<FloodMember> = PerCpuArray::with_max_entries(1, 0);
#[map]
static PATH: PerCpuArray<NextHop> = PerCpuArray::with_max_entries(1, 0);

/// Where a CPU has what it reads of a packet, and the port that judges it.
#[map]
static FACTS: PerCpuArray<Facts> = PerCpuArray::with_max_entries(1, 0);
#[map]
static JUDGING: PerCpuArray<Endpoint> = PerCpuArray::with_max_entries(1, 0);
/// Where a CPU has what came from another host.
#[map]
static ARRIVED: PerCpuArray<Arrived> = PerCpuArray::with_max_entries(1, 0);

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
pub fn endpoint(ifindex: u32) -> Found<Endpoint> {
    believed(Scope::raw(ifindex), || ENDPOINTS.get_ptr(ifindex))
}

/// The same, in this CPU's place for it: for who holds it for long.
#[inline(always)]
pub fn own_endpoint(ifindex: u32) -> Found<&'static Endpoint> {
    believed_in(place(&ENDPOINT)?, Scope::raw(ifindex), || ENDPOINTS.get_ptr(ifindex))
}

/// Where packets to a single address go.
#[inline(always)]
pub fn route(key: &IpKey) -> Found<&'static NextHop> {
    // It is the first field, with a seal of its own.
    let find = || HOSTS.get_ptr(key).map(<*const HostRoute>::cast::<NextHop>);
    believed_in(place(&NEXT_HOP)?, key.scope(), find)
}

/// All that is known of a single address.
#[inline(always)]
pub fn host_route(key: &IpKey) -> Found<&'static HostRoute> {
    believed_in(place(&ROUTE)?, key.scope(), || HOSTS.get_ptr(key))
}

/// The longest prefix that holds the address.
#[inline(always)]
pub fn prefix(key: &IpKey) -> Found<&'static NextHop> {
    let bits = IpKey::SCOPE_BITS + 128;
    let find = || PREFIXES.get(Key::new(bits, *key)).map(core::ptr::from_ref);
    believed_in(place(&NEXT_HOP)?, key.scope(), find)
}

/// Where a MAC of a subnet is.
#[inline(always)]
pub fn switch(key: &MacKey) -> Found<&'static NextHop> {
    believed_in(place(&NEXT_HOP)?, key.scope(), || FDB.get_ptr(key))
}

/// The path of a flow with this hash, where there are several in the network or subnet `scope`; the first if they are not
/// there, as for a moment in which they are replaced by others.
#[inline(always)]
pub fn path(several: &'static NextHop, scope: u32, hash: u32) -> Result<&'static NextHop, DropReason> {
    let (set, paths) = several.paths();
    let Some(index) = hash.checked_rem(paths) else { return Ok(several) };
    let key = PathKey::raw(scope, set, index);
    let found = believed_in(place(&PATH)?, key.scope(), || PATHS.get_ptr(key));
    Ok(found.ok().flatten().unwrap_or(several))
}

/// This CPU's place for a value of the kind: there is one, so the next look-up of the kind takes it.
#[inline(always)]
fn place<T>(places: &PerCpuArray<T>) -> Result<&'static mut MaybeUninit<T>, DropReason> {
    let place = places.get_ptr_mut(0).ok_or(DropReason::KernelRefused)?;
    // SAFETY: as for `counters`; and no stage uses what it found after it has looked up another of the kind.
    Ok(unsafe { &mut *place.cast() })
}

/// What a VNI stands for here.
#[inline(always)]
pub fn vni(vni: u32) -> Found<VniEntry> {
    believed(Scope::raw(vni), || VNIS.get_ptr(vni))
}

/// Who is at a place in one of a subnet's lists of those who get copies.
#[inline(always)]
pub fn flood(key: &FloodKey) -> Found<&'static FloodMember> {
    believed_in(place(&MEMBER)?, key.scope(), || FLOOD.get_ptr(key))
}

/// Whether a VTEP may send into a VNI.
#[inline(always)]
pub fn may_send(key: &VtepVniKey) -> bool {
    // The kernel has compared the key; the value says nothing.
    VTEP_VNIS.get_ptr(key).is_some()
}

/// How to reach a VTEP: facts of the underlay, of no tenant. Were it another VTEP's, the packet would go to a router that
/// reads the address in the outer header.
#[inline(always)]
pub fn vtep(address: &VtepAddr) -> Option<&'static VtepEntry> {
    // SAFETY: the memory stays that of the map while the program runs. Another element's value may be written there
    // meanwhile, whose words mean something whatever they hold.
    unsafe { VTEPS.get(address) }
}

/// The underlay device of this interface index.
#[inline(always)]
pub fn underlay(ifindex: u32) -> Option<&'static Underlay> {
    // SAFETY: as for `vtep`.
    unsafe { UNDERLAYS.get(ifindex) }
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

/// Tells the daemon to look at the MTUs of the ways to VTEPs.
#[inline(always)]
pub fn tell_path_mtu() {
    if let Some(last) = PATH_MTU.get_ptr_mut(0) {
        // SAFETY: the pointer is a value of a map that never goes away while the program runs; a word is written
        // whole, and any value that is another one will do. The helper takes no pointers.
        unsafe { last.write_volatile(bpf_ktime_get_ns()) };
    }
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

/// This CPU's place for what it reads of a packet.
#[inline(always)]
pub fn facts() -> Result<&'static mut Facts, DropReason> {
    let facts = FACTS.get_ptr_mut(0).ok_or(DropReason::KernelRefused)?;
    // SAFETY: as for `counters`; any bytes of its fields but two flags mean something, which are written before they are
    // read.
    Ok(unsafe { &mut *facts })
}

/// This CPU's place for what came from another host.
#[inline(always)]
pub fn arrived() -> Result<&'static mut Arrived, DropReason> {
    let arrived = ARRIVED.get_ptr_mut(0).ok_or(DropReason::KernelRefused)?;
    // SAFETY: as for `facts`: zeros, as the kernel makes them, or what was written.
    Ok(unsafe { &mut *arrived })
}

/// The port whose rules judge a packet, in this CPU's place for it.
#[inline(always)]
pub fn judging_endpoint(ifindex: u32) -> Found<&'static Endpoint> {
    believed_in(place(&JUDGING)?, Scope::raw(ifindex), || ENDPOINTS.get_ptr(ifindex))
}

/// The class of a policy's peer by its address.
#[inline(always)]
pub fn peer_class(key: &Key<IpKey>) -> Found<u32> {
    let scope = { key.data }.scope();
    let class = believed(scope, || PEERS.get(key).map(core::ptr::from_ref))?;
    Ok(class.map(|class: PolicyClass| class.get()))
}

/// The class of a policy's peer by its groups.
#[inline(always)]
pub fn identity_class(key: &IdentityKey) -> Found<u32> {
    let class = believed(Scope::raw(key.policy), || IDENTITIES.get_ptr(key))?;
    Ok(class.map(|class: PolicyClass| class.get()))
}

/// The rule for a service.
#[inline(always)]
pub fn service(key: &Key<ServiceKey>) -> Found<PolicyRule> {
    let scope = { key.data }.scope();
    believed(scope, || SERVICES.get(key).map(core::ptr::from_ref))
}

/// The generation of the rules.
#[inline(always)]
pub fn generation() -> u32 {
    match GENERATION.get_ptr(0) {
        // SAFETY: the pointer is to a word of a map that never goes away while the program runs.
        Some(generation) => unsafe { generation.read_volatile() },
        None => 0,
    }
}

/// Counts a decision of a rule.
#[inline(always)]
pub fn hit(key: &RuleKey) {
    match HITS.get_ptr_mut(key) {
        Some(hits) => add(hits),
        // Without room it is not counted.
        None => {
            let _ = HITS.insert(key, 1, BPF_NOEXIST as u64);
        }
    }
}

/// An address, within the scope of a port, from which the port may send besides its own.
#[inline(always)]
pub fn pair(key: &IpKey) -> Found<AllowedPair> {
    let bits = IpKey::SCOPE_BITS + 128;
    believed(key.scope(), || PAIRS.get(Key::new(bits, *key)).map(core::ptr::from_ref))
}

/// An open connection, or one that was.
#[inline(always)]
pub fn flow(key: &FlowKey) -> Option<&'static mut Flow> {
    // SAFETY: the memory stays that of the map while the program runs. Other CPUs may write the same words, which are
    // whole each and mean something whatever they hold; another connection is told by its interface.
    FLOWS.get_ptr_mut(key).map(|flow| unsafe { &mut *flow })
}

/// A connection that is asked for.
#[inline(always)]
pub fn half_open(key: &FlowKey) -> Option<&'static Flow> {
    // SAFETY: as for `flow`.
    HALF_OPEN.get_ptr(key).map(|flow| unsafe { &*flow })
}

/// Has a connection be open.
#[inline(always)]
pub fn open(key: &FlowKey, flow: &Flow) -> Result<(), DropReason> {
    FLOWS.insert(key, flow, 0).map_err(|error| unwritten(error as i64))
}

/// Has a connection be asked for, as it is now.
#[inline(always)]
pub fn set_half_open(key: &FlowKey, flow: &Flow) -> Result<(), DropReason> {
    HALF_OPEN.insert(key, flow, 0).map_err(|error| unwritten(error as i64))
}

/// Whether the connection was asked for, and is not any more.
#[inline(always)]
pub fn close_half_open(key: &FlowKey) -> bool {
    HALF_OPEN.remove(key).is_ok()
}

/// `-E2BIG`.
const TOO_BIG: i64 = -7;

#[inline(always)]
fn unwritten(error: i64) -> DropReason {
    if error == TOO_BIG { DropReason::FlowsFull } else { DropReason::FlowsBusy }
}

/// Which connection asked at a place in a port's order.
#[inline(always)]
pub fn asked(key: &HalfOpenKey) -> Option<&'static FlowKey> {
    // SAFETY: as for `flow`. With another's key in it, that one goes before its time.
    ASKED.get_ptr(key).map(|key| unsafe { &*key })
}

/// Puts a connection into a place. Without room it has none, and goes when it is over time.
#[inline(always)]
pub fn ask(key: &HalfOpenKey, flow: &FlowKey) {
    let _ = ASKED.insert(key, flow, 0);
}

/// What the first fragment of a packet said.
#[inline(always)]
pub fn fragment(key: &FragmentKey) -> Option<Fragment> {
    // SAFETY: as for `flow`; a copy.
    FRAGMENTS.get_ptr(key).map(|fragment| unsafe { *fragment })
}

/// Keeps what the first fragment of a packet said.
#[inline(always)]
pub fn remember(key: &FragmentKey, first: &Fragment) -> Result<(), DropReason> {
    FRAGMENTS.insert(key, first, 0).map_err(|_| DropReason::FlowsBusy)
}

/// How many connections of a port or tenant are open.
#[inline(always)]
pub fn open_count(index: u32) -> u64 {
    let (Some(counts), Some(over)) = (FLOW_COUNTS.get_ptr(index), FLOWS_OVER.get_ptr(index)) else {
        return 0;
    };
    // SAFETY: the pointers are to words of maps that never go away while the program runs.
    let open = unsafe { (*counts).opened.wrapping_sub(*over) };
    // The daemon counts what is over after the programs have counted what was opened, but not at once.
    if open > u64::MAX / 2 { 0 } else { open }
}

/// One more that was opened.
#[inline(always)]
pub fn count_opened(index: u32) {
    if let Some(counts) = FLOW_COUNTS.get_ptr_mut(index) {
        // SAFETY: as for `open_count`.
        add(unsafe { &raw mut (*counts).opened });
    }
}

/// One more that was asked for; how many there were before.
#[inline(always)]
pub fn count_asked(slot: u32) -> Option<u64> {
    let counts = FLOW_COUNTS.get_ptr_mut(slot)?;
    // SAFETY: as for `open_count`. Two CPUs may get the same place: then one connection has none.
    let before = unsafe { (*counts).asked };
    // SAFETY: as for `open_count`.
    add(unsafe { &raw mut (*counts).asked });
    Some(before)
}

/// One more that had to go.
#[inline(always)]
pub fn count_displaced(slot: u32) {
    if let Some(counts) = FLOW_COUNTS.get_ptr_mut(slot) {
        // SAFETY: as for `open_count`.
        add(unsafe { &raw mut (*counts).displaced });
    }
}

/// Adds one in one step.
#[inline(always)]
fn add(word: *mut u64) {
    // SAFETY: the word is one of a map, aligned, and the map never goes away while the program runs.
    unsafe {
        core::intrinsics::atomic_xadd::<u64, u64, { core::intrinsics::AtomicOrdering::Relaxed }>(word, 1)
    };
}

/// Seconds of the kernel's monotonic clock, as it is at each of its ticks.
#[inline(always)]
pub fn seconds() -> u32 {
    // SAFETY: takes no pointers.
    (unsafe { bpf_ktime_get_coarse_ns() } / 1_000_000_000) as u32
}
