//! What the kernel's vxlan device decapsulated for us: super-packets, reassembled fragments, and what is for more than
//! one port. They pass the same checks as the rest, and nothing goes on from here to the host's stack.

use weft_dataplane_abi::{DropReason, Place};

use crate::headers::{ETHERNET_LEN, IPV6_LEN};
use crate::ip::Version;
use crate::receive::Judged;
use crate::skb::Skb;
use crate::verdict::{Verdict, execute};
use crate::{bridge, maps, receive};

/// The headers of every packet; a stage that looks further asks for more, as in from_pod.
const HEADERS: u32 = (ETHERNET_LEN + IPV6_LEN) as u32;

/// The program.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    let verdict = packet(skb);
    execute(skb, Place::Vxlan, 0, len, verdict)
}

/// The packet's walk.
#[inline(always)]
fn packet(skb: &mut Skb) -> Verdict {
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
    match receive::judge(skb, 0, len, host, remote, vni)? {
        Judged::Packet(received) => receive::deliver(skb, host, &received),
        Judged::Bridged(subnet) => bridge::receive(skb, &subnet),
    }
}
