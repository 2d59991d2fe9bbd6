//! What other hosts send, from the underlay's devices: VXLAN for our VTEP is judged, decapsulated and delivered;
//! super-packets of it, and what is for more than one port, go to the kernel's vxlan device; all else is not ours.

use weft_dataplane_abi::{HostConfig, Place};

use crate::decapsulate::{self, Tunnelled};
use crate::headers::{ETHERNET_LEN, IPV6_LEN, OUTER_IPV6_LEN};
use crate::ip::Version;
use crate::receive::Judged;
use crate::skb::Skb;
use crate::verdict::{Action, Verdict, execute};
use crate::{ecn, maps, receive, underlay_mtu};

/// Outer headers up to UDP: enough to tell whether the packet is ours.
const OUTER: u32 = (OUTER_IPV6_LEN - weft_vxlan::HEADER_LEN) as u32;

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
    if skb.has_vlan() || !skb.is_for_host() {
        return Ok(Action::Pass);
    }
    let ours = decapsulate::ours(&skb.packet(), host);
    if ours.is_some() && skb.is_gso() {
        // Taking the outer headers off by hand would leave the tunnel's GSO marks on the inner packet.
        return Ok(Action::Pass);
    }
    match ours {
        // Each on its own, so that all offsets are constants.
        Some(Version::V4) => receive_over(skb, host, Version::V4),
        Some(Version::V6) => receive_over(skb, host, Version::V6),
        None => {
            underlay_mtu::notice(skb, host);
            Ok(Action::Pass)
        }
    }
}

#[inline(always)]
fn receive_over(skb: &mut Skb, host: &'static HostConfig, outer: Version) -> Verdict {
    // All headers that any stage here looks at.
    skb.pull((outer.outer_len() + ETHERNET_LEN + IPV6_LEN) as u32)?;
    let frame = skb.len();
    let Tunnelled { len, remote, vni, ecn } = decapsulate::tunnelled(&skb.packet(), frame, outer)?;
    let received = match receive::judge(skb, outer.outer_len(), len, host, remote, vni)? {
        Judged::Packet(received) => received,
        // Rare, and of any EtherType: the kernel takes the outer headers off, and it comes back in from_vxlan.
        Judged::Bridged(_) => return Ok(Action::Pass),
    };
    ecn::combine(skb, outer.outer_len(), received.version(), ecn)?;
    if skb.shrink(outer, received.version()).is_err() {
        // Kernels before 6.3 take outer headers off inner ones of the same family only. Their vxlan device does it, and
        // from_vxlan judges again.
        return Ok(Action::Pass);
    }
    receive::deliver(skb, host, &received)
}
