//! What the kernel's vxlan device decapsulated for us: super-packets, reassembled fragments, and what is for more than
//! one port. They pass the same checks as the rest, and nothing goes on from here to the host's stack.

use aya_ebpf::bindings::__sk_buff;
use weft_dataplane_abi::{DropReason, Place};

use crate::bridge::Subnet;
use crate::headers::{ETHERNET_LEN, IPV6_LEN};
use crate::ip::Version;
use crate::outcome::Outcome;
use crate::receive::BRIDGED;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{bridge, flood, maps, receive, subprogram};

/// The headers of every packet; a stage that looks further asks for more, as in from_pod.
const HEADERS: u32 = (ETHERNET_LEN + IPV6_LEN) as u32;

/// The program.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    let outcome = packet(skb);
    execute(skb, Place::Vxlan, 0, len, outcome)
}

/// The packet's walk: with functions of their own, as in `from_underlay`.
#[inline(always)]
fn packet(skb: &mut Skb) -> Outcome {
    let answer = arrive_by_vxlan(skb.context());
    if answer == BRIDGED {
        let outcome = Outcome::answered(bridged_by_vxlan(skb.context()));
        return match outcome.verdict() {
            Ok(Action::Flood { reason, .. }) => {
                Outcome::answered(copy_by_vxlan(skb.context(), reason as u32))
            }
            Ok(_) | Err(_) => outcome,
        };
    }
    if let Err(reason) = subprogram::result(answer).and_then(|()| receive::firewall(skb, 0)) {
        return Outcome::drop(reason);
    }
    let outcome = Outcome::answered(deliver_by_vxlan(skb.context()));
    receive::delivered(skb, Place::Vxlan, outcome)
}

/// Answers what [`receive::answer`] does. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn arrive_by_vxlan(skb: *mut __sk_buff) -> u32 {
    receive::answer(judge(&mut Skb::of(skb)))
}

/// Answers an [`Outcome`]. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_by_vxlan(skb: *mut __sk_buff) -> u64 {
    let mut skb = Skb::of(skb);
    let delivered = maps::arrived().and_then(|arrived| receive::deliver(&mut skb, &arrived.received));
    Outcome::of(delivered).number_of()
}

/// Answers an [`Outcome`]. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bridged_by_vxlan(skb: *mut __sk_buff) -> u64 {
    Outcome::of(to_subnet(&mut Skb::of(skb))).number_of()
}

/// Answers an [`Outcome`]. A [subprogram] of its own.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copy_by_vxlan(skb: *mut __sk_buff, reason: u32) -> u64 {
    let mut skb = Skb::of(skb);
    let reason = subprogram::reason(reason);
    // Neighbours are no matter of the ports' rules.
    let judged = reason == DropReason::Multicast;
    let flooded = maps::arrived().and_then(|arrived| {
        maps::host().and_then(|host| flood::from_tunnel(&mut skb, host, arrived.vni, judged, reason))
    });
    Outcome::of(flooded).number_of()
}

#[inline(always)]
fn to_subnet(skb: &mut Skb) -> Verdict {
    let (host, arrived) = (maps::host()?, maps::arrived()?);
    let (_, remote, _) = skb.tunnel(Version::of_vtep(host.vtep()))?;
    bridge::receive(skb, &Subnet { host, network: arrived.network, vni: arrived.vni }, remote)
}

#[inline(always)]
fn judge(skb: &mut Skb) -> Result<bool, DropReason> {
    let host = maps::host()?;
    let (local, remote, vni) = skb.tunnel(Version::of_vtep(host.vtep()))?;
    // Nor may a mapped address on an IPv6 wire be taken for another host's IPv4 one.
    if local != *host.vtep() || remote.is_ipv4() != local.is_ipv4() {
        return Err(DropReason::UnknownVtep);
    }
    if skb.has_vlan() {
        return Err(DropReason::UnsupportedEthertype);
    }
    skb.pull(HEADERS)?;
    let len = skb.len();
    receive::judge(skb, 0, len, host, remote, vni)
}
