//! What is judged before there is an skb (docs/design/datapath.md, "XDP in front of it").

use weft_dataplane_abi::DropReason;

use super::facts::Facts;
use super::outer::{self, Outer};
use super::parse::Ethernet;
use super::tunnelled::{self, Inner};
use super::{Arrival, Judgement, Verdict};

/// What the first piece of a frame holds in a test run: a page without room in front and for what the kernel keeps behind.
pub const FIRST_PIECE: usize = 4096 - 256 - 320;

pub fn guard(facts: &Facts, arrival: &Arrival) -> Judgement {
    if let Some(outer) = ours(facts, arrival)? {
        tunnelled::admit(facts, outer.remote, outer.vni)?;
    }
    pass(arrival)
}

pub fn forward(facts: &Facts, arrival: &Arrival) -> Judgement {
    let frame = &arrival.frame;
    let Some(outer) = ours(facts, arrival)? else { return pass(arrival) };
    let news_of_congestion = matches!(outer.ecn, 1 | 3);
    if news_of_congestion || frame.len() > FIRST_PIECE {
        tunnelled::admit(facts, outer.remote, outer.vni)?;
        return pass(arrival);
    }
    let packet = match tunnelled::judge(facts, frame, outer.front, outer.inner, outer.remote, outer.vni) {
        Ok(Inner::Packet(packet)) if !packet.is_spent() => packet,
        Err(reason @ (DropReason::UnknownVni | DropReason::UnknownVtep)) => return Err(reason),
        Ok(_) | Err(_) => return pass(arrival),
    };
    // With its Ethernet header.
    if frame.len() - outer.front > packet.port.mtu + 14 {
        return pass(arrival);
    }
    packet.deliver(facts, frame[outer.front..].to_vec())
}

fn ours(facts: &Facts, arrival: &Arrival) -> Result<Option<Outer>, DropReason> {
    let frame = &arrival.frame;
    let is_for_device =
        Ethernet::read(frame).is_ok_and(|ethernet| (arrival.ifindex, ethernet.destination) == facts.underlay);
    if !facts.configured || !is_for_device {
        return Ok(None);
    }
    outer::ours(facts, frame).map(|family| outer::read(frame, family)).transpose()
}

fn pass(arrival: &Arrival) -> Judgement {
    Ok(Verdict::Pass(arrival.frame.clone().into()))
}
