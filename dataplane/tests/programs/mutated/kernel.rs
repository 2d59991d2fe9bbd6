//! A million test runs need a light way into the kernel: one system call a packet, buffers that stay, all counters at
//! once. And a program in front of `from_vxlan` that gives a packet the tunnel key which a test run cannot.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use weft_dataplane_abi::{Place, PortCounters};

use crate::reference::{Arrival, TunnelKey};

/// Commands of bpf(2) (`linux/bpf.h`).
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const TEST_RUN: libc::c_long = 10;
const LOOKUP_BATCH: libc::c_long = 24;

const ARRAY: u32 = 2;
const PROG_ARRAY: u32 = 3;
const SCHED_CLS: u32 = 3;

/// Slots of ports in the world, and that of none.
pub const SLOTS: usize = 8;
/// Room for the largest frame, and for what is put in front of it.
const OUT: usize = 16 * 1024;
/// The longest frame that a test run takes at TC: it lies in one page.
pub const LONGEST_SKB: usize = 3400;

#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    answer: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
}

#[repr(C)]
#[derive(Default)]
struct Batch {
    first: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

#[repr(C)]
struct Update {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Create {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
}

#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// `struct bpf_tunnel_key`, and the flags of `bpf_skb_set_tunnel_key`.
#[repr(C)]
struct Key {
    vni: u32,
    remote: [u8; 16],
    tos_ttl_ext: u32,
    label: u32,
    local: [u8; 16],
    flags: u32,
}

/// What a run made of a frame.
pub struct Outcome {
    pub answer: i32,
    pub frame: Vec<u8>,
}

/// The descriptors that are needed again and again.
pub struct Kernel {
    programs: [(Place, RawFd); Place::ALL.len()],
    counters: RawFd,
    cpus: usize,
    values: Vec<PortCounters>,
    keys: OwnedFd,
    tunnelled: OwnedFd,
    _jump: OwnedFd,
}

impl Kernel {
    /// For programs and counters, which must outlive this.
    pub fn new(program: impl Fn(Place) -> RawFd, counters: BorrowedFd<'_>) -> io::Result<Self> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        let keys = create(ARRAY, size_of::<Key>())?;
        let jump = create(PROG_ARRAY, 4)?;
        update(&jump, &program(Place::Vxlan).to_ne_bytes())?;
        Ok(Self {
            programs: Place::ALL.map(|place| (place, program(place))),
            counters: counters.as_raw_fd(),
            cpus,
            values: vec![PortCounters::ZERO; SLOTS * cpus],
            tunnelled: load(&give_key_and_jump(&keys, &jump))?,
            keys,
            _jump: jump,
        })
    }

    /// Runs the program that the frame meets.
    pub fn run(&mut self, arrival: &Arrival) -> io::Result<Outcome> {
        let (_, mut program) =
            self.programs[self.programs.iter().position(|of| of.0 == arrival.place).unwrap()];
        if let Some(tunnel) = arrival.tunnel {
            update(&self.keys, Key::of(tunnel).bytes())?;
            program = self.tunnelled.as_raw_fd();
        }
        // `struct __sk_buff`: words 10, 41 and 44 are the device, segments and their size.
        let mut context = [0_u32; 48];
        context[10] = arrival.ifindex;
        context[41] = u32::from(arrival.gso_size != 0) * 2;
        context[44] = arrival.gso_size;
        let mut frame = vec![0; OUT];
        let mut run = Run {
            program: descriptor(program),
            size_in: length(arrival.frame.len()),
            size_out: length(OUT),
            data_in: arrival.frame.as_ptr().expose_provenance() as u64,
            data_out: frame.as_mut_ptr().expose_provenance() as u64,
            repeat: 1,
            ..Run::default()
        };
        if !is_xdp(arrival.place) {
            run.context_size_in = length(size_of_val(&context));
            run.context_in = context.as_ptr().expose_provenance() as u64;
        }
        // SAFETY: the pointers are to buffers of these sizes, which outlive the call.
        unsafe { bpf(TEST_RUN, &raw mut run) }?;
        frame.truncate(usize::try_from(run.size_out).unwrap());
        Ok(Outcome { answer: run.answer.cast_signed(), frame })
    }

