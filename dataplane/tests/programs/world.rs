//! The programs of their own, and a small world in their maps:
//!
//! ```text
//!   red (L3 5001)    red-a (L2 101) 10.0.0.0/24 fd00:a::/64      red-b (L2 102) 10.0.1.0/24 fd00:b::/64
//!     this host        ALICE .11 (slot 1)   BOB .12 (slot 2)        DAVE .13 (slot 3)
//!     192.0.2.2        CAROL .21                                    ERIN .23
//!     192.0.2.3        10.9.0.0/16 and fd00:9::/48
//!     192.0.2.4        FRANK 10.0.0.24, its next hop not resolved
//!   blue (L3 6001)   blue-a (L2 201) 10.0.0.0/24: its own .12 (slot 4), and .21 on 192.0.2.5
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, BorrowedFd};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use weft_dataplane_abi as abi;
use weft_dataplane_abi::{DropReason, IpKey, MacKey, NextHop, PortCounters, Scope, VniEntry, VtepVniKey};
use weft_vxlan::{MacAddr, UDP_PORT, Vni, Vtep};

use crate::program_log::ProgramLog;

mod firewall;
mod frames;

pub use firewall::{FLOW_LIMITS, LETS_OUT, TENANT};
pub use frames::*;

/// The kernel's verdicts (`linux/pkt_cls.h`).
/// All programs and maps.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJECT"));

pub const PASS: i32 = -1;
pub const DROP: i32 = 2;
pub const REDIRECT: i32 = 7;

/// Runs happen on the loopback device: the interface index of ALICE's veth.
const LOOPBACK: u32 = 1;
/// Its MAC: what is sent to it is for this host.
pub const LOOPBACK_MAC: MacAddr = MacAddr::new([0; 6]);

pub const GATEWAY_MAC: MacAddr = MacAddr::new([0x00, 0x00, 0x5e, 0x00, 0x01, 0x01]);
pub const ROUTER_MAC: MacAddr = MacAddr::new([2, 0, 192, 0, 2, 1]);
pub const UNDERLAY_MAC: MacAddr = MacAddr::new([2, 0xee, 0, 0, 0, 1]);
pub const NEXT_HOP_MAC: MacAddr = MacAddr::new([2, 0xee, 0, 0, 0, 0xfe]);
pub const VXLAN_IFINDEX: u32 = 77;

/// A workload.
#[derive(Clone, Copy)]
pub struct Station {
    pub mac: MacAddr,
    pub ipv4: Ipv4Addr,
    pub ipv6: Ipv6Addr,
}

const fn station(subnet: u8, number: u8) -> Station {
    let third = if subnet == 0xb { 1 } else { 0 };
    Station {
        mac: MacAddr::new([2, subnet, 0, 0, 0, number]),
        ipv4: Ipv4Addr::new(10, 0, third, number),
        ipv6: Ipv6Addr::new(0xfd00, subnet as u16, 0, 0, 0, 0, 0, number as u16),
    }
}

pub const ALICE: Station = station(0xa, 11);
pub const BOB: Station = station(0xa, 12);
pub const CAROL: Station = station(0xa, 21);
pub const FRANK: Station = station(0xa, 24);
pub const DAVE: Station = station(0xb, 13);
pub const ERIN: Station = station(0xb, 23);

pub const ALICE_SLOT: u32 = 1;
pub const BOB_SLOT: u32 = 2;
pub const DAVE_SLOT: u32 = 3;
pub const BLUE_SLOT: u32 = 4;

pub fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

pub fn red() -> Vni {
    vni(5001)
}

pub fn vtep(last: u8) -> Vtep {
    Vtep::new(IpAddr::from([192, 0, 2, last])).unwrap()
}

/// The same over IPv6: 2001:db8::1 and so on.
pub fn vtep6(last: u8) -> Vtep {
    Vtep::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()).unwrap()
}

/// The programs with the world in their maps.
pub struct World {
    ebpf: Ebpf,
    vtep: fn(u8) -> Vtep,
}

/// What became of a packet.
pub struct Outcome {
    pub verdict: i32,
    pub frame: Vec<u8>,
}

