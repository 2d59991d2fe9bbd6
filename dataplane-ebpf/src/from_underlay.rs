//! What other hosts send, from the underlay device: VXLAN for our VTEP is judged, decapsulated and delivered;
//! super-packets of it, and what is for more than one port, go to the kernel's vxlan device; all else is not ours.

use weft_dataplane_abi::Place;

use crate::decapsulate::{self, Tunnelled};
use crate::headers::{ETHERNET_LEN, IPV6_LEN, OUTER_IPV4_LEN};
use crate::receive::Judged;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{maps, receive};

/// Outer headers up to UDP: enough to tell whether the packet is ours.
const OUTER: u32 = (OUTER_IPV4_LEN - weft_vxlan::HEADER_LEN) as u32;
/// All headers that any stage here looks at.
const HEADERS: u32 = (OUTER_IPV4_LEN + ETHERNET_LEN + IPV6_LEN) as u32;

/// The program.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let len = skb.len();
    let verdict = packet(skb);
    execute(skb, Place::Underlay, 0, len, verdict)
}

/// The packet's walk.
#[inline(always)]
fn packet(skb: &mut Skb) -> Verdict {
    // Without a configuration nothing is ours; without the outer headers in reach neither.
    let (Ok(host), Ok(())) = (maps::host(), skb.pull(OUTER)) else { return Ok(Action::Pass) };
    // A tagged frame belongs to a VLAN device above this one, one for another station to nobody here.
    if skb.has_vlan() || !skb.is_for_host() || !decapsulate::is_ours(&skb.packet(), host) {
        return Ok(Action::Pass);
    }
    if skb.is_gso() {
        // Taking the outer headers off by hand would leave the tunnel's GSO marks on the inner packet.
        return Ok(Action::Pass);
    }
    skb.pull(HEADERS)?;
    let frame = skb.len();
    let Tunnelled { len, remote, vni } = decapsulate::tunnelled(&skb.packet(), frame)?;
    let received = match receive::judge(skb, OUTER_IPV4_LEN, len, host, remote, vni)? {
        Judged::Packet(received) => received,
        // Rare, and of any EtherType: the kernel takes the outer headers off, and it comes back in from_vxlan.
        Judged::Bridged(_) => return Ok(Action::Pass),
    };
    if skb.shrink(received.is_ipv6()).is_err() {
        // Refused before anything was changed: kernels before 6.3 take outer IPv4 off inner IPv4 only. Their vxlan device
        // does it, and from_vxlan judges again.
        return Ok(Action::Pass);
    }
    receive::deliver(skb, host, &received)
}
