//! Receives before there is an skb: drops what the guard drops, and decapsulates and delivers what is plainly for a
//! port of this host. Whatever else there is passes untouched to `from_underlay`, which judges it again.

use weft_dataplane_abi::{DropReason, Place, VtepAddr};

use crate::decapsulate::Tunnelled;
use crate::ecn;
use crate::headers::{OUTER_IPV4_LEN, OUTER_IPV6_LEN};
use crate::ip::Version;
use crate::receive::{self, BRIDGED};
use crate::verdict::{Action, Verdict, execute_xdp};
use crate::xdp::Xdp;
use crate::{maps, subprogram, xdp_guard};

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
    match xdp_guard::ours(xdp, frame)? {
        // Each on its own, so that all offsets are constants.
        Some((_, Version::V4, tunnelled)) => receive_over(xdp, frame, Version::V4, tunnelled),
        Some((_, Version::V6, tunnelled)) => receive_over(xdp, frame, Version::V6, tunnelled),
        None => Ok(Action::Pass),
    }
}

#[inline(always)]
fn receive_over(xdp: &mut Xdp, frame: u32, outer: Version, tunnelled: Tunnelled) -> Verdict {
    let Tunnelled { len, remote, vni, ecn } = tunnelled;
    if !xdp.is_linear(frame) || ecn::is_news(ecn) {
        // A workload's device takes no frame in pieces; news of congestion are rare.
        receive::admit(vni, remote)?;
        return Ok(Action::Pass);
    }
    let inner = Inner { outer, len, remote, vni };
    let answer = arrive(xdp.again(), &inner);
    // What is for many, or what is wrong with the inner packet and may call for an answer, needs an skb.
    match subprogram::result(answer) {
        Ok(()) if answer != BRIDGED => {}
        Err(reason @ (DropReason::UnknownVni | DropReason::UnknownVtep)) => return Err(reason),
        Ok(()) | Err(_) => return Ok(Action::Pass),
    }
    let received = &maps::arrived()?.received;
    // What is dropped there is told, and counted for the port that judged it.
    if received.is_spent() || receive::firewall(xdp, outer.outer_len()).is_err() {
        return Ok(Action::Pass);
    }
    // The kernel would lose what the port's device does not take, without a name.
    if !xdp.fits(received.ifindex(), outer.outer_len()) || xdp.shrink(outer.outer_len()).is_err() {
        return Ok(Action::Pass);
    }
    receive::hand_over(xdp, received)
}

/// What the outer headers say of the inner frame.
struct Inner {
    outer: Version,
    len: u32,
    remote: VtepAddr,
    vni: u32,
}

/// A function of its own, as in `from_underlay`.
#[inline(never)]
fn arrive(mut xdp: Xdp, inner: &Inner) -> u32 {
    let Inner { outer, len, remote, vni } = *inner;
    let judged = maps::host().and_then(|host| {
        // Each on its own, so that all offsets are constants.
        match outer {
            Version::V4 => receive::judge(&mut xdp, OUTER_IPV4_LEN, len, host, remote, vni),
            Version::V6 => receive::judge(&mut xdp, OUTER_IPV6_LEN, len, host, remote, vni),
        }
    });
    receive::answer(judged)
}