/// Map types ask for plain old data.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T>(T);
// SAFETY: the ABI's types have no padding and no invalid bit patterns: zerocopy derives it for each.
unsafe impl<T: Copy + zerocopy::FromBytes + zerocopy::IntoBytes + 'static> aya::Pod for Raw<T> {}

impl World {
    /// Loads and fills.
    ///
    /// A machine that cannot do this skips the test by returning `None`, and says why; in CI it fails.
    pub fn load() -> Option<Self> {
        Self::load_over(vtep)
    }

    /// The same, with an underlay of IPv6.
    pub fn load_over_ipv6() -> Option<Self> {
        Self::load_over(vtep6)
    }

    fn load_over(vtep: fn(u8) -> Vtep) -> Option<Self> {
        Self::load_filled(vtep, Self::fill)
    }

    /// The programs with other things in their maps, and VTEPs of these addresses.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    pub fn load_filled(vtep: fn(u8) -> Vtep, fill: impl FnOnce(&mut Self)) -> Option<Self> {
        let mut loader = EbpfLoader::new();
        for table in [abi::maps::PEERS, abi::maps::IDENTITIES, abi::maps::SERVICES, abi::maps::HITS] {
            loader.map_max_entries(table, 65_536);
        }
        // Room for a subnet with as many hosts as can be.
        loader.map_max_entries(abi::maps::FLOOD, 4096).map_max_entries(abi::maps::VTEPS, 4096);
        match loader.load(OBJECT) {
            Ok(ebpf) => {
                let mut world = Self { ebpf, vtep };
                fill(&mut world);
                Some(world)
            }
            Err(error) if std::env::var_os("CI").is_none() => {
                println!("skipped, because the eBPF object cannot be loaded here: {error}");
                None
            }
            Err(error) => panic!("the eBPF object cannot be loaded: {error:?}"),
        }
    }

    /// Runs `from_underlay` on a good frame, and returns what it makes of it. `None` for one with IPv6 inside on a kernel
    /// before 6.3, which cannot take IPv4 off it: the frame goes on, whole, to the kernel's vxlan device.
    #[track_caller]
    pub fn decapsulated(&mut self, frame: &[u8], inner: &[u8]) -> Option<Outcome> {
        let outcome = self.run(abi::programs::FROM_UNDERLAY, frame);
        if inner[12..14] == [0x08, 0x00] || Self::unwraps_other_family() {
            return Some(outcome);
        }
        assert_eq!((outcome.verdict, &*outcome.frame), (PASS, frame));
        None
    }

    /// Whether the kernel takes outer headers off packets of the other family: from 6.3 on.
    pub fn unwraps_other_family() -> bool {
        let release = nix::sys::utsname::uname().unwrap().release().to_str().unwrap().to_owned();
        let mut numbers =
            release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(3))
    }

    /// Runs a program on a frame.
    pub fn run(&mut self, program: &str, frame: &[u8]) -> Outcome {
        self.run_with(program, frame, 0)
    }

    /// Runs a program on a frame that is a super-packet of segments of `gso_size` bytes.
    pub fn run_with(&mut self, program: &str, frame: &[u8], gso_size: u32) -> Outcome {
        // `struct __sk_buff` of linux/bpf.h: `gso_size` is the 45th word of 48.
        let mut context = [0_u8; 192];
        context[44 * 4..45 * 4].copy_from_slice(&gso_size.to_ne_bytes());
        let mut out = vec![0; frame.len() + 256];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: (gso_size != 0).then_some(&context[..]),
            ..TestRunOptions::new()
        };
        let result = self.program(program).test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        Outcome { verdict: result.return_value.cast_signed(), frame: out }
    }

    /// Runs an XDP program on a frame.
    pub fn run_xdp(&mut self, program: &str, frame: &[u8]) -> Outcome {
        let mut out = vec![0; frame.len() + 256];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let result = self.xdp(program).test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        Outcome { verdict: result.return_value.cast_signed(), frame: out }
    }

    /// How long a program takes for a frame.
    pub fn time(&mut self, program: &str, frame: &[u8]) -> std::time::Duration {
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() };
        self.program(program).test_run(options).unwrap().duration
    }

    /// Puts somebody into one of a subnet's lists of those who get copies.
    pub fn put_flood(&mut self, subnet: Vni, group: u32, index: u32, member: abi::FloodMember) {
        self.put(abi::maps::FLOOD, abi::FloodKey::new(subnet, group, index), member);
    }

    /// Makes a VTEP known that the kernel's vxlan device sends to.
    pub fn put_vtep(&mut self, vtep: Vtep, mtu: u16) {
        self.put(abi::maps::VTEPS, abi::VtepAddr::new(vtep), abi::VtepEntry::unresolved(mtu));
    }

    /// Asserts that a program drops a frame, and that exactly this reason is counted, for the right port.
    #[track_caller]
    pub fn assert_dropped(&mut self, program: &str, frame: &[u8], reason: DropReason) {
        let slot = if program == abi::programs::FROM_POD { ALICE_SLOT } else { 0 };
        let before = self.drops(slot);
        let outcome = self.run(program, frame);
        let mut expected = before;
        *expected.entry(reason.name()).or_default() += 1;
        assert_eq!(self.drops(slot), expected);
        assert_eq!(outcome.verdict, DROP);
    }

    /// Asserts that a program refuses a frame: the drop is counted for ALICE with this reason, and what is left of the
    /// packet goes back to her. `gso_size` as for [`World::run_with`].
    #[track_caller]
    pub fn assert_refused(&mut self, frame: &[u8], gso_size: u32, reason: DropReason) -> Vec<u8> {
        let (mut drops, before) = (self.drops(ALICE_SLOT), self.counters(ALICE_SLOT));
        let outcome = self.run_with(abi::programs::FROM_POD, frame, gso_size);
        *drops.entry(reason.name()).or_default() += 1;
        assert_eq!(self.drops(ALICE_SLOT), drops);
        let after = self.counters(ALICE_SLOT);
        assert_eq!(after.from_port, before.from_port, "a dropped packet was not passed on");
        assert_eq!(after.to_port.packets, before.to_port.packets + 1);
        assert_eq!(after.to_port.bytes, before.to_port.bytes + outcome.frame.len() as u64);
        assert_eq!(outcome.verdict, REDIRECT);
        outcome.frame
    }

    /// Drops counted for a slot, by name.
    pub fn drops(&self, slot: u32) -> BTreeMap<&'static str, u64> {
        let counters = self.counters(slot);
        DropReason::ALL
            .into_iter()
            .filter(|reason| counters.drops[reason.index()] > 0)
            .map(|reason| (reason.name(), counters.drops[reason.index()]))
            .collect()
    }

    /// Counters of a slot, over all CPUs.
    pub fn counters(&self, slot: u32) -> PortCounters {
        let map: PerCpuArray<&MapData, Raw<PortCounters>> =
            PerCpuArray::try_from(self.ebpf.map(abi::maps::COUNTERS).unwrap()).unwrap();
        map.get(&slot, 0).unwrap().iter().fold(PortCounters::ZERO, |mut sum, cpu| {
            sum.add(&cpu.0);
            sum
        })
    }

    /// When the programs last heard that an outer packet was too big on its way.
    pub fn path_mtu_signal(&self) -> u64 {
        let map: Array<&MapData, u64> = Array::try_from(self.ebpf.map(abi::maps::PATH_MTU).unwrap()).unwrap();
        map.get(&0, 0).unwrap()
    }

    /// Lets no port have any ICMP error.
    pub fn forbid_icmp_errors(&mut self) {
        self.limit_icmp_errors(0);
    }

    fn limit_icmp_errors(&mut self, rate: u32) {
        let other = abi::Rate::per_second(1000);
        let icmp_errors = abi::Rate::per_second(rate);
        self.limit(abi::Limits { floods: other, icmp_errors, drop_events: other });
    }

    /// Makes loopback somebody else's, or nobody's.
    pub fn forget_alice(&mut self) {
        self.hash::<u32, abi::Endpoint>(abi::maps::ENDPOINTS).remove(&Raw(LOOPBACK)).unwrap();
    }

    /// Makes loopback no underlay device.
    pub fn forget_underlay(&mut self) {
        self.hash::<u32, abi::Underlay>(abi::maps::UNDERLAYS).remove(&Raw(LOOPBACK)).unwrap();
    }

    /// Loaded when it is first asked for: the kernel looks at a program for longer than a test at what it does.
    fn xdp(&mut self, name: &str) -> &mut Xdp {
        let program: &mut Xdp = self.ebpf.program_mut(name).unwrap().try_into().unwrap();
        if program.fd().is_err() {
            program.load().unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        program
    }

    /// The events that were told since the last call.
    pub fn events(&mut self) -> Vec<abi::DropEvent> {
        let mut ring = RingBuf::try_from(self.ebpf.map_mut(abi::maps::EVENTS).unwrap()).unwrap();
        let mut events = Vec::new();
        while let Some(bytes) = ring.next() {
            events.push(zerocopy::FromBytes::read_from_bytes(&bytes).unwrap());
        }
        events
    }

    /// What the programs have logged, and log from now on. To be asked for once.
    pub fn log(&mut self) -> ProgramLog {
        ProgramLog::of(&mut self.ebpf)
    }

    /// Sets how many drops of a port may be told in a second.
    pub fn limit_events(&mut self, per_second: u32) {
        let rate = abi::Rate::per_second(1000);
        let drop_events = abi::Rate::per_second(per_second);
        self.limit(abi::Limits { floods: rate, icmp_errors: rate, drop_events });
    }

    /// Gives ALICE's subnet BOB to be flooded to, so many times a second.
    pub fn flood_to_bob(&mut self, per_second: u32) {
        let rate = abi::Rate::per_second(1000);
        self.limit(abi::Limits {
            floods: abi::Rate::per_second(per_second),
            icmp_errors: rate,
            drop_events: rate,
        });
        for (index, (ifindex, slot)) in [(LOOPBACK, ALICE_SLOT), (12, BOB_SLOT)].into_iter().enumerate() {
            let key = abi::FloodKey::new(vni(101), abi::flood_group::PORTS, index.try_into().unwrap());
            self.put(abi::maps::FLOOD, key, abi::FloodMember::port(vni(101), ifindex, slot));
        }
    }

    /// Sets what each port may cause.
    pub fn limit(&mut self, limits: abi::Limits) {
        let own = (self.vtep)(1);
        let host = abi::HostConfig::new(own, UDP_PORT, VXLAN_IFINDEX, ROUTER_MAC, GATEWAY_MAC, limits);
        self.put_host(host.with_flows(FLOW_LIMITS));
    }

    fn put_host(&mut self, host: abi::HostConfig) {
        let mut array: Array<_, Raw<abi::HostConfig>> =
            Array::try_from(self.ebpf.map_mut(abi::maps::HOST).unwrap()).unwrap();
        array.set(0, Raw(host), 0).unwrap();
    }

    /// Makes the host as it is before the daemon has configured it.
    pub fn forget_host(&mut self) {
        self.put_host(zerocopy::FromZeros::new_zeroed());
    }

    /// Takes the way to a VTEP away, and leaves the routes to it.
    pub fn forget_vtep(&mut self, last: u8) {
        let key = Raw(abi::VtepAddr::new(vtep(last)));
        self.hash::<abi::VtepAddr, abi::VtepEntry>(abi::maps::VTEPS).remove(&key).unwrap();
    }

    /// Likewise.
    fn program(&mut self, name: &str) -> &mut SchedClassifier {
        let program: &mut SchedClassifier = self.ebpf.program_mut(name).unwrap().try_into().unwrap();
        if program.fd().is_err() {
            program.load().unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        program
    }

    fn hash<K, V>(&mut self, name: &str) -> HashMap<&mut MapData, Raw<K>, Raw<V>>
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        HashMap::try_from(self.ebpf.map_mut(name).unwrap()).unwrap()
    }

    /// Writes an entry of a hash map.
    pub fn put<K, V>(&mut self, name: &str, key: K, value: V)
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        self.hash(name).insert(Raw(key), Raw(value), 0).unwrap();
    }

    /// What an entry of a hash map holds.
    pub fn get<K, V>(&mut self, name: &str, key: K) -> V
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        self.hash::<K, V>(name).get(&Raw(key), 0).unwrap().0
    }

    fn fill(&mut self) {
        self.limit_icmp_errors(1000);
        self.put(abi::maps::UNDERLAYS, LOOPBACK, abi::Underlay::new(LOOPBACK_MAC));

        let (red, blue) = (red(), vni(6001));
        for (number, entry) in [
            (red, VniEntry::network_itself(red)),
            (vni(101), VniEntry::subnet(vni(101), red)),
            (vni(102), VniEntry::subnet(vni(102), red)),
            (blue, VniEntry::network_itself(blue)),
            (vni(201), VniEntry::subnet(vni(201), blue)),
        ] {
            self.put(abi::maps::VNIS, number.get(), entry);
        }
        let vtep = self.vtep;
        let resolved = |last: u8| {
            let sum = partial_sum(vtep(1), vtep(last));
            abi::VtepEntry::resolved([abi::Uplink::new(LOOPBACK, UNDERLAY_MAC, NEXT_HOP_MAC); 8], 1500, sum)
        };
        for last in [2, 3, 5] {
            self.put(abi::maps::VTEPS, abi::VtepAddr::new((self.vtep)(last)), resolved(last));
        }
        self.put(abi::maps::VTEPS, abi::VtepAddr::new((self.vtep)(4)), abi::VtepEntry::unresolved(1500));
        for (last, number) in
            [(2, red), (2, vni(101)), (2, vni(102)), (3, red), (4, red), (5, blue), (5, vni(201))]
        {
            self.put(abi::maps::VTEP_VNIS, VtepVniKey::new(number, (self.vtep)(last)), 1_u8);
        }

        for (subnet, gateway) in [(vni(101), station(0xa, 1)), (vni(102), station(0xb, 1))] {
            let scope = Scope::of(red);
            let gateway_hop = NextHop::gateway(scope, GATEWAY_MAC);
            let route = abi::HostRoute::new(scope, gateway_hop, subnet, GATEWAY_MAC);
            self.put(abi::maps::HOSTS, IpKey::new(red, gateway.ipv4.into()), route);
            self.put(abi::maps::HOSTS, IpKey::new(red, gateway.ipv6.into()), route);
        }
        self.local(red, vni(101), LOOPBACK, ALICE_SLOT, ALICE);
        self.local(red, vni(101), 12, BOB_SLOT, BOB);
        self.local(red, vni(102), 13, DAVE_SLOT, DAVE);
        self.local(blue, vni(201), 14, BLUE_SLOT, BOB);
        self.remote(red, vni(101), 2, CAROL);
        self.remote(red, vni(102), 2, ERIN);
        self.remote(red, vni(101), 4, FRANK);
        self.remote(blue, vni(201), 5, CAROL);
        for (prefix, bits) in [("10.9.0.0", 16), ("fd00:9::", 48)] {
            let next_hop =
                NextHop::remote(Scope::of(red), (self.vtep)(3), red, (self.vtep)(3).default_router_mac());
            self.put_prefix(IpKey::new(red, prefix.parse().unwrap()), bits, next_hop);
        }
    }

    /// Writes an entry of a map of longest prefixes, of whose key so many bits count.
    pub fn put_lpm<K, V>(&mut self, name: &str, bits: u32, key: K, value: V)
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        let mut trie: LpmTrie<_, Raw<K>, Raw<V>> =
            LpmTrie::try_from(self.ebpf.map_mut(name).unwrap()).unwrap();
        trie.insert(&Key::new(bits, Raw(key)), Raw(value), 0).unwrap();
    }

    /// All entries of a hash map.
    pub fn entries<K: Copy, V: Copy>(&mut self, name: &str) -> Vec<(K, V)>
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        self.hash::<K, V>(name)
            .iter()
            .map(|entry| entry.map(|(key, value)| (key.0, value.0)).unwrap())
            .collect()
    }

    /// Removes all entries of a hash map.
    pub fn clear<K: Copy, V: Copy>(&mut self, name: &str)
    where
        Raw<K>: aya::Pod,
        Raw<V>: aya::Pod,
    {
        for (key, _) in self.entries::<K, V>(name) {
            self.hash::<K, V>(name).remove(&Raw(key)).unwrap();
        }
    }

    /// What an array holds at an index.
    pub fn array<V: Copy>(&mut self, name: &str, index: u32) -> V
    where
        Raw<V>: aya::Pod,
    {
        let array: Array<_, Raw<V>> = Array::try_from(self.ebpf.map_mut(name).unwrap()).unwrap();
        array.get(&index, 0).unwrap().0
    }

    /// Writes what an array holds at an index.
    pub fn set_array<V: Copy>(&mut self, name: &str, index: u32, value: V)
    where
        Raw<V>: aya::Pod,
    {
        let mut array: Array<_, Raw<V>> = Array::try_from(self.ebpf.map_mut(name).unwrap()).unwrap();
        array.set(index, Raw(value), 0).unwrap();
    }

    /// Writes the route to a prefix of so many bits.
    pub fn put_prefix(&mut self, prefix: IpKey, bits: u32, next_hop: NextHop) {
        let mut trie: LpmTrie<_, Raw<IpKey>, Raw<NextHop>> =
            LpmTrie::try_from(self.ebpf.map_mut(abi::maps::PREFIXES).unwrap()).unwrap();
        trie.insert(&Key::new(IpKey::SCOPE_BITS + bits, Raw(prefix)), Raw(next_hop), 0).unwrap();
    }

    /// Loads all programs that packets meet.
    pub fn load_programs(&mut self) {
        for name in abi::programs::ALL.into_iter().chain([abi::programs::GUARD]) {
            self.program(name);
        }
        for name in abi::programs::XDP {
            self.xdp(name);
        }
    }

    /// A loaded program, to be run without this harness.
    pub fn program_fd(&self, name: &str) -> BorrowedFd<'_> {
        let program = self.ebpf.program(name).unwrap();
        program.fd().unwrap().as_fd()
    }

    /// A map, to be read without it.
    pub fn map_fd(&self, name: &str) -> BorrowedFd<'_> {
        let Map::PerCpuArray(data) = self.ebpf.map(name).unwrap() else { panic!("{name} is not per CPU") };
        data.fd().as_fd()
    }

    fn local(&mut self, network: Vni, subnet: Vni, ifindex: u32, slot: u32, station: Station) {
        let Station { mac, ipv4, ipv6 } = station;
        let [a, b, c, _] = ipv4.octets();
        let [prefix, subnet_id, ..] = ipv6.segments();
        let gateways = abi::Gateways {
            ipv4: [a, b, c, 1].into(),
            ipv6: Ipv6Addr::new(prefix, subnet_id, 0, 0, 0, 0, 0, 1),
        };
        let endpoint =
            abi::Endpoint::new(ifindex, network, subnet, slot, mac, (Some(ipv4), Some(ipv6)), gateways);
        self.put(abi::maps::ENDPOINTS, ifindex, endpoint);
        let local = |scope| NextHop::local(Scope::of(scope), ifindex, slot, mac);
        self.reachable(network, subnet, station, local(network), local(subnet));
    }

    fn remote(&mut self, network: Vni, subnet: Vni, last: u8, station: Station) {
        let router_mac = (self.vtep)(last).default_router_mac();
        let switched = NextHop::remote(Scope::of(subnet), (self.vtep)(last), subnet, router_mac);
        let routed = NextHop::remote(Scope::of(network), (self.vtep)(last), network, router_mac);
        self.reachable(network, subnet, station, routed, switched);
    }

    fn reachable(&mut self, network: Vni, subnet: Vni, station: Station, routed: NextHop, switched: NextHop) {
        let route = abi::HostRoute::new(Scope::of(network), routed, subnet, station.mac);
        self.put(abi::maps::HOSTS, IpKey::new(network, station.ipv4.into()), route);
        self.put(abi::maps::HOSTS, IpKey::new(network, station.ipv6.into()), route);
        self.put(abi::maps::FDB, MacKey::new(subnet, station.mac), switched);
    }
}

/// One's complement sum of the outer IPv4 header without its length and checksum.
pub fn partial_sum(from: Vtep, to: Vtep) -> u16 {
    // IPv6 has no header checksum.
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from.address(), to.address()) else { return 0 };
    let header = etherparse::Ipv4Header {
        dont_fragment: true,
        time_to_live: 64,
        protocol: etherparse::IpNumber::UDP,
        source: from.octets(),
        destination: to.octets(),
        ..Default::default()
    };
    // The header's length field is zero here, so the checksum is the complement of just this sum.
    !header.calc_header_checksum()
}
