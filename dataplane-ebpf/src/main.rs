//! weft's eBPF programs: what happens to a packet between a tenant's workload and the underlay.
//!
//! A program for each place where packets enter, and one that guards them; each reads top to bottom in the file of its name. The
//! stages that they are made of have a file each. A stage answers with where the packet goes ([`verdict::Action`])
//! or why it is dropped; only [`verdict`] turns that into a kernel verdict and counts it.

#![no_std]
#![no_main]
// `fetch_add` does not exist on this target.
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the intrinsic is what atomics are made of")]

mod arp;
mod bridge;
mod buffer;
mod checksum;
mod connection;
mod counters;
mod decapsulate;
mod ecn;
mod encapsulate;
mod endpoint;
mod events;
mod extension_headers;
mod facts;
mod firewall;
mod flood;
mod from_pod;
mod from_underlay;
mod from_vxlan;
mod gateway;
mod guard;
mod headers;
mod icmp_error;
mod ip;
mod judge;
mod limit;
mod maps;
mod multipath;
mod neighbour_discovery;
mod outcome;
mod packet;
mod path_mtu;
mod policy;
mod receive;
mod refused;
mod route;
mod seal;
mod skb;
mod subprogram;
mod ttl;
mod underlay_mtu;
mod verdict;
mod xdp;
mod xdp_forward;
mod xdp_guard;

use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

use skb::Skb;
use xdp::Xdp;

// Inlined into what the macros make of them: a function more is a stack frame more.

/// Ingress, by tcx or clsact, on the host end of a port's veth: what the workload sends.
#[classifier]
#[inline(always)]
pub fn from_pod(ctx: TcContext) -> i32 {
    from_pod::run(&mut Skb::new(&ctx))
}

/// Ingress on the underlay's devices: what other hosts send.
#[classifier]
#[inline(always)]
pub fn from_underlay(ctx: TcContext) -> i32 {
    from_underlay::run(&mut Skb::new(&ctx))
}

/// Ingress on weft's kernel vxlan device: super-packets and reassembled fragments, already decapsulated.
#[classifier]
#[inline(always)]
pub fn from_vxlan(ctx: TcContext) -> i32 {
    from_vxlan::run(&mut Skb::new(&ctx))
}

/// Ingress on the devices of weft's own, behind the program of each.
#[classifier]
#[inline(always)]
pub fn guard(ctx: TcContext) -> i32 {
    guard::run(&mut Skb::new(&ctx))
}

/// Attached nowhere: what the rules of a port say of a packet.
#[classifier]
#[inline(always)]
pub fn judge(ctx: TcContext) -> i32 {
    judge::run(&mut Skb::new(&ctx))
}

/// XDP on the underlay device, before `from_underlay`, which stays: drops what may not come in.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_guard(ctx: XdpContext) -> u32 {
    xdp_guard::run(&mut Xdp::new(&ctx))
}

/// XDP on the underlay device in the place of `xdp_guard`: also delivers.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_forward(ctx: XdpContext) -> u32 {
    xdp_forward::run(&mut Xdp::new(&ctx))
}

/// Never reached: the verifier refuses a program that could loop for ever, and no code here panics.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Lets the kernel's GPL-only helpers be used.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