    /// The counters of all slots, over all CPUs.
    pub fn counters(&mut self) -> io::Result<[PortCounters; SLOTS]> {
        let mut keys = [0_u32; SLOTS];
        let mut next = 0_u32;
        let mut batch = Batch {
            next: (&raw mut next).expose_provenance() as u64,
            keys: keys.as_mut_ptr().expose_provenance() as u64,
            values: self.values.as_mut_ptr().expose_provenance() as u64,
            count: length(SLOTS),
            map: descriptor(self.counters),
            ..Batch::default()
        };
        // SAFETY: there is room for so many keys, and for so many values of each CPU, whose size is a multiple of eight.
        unsafe { bpf(LOOKUP_BATCH, &raw mut batch) }?;
        let mut sums = [PortCounters::ZERO; SLOTS];
        for (sum, of_slot) in sums.iter_mut().zip(self.values.chunks(self.cpus)) {
            of_slot.iter().for_each(|cpu| sum.add(cpu));
        }
        Ok(sums)
    }
}

/// Whether the program runs before there is an skb.
pub fn is_xdp(place: Place) -> bool {
    matches!(place, Place::XdpGuard | Place::XdpForward)
}

/// Bytes that a frame must have, or the kernel refuses a test run: more than an Ethernet header, and at TC, on newer
/// kernels such as 6.18, a whole IP header where one is announced.
pub fn shortest(arrival: &Arrival) -> usize {
    let at_tc = !is_xdp(arrival.place);
    match arrival.frame.get(12..14) {
        Some([0x08, 0x00]) if at_tc => 14 + 20,
        Some([0x86, 0xdd]) if at_tc => 14 + 40,
        _ => 15,
    }
}

impl Key {
    /// What `from_vxlan` reads as this key. It is set as if to be sent, and the ends of what is sent and received are
    /// each other's.
    fn of(tunnel: TunnelKey) -> Self {
        const OVER_IPV6: u32 = 1;
        let address = |address| match address {
            // A word in the machine's order.
            IpAddr::V4(v4) => {
                let mut bytes = [0; 16];
                bytes[..4].copy_from_slice(&v4.to_bits().to_ne_bytes());
                bytes
            }
            IpAddr::V6(v6) => v6.octets(),
        };
        let flags = if tunnel.local.is_ipv6() { OVER_IPV6 } else { 0 };
        let (local, remote) = (address(tunnel.remote), address(tunnel.local));
        Self { vni: tunnel.vni, remote, tos_ttl_ext: 0, label: 0, local, flags }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: words and bytes without padding between.
        unsafe { std::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
    }
}

/// An instruction: opcode, registers, offset, immediate.
fn instruction(opcode: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let [a, b] = offset.to_le_bytes();
    let [c, d, e, f] = immediate.to_le_bytes();
    u64::from_le_bytes([opcode, registers, a, b, c, d, e, f])
}

/// Looks the key up, sets it and goes on to `from_vxlan`; answers 99 if that does not work.
fn give_key_and_jump(keys: &OwnedFd, jump: &OwnedFd) -> Vec<u64> {
    const CALL: u8 = 0x85;
    const MOVE: u8 = 0xbf;
    const SET: u8 = 0xb7;
    const LOAD_MAP: u8 = 0x18;
    let map = |register: u8, map: &OwnedFd| {
        [instruction(LOAD_MAP, 0x10 | register, 0, map.as_raw_fd()), instruction(0, 0, 0, 0)]
    };
    let [keys_low, keys_high] = map(1, keys);
    let [jump_low, jump_high] = map(2, jump);
    let key = i32::try_from(size_of::<Key>() - 4).unwrap();
    vec![
        instruction(MOVE, 0x16, 0, 0),
        // Key 0 on the stack.
        instruction(0x62, 0x0a, -4, 0),
        keys_low,
        keys_high,
        instruction(MOVE, 0xa2, 0, 0),
        instruction(0x07, 0x02, 0, -4),
        // bpf_map_lookup_elem
        instruction(CALL, 0, 0, 1),
        instruction(0x15, 0x00, 11, 0),
        instruction(MOVE, 0x61, 0, 0),
        instruction(MOVE, 0x02, 0, 0),
        instruction(SET, 0x03, 0, key),
        instruction(0x61, 0x04, i16::try_from(key).unwrap(), 0),
        // bpf_skb_set_tunnel_key
        instruction(CALL, 0, 0, 21),
        instruction(0x55, 0x00, 5, 0),
        instruction(MOVE, 0x61, 0, 0),
        jump_low,
        jump_high,
        instruction(SET, 0x03, 0, 0),
        // bpf_tail_call
        instruction(CALL, 0, 0, 12),
        instruction(SET, 0x00, 0, 99),
        instruction(0x95, 0, 0, 0),
    ]
}

fn load(code: &[u64]) -> io::Result<OwnedFd> {
    let mut log = vec![0_u8; 64 * 1024];
    let mut load = Load {
        kind: SCHED_CLS,
        instructions: length(code.len()),
        code: code.as_ptr().expose_provenance() as u64,
        licence: c"GPL".as_ptr().expose_provenance() as u64,
        log_level: 1,
        log_size: length(log.len()),
        log: log.as_mut_ptr().expose_provenance() as u64,
    };
    // SAFETY: code, licence and log outlive the call.
    let answer = unsafe { bpf(PROG_LOAD, &raw mut load) };
    let fd =
        answer.map_err(|error| io::Error::other(format!("{error}: {}", String::from_utf8_lossy(&log))))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An array with one entry.
fn create(kind: u32, value: usize) -> io::Result<OwnedFd> {
    let mut create = Create { kind, key: 4, value: length(value), entries: 1 };
    // SAFETY: no pointers.
    let fd = unsafe { bpf(MAP_CREATE, &raw mut create) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Writes the one entry of an array, whose values are as long as `value`.
fn update(map: &OwnedFd, value: &[u8]) -> io::Result<()> {
    let key = 0_u32;
    let mut update = Update {
        map: descriptor(map.as_raw_fd()),
        padding: 0,
        key: (&raw const key).expose_provenance() as u64,
        value: value.as_ptr().expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: key and value outlive the call.
    unsafe { bpf(MAP_UPDATE, &raw mut update) }.map(drop)
}

fn descriptor(fd: RawFd) -> u32 {
    fd.cast_unsigned()
}

fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap()
}

/// # Safety
/// `attributes` must be what `command` expects, and every pointer in it valid for what the command does.
unsafe fn bpf<T>(command: libc::c_long, attributes: *mut T) -> io::Result<RawFd> {
    // SAFETY: the caller's promise, and the size is that of the attributes.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    RawFd::try_from(answer).ok().filter(|answer| *answer >= 0).ok_or_else(io::Error::last_os_error)
}
