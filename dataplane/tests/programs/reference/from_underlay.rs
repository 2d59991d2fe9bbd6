//! What comes by the underlay's device (docs/ARCHITECTURE.md, "From another host"; RFC 6040 section 4.2 for ECN).

use weft_dataplane_abi::DropReason;

use super::checksum::changed;
use super::facts::Facts;
use super::frame::Frame;
use super::outer::{self, Outer};
use super::parse::{ETHERNET, Ethernet, Family, Ip, word};
use super::tunnelled::{self, Inner};
use super::{Arrival, Judgement, Verdict};

pub fn judge(facts: &Facts, arrival: &Arrival) -> Judgement {
    let frame = &arrival.frame;
    let as_it_is = || Ok(Verdict::Pass(frame.clone().into()));
    let ethernet = Ethernet::read(frame)?;
    if !facts.configured || ethernet.destination != facts.underlay.1 {
        return as_it_is();
    }
    let Some(family) = outer::ours(facts, frame) else { return as_it_is() };
    if arrival.gso_size != 0 {
        return as_it_is();
    }
    let outer = outer::read(frame, family)?;
    let packet = match tunnelled::judge(facts, frame, outer.front, outer.inner, outer.remote, outer.vni)? {
        Inner::Packet(packet) => packet,
        Inner::Bridged(_) => return as_it_is(),
    };
    let combined = combine(frame, &outer, &packet.ip)?;
    if outer.family != packet.ip.family && !facts.unwraps_other_family {
        // The vxlan device combines the same once more, which changes nothing.
        return Ok(Verdict::Pass(combined));
    }
    let mut verdict = packet.deliver(facts, combined.bytes[outer.front..].to_vec())?;
    if let Verdict::Deliver { frame, .. } = &mut verdict {
        frame.sums.extend(combined.sums.iter().map(|at| at - outer.front));
    }
    Ok(verdict)
}

/// The frame with what routers of the underlay said of congestion in the inner packet.
fn combine(frame: &[u8], outer: &Outer, inner: &Ip) -> Result<Frame, DropReason> {
    const NONE: u8 = 0;
    const CAPABLE_1: u8 = 1;
    const CAPABLE_0: u8 = 2;
    const CONGESTED: u8 = 3;
    let combined = match (inner.ecn, outer.ecn) {
        (NONE, CONGESTED) => return Err(DropReason::Congestion),
        (CAPABLE_0, CAPABLE_1) => CAPABLE_1,
        (CAPABLE_0 | CAPABLE_1, CONGESTED) => CONGESTED,
        (own, _) => own,
    };
    let mut bytes = frame.to_vec();
    let ip = outer.front + ETHERNET;
    if combined == inner.ecn {
        return Ok(bytes.into());
    }
    match inner.family {
        Family::V4 => {
            bytes[ip + 1] = bytes[ip + 1] & !3 | combined;
            let (old, new) = (word(frame, ip).unwrap(), word(&bytes, ip).unwrap());
            let sum = changed([frame[ip + 10], frame[ip + 11]], old, new);
            bytes[ip + 10..ip + 12].copy_from_slice(&sum);
            Ok(Frame::from(bytes).summed_at(ip + 10))
        }
        Family::V6 => {
            bytes[ip + 1] = bytes[ip + 1] & !0x30 | combined << 4;
            Ok(bytes.into())
        }
    }
}
