//! Receives before there is an skb: drops what the guard drops, and decapsulates and delivers what is plainly for a
//! port of this host. Whatever else there is passes untouched to `from_underlay`, which judges it again.

use weft_dataplane_abi::{DropReason, Place};

use crate::decapsulate::Tunnelled;
use crate::headers::OUTER_IPV4_LEN;
use crate::receive::{self, Judged};
use crate::verdict::{Action, Verdict, execute_xdp};
use crate::xdp::Xdp;
use crate::xdp_guard;

/// The program.
#[inline(always)]
pub fn run(xdp: &mut Xdp) -> u32 {
    let len = xdp.len();
    let verdict = packet(xdp, len);
    execute_xdp(xdp, Place::XdpForward, len, verdict)
}

/// The packet's walk.
#[inline(always)]
fn packet(xdp: &mut Xdp, frame: u32) -> Verdict {
    let Some((host, Tunnelled { len, remote, vni })) = xdp_guard::ours(xdp, frame)? else {
        return Ok(Action::Pass);
    };
    if !xdp.is_linear(frame) {
        // A workload's device takes no frame in pieces.
        receive::admit(vni, remote)?;
        return Ok(Action::Pass);
    }
    // What is for many, or what is wrong with the inner packet and may call for an answer, needs an skb.
    let received = match receive::judge(xdp, OUTER_IPV4_LEN, len, host, remote, vni) {
        Ok(Judged::Packet(received)) if !received.is_spent() => received,
        Err(reason @ (DropReason::UnknownVni | DropReason::UnknownVtep)) => return Err(reason),
        Ok(_) | Err(_) => return Ok(Action::Pass),
    };
    // The kernel would lose what the port's device does not take, without a name.
    if !xdp.fits(received.ifindex(), OUTER_IPV4_LEN) || xdp.shrink(OUTER_IPV4_LEN).is_err() {
        return Ok(Action::Pass);
    }
    receive::hand_over(xdp, &received)
}
