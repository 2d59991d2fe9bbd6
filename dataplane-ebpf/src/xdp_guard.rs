//! The guard in front of `from_underlay`: what that would drop for its outer headers is dropped before the kernel
//! makes an skb of it. All else passes untouched, and is judged there.

use weft_dataplane_abi::{DropReason, HostConfig, Place};

use crate::decapsulate::{self, Tunnelled};
use crate::headers::Ethernet;
use crate::ip::Version;
use crate::verdict::{Action, Verdict, execute_xdp};
use crate::xdp::Xdp;
use crate::{maps, receive};

/// The program.
#[inline(always)]
pub fn run(xdp: &mut Xdp) -> u32 {
    let len = xdp.len();
    let verdict = packet(xdp, len);
    execute_xdp(xdp, Place::XdpGuard, len, verdict)
}

/// The packet's walk.
#[inline(always)]
fn packet(xdp: &mut Xdp, len: u32) -> Verdict {
    if let Some((.., tunnelled)) = ours(xdp, len)? {
        receive::admit(tunnelled.vni, tunnelled.remote)?;
    }
    Ok(Action::Pass)
}

/// What the outer headers say, if the frame of `len` bytes is ours to judge: `from_underlay`'s rules, in its order.
#[inline(always)]
pub fn ours(
    xdp: &mut Xdp,
    len: u32,
) -> Result<Option<(&'static HostConfig, Version, Tunnelled)>, DropReason> {
    let (ifindex, reaches) = (xdp.ifindex(), xdp.reaches(len));
    let packet = xdp.packet();
    // Without a configuration nothing is ours. Of a frame in pieces, TC can gather what there is to see.
    let (Ok(host), Ok(ethernet), true) = (maps::host(), packet.get::<Ethernet>(0), reaches) else {
        return Ok(None);
    };
    // A tagged frame has another EtherType, and passes to the VLAN device above this one. Not so where the device takes tags
    // off received frames (`rx-vlan-offload`): the tag is in the descriptor then, where no program at XDP sees it, and the
    // frame is judged as if it had none. One for another station is nobody's here, or a device's above this one.
    let Some(version) = decapsulate::ours(&packet, host) else { return Ok(None) };
    if maps::underlay(ifindex).is_none_or(|device| device.mac() != ethernet.destination) {
        return Ok(None);
    }
    // Each on its own, so that all offsets are constants.
    let tunnelled = match version {
        Version::V4 => decapsulate::tunnelled(&packet, len, Version::V4)?,
        Version::V6 => decapsulate::tunnelled(&packet, len, Version::V6)?,
    };
    Ok(Some((host, version, tunnelled)))
}
