//! What other hosts send, from the underlay's devices: VXLAN for our VTEP is judged, decapsulated and delivered;
//! super-packets of it, and what is for more than one port, go to the kernel's vxlan device; all else is not ours.

use aya_ebpf::bindings::__sk_buff;
use weft_dataplane_abi::{DropReason, Place};

use crate::decapsulate::{self, Tunnelled};
use crate::headers::{ETHERNET_LEN, IPV6_LEN, OUTER_IPV6_LEN};
use crate::ip::Version;
use crate::outcome::Outcome;
use crate::receive::BRIDGED;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{ecn, maps, receive, subprogram, underlay_mtu};

/// Outer headers up to UDP: enough to tell whether the packet is ours.
const OUTER: u32 = (OUTER_IPV6_LEN - weft_vxlan::HEADER_LEN) as u32;

/// The program.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    let outcome = packet(skb);
    execute(skb, Place::Underlay, 0, len, outcome)
}

/// The packet's walk.
#[inline(always)]
fn packet(skb: &mut Skb) -> Outcome {
    let pass = Outcome::of(Ok(Action::Pass));
    // Without a configuration nothing is ours; without the outer headers in reach neither.
    let (Ok(host), Ok(())) = (maps::host(), skb.pull(OUTER)) else { return pass };
    // A tagged frame belongs to a VLAN device above this one, one for another station to nobody here.
    if skb.has_vlan() || !skb.is_for_host() {
        return pass;
    }
    let ours = decapsulate::ours(&skb.packet(), host);
    if ours.is_some() && skb.is_gso() {
        // Taking the outer headers off by hand would leave the tunnel's GSO marks on the inner packet.
        return pass;
    }
    match ours {
        // Each on its own, so that all offsets are constants.
        Some(Version::V4) => receive_over(skb, Version::V4),
        Some(Version::V6) => receive_over(skb, Version::V6),
        None => {
            underlay_mtu::notice(skb, host);
            pass
        }
    }
}

/// A function for what comes before the port's judgement and one for what comes behind it, so that the stack is free again
/// for that.
#[inline(always)]
fn receive_over(skb: &mut Skb, outer: Version) -> Outcome {
    let answer = match outer {
        Version::V4 => arrive_over_ipv4(skb.context()),
        Version::V6 => arrive_over_ipv6(skb.context()),
    };
    // Rare, and of any EtherType: the kernel takes the outer headers off, and it comes back in from_vxlan.
    if answer == BRIDGED {
        return Outcome::of(Ok(Action::Pass));
    }
    let judged = subprogram::result(answer).and_then(|()| receive::firewall(skb, outer.outer_len()));
    if let Err(reason) = judged {
        return Outcome::drop(reason);
    }
    let outcome = Outcome::answered(match outer {
        Version::V4 => deliver_over_ipv4(skb.context()),
        Version::V6 => deliver_over_ipv6(skb.context()),
    });
    receive::delivered(skb, Place::Underlay, outcome)
}

/// Answers what [`receive::answer`] does, as the next. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn arrive_over_ipv4(skb: *mut __sk_buff) -> u32 {
    arrive(&mut Skb::of(skb), Version::V4)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn arrive_over_ipv6(skb: *mut __sk_buff) -> u32 {
    arrive(&mut Skb::of(skb), Version::V6)
}

/// Answers an [`Outcome`], as the next. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_over_ipv4(skb: *mut __sk_buff) -> u64 {
    Outcome::of(deliver(&mut Skb::of(skb), Version::V4)).number_of()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_over_ipv6(skb: *mut __sk_buff) -> u64 {
    Outcome::of(deliver(&mut Skb::of(skb), Version::V6)).number_of()
}

#[inline(always)]
fn arrive(skb: &mut Skb, outer: Version) -> u32 {
    receive::answer(judge(skb, outer))
}

#[inline(always)]
fn judge(skb: &mut Skb, outer: Version) -> Result<bool, DropReason> {
    let Tunnelled { len, remote, vni, ecn } = unwrapped(skb, outer)?;
    maps::arrived()?.ecn = ecn;
    receive::judge(skb, outer.outer_len(), len, maps::host()?, remote, vni)
}

#[inline(always)]
fn unwrapped(skb: &mut Skb, outer: Version) -> Result<Tunnelled, DropReason> {
    // All headers that any stage here looks at.
    skb.pull((outer.outer_len() + ETHERNET_LEN + IPV6_LEN) as u32)?;
    let frame = skb.len();
    decapsulate::tunnelled(&skb.packet(), frame, outer)
}

#[inline(always)]
fn deliver(skb: &mut Skb, outer: Version) -> Verdict {
    let arrived = maps::arrived()?;
    let received = &arrived.received;
    ecn::combine(skb, outer.outer_len(), received.version(), arrived.ecn)?;
    if skb.shrink(outer, received.version()).is_err() {
        // Kernels before 6.3 take outer headers off inner ones of the same family only. Their vxlan device does it, and
        // from_vxlan judges again.
        return Ok(Action::Pass);
    }
    receive::deliver(skb, received)
}
