//! What the rules of a port say of a packet: for whoever asks, by a test run. It is attached nowhere, no connection starts by
//! it, and nothing is counted.

use weft_dataplane_abi::{DropReason, VtepAddr, trial};

use crate::headers::Ethernet;
use crate::ip::{self, Version};
use crate::skb::Skb;
use crate::{facts, maps, policy};

/// The program. Who asks says in the words of the packet that are the programs' own which port judges it, and finds there by
/// which rule.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    match judge(skb) {
        Ok(true) => trial::ALLOWED,
        Ok(false) => trial::DENIED,
        Err(reason) => trial::UNJUDGED + reason as i32,
    }
}

#[inline(always)]
fn judge(skb: &mut Skb) -> Result<bool, DropReason> {
    let [ifindex, side, remote] = skb.words();
    skb.pull(trial::HEADERS)?;
    let version = Version::of(skb.packet().get::<Ethernet>(0)?.ethertype)?;
    let len = skb.len();
    ip::destination(&skb.packet(), 0, len, version, 0)?;
    facts::read_skb(skb, 0, version, len)?;
    let facts = maps::facts()?;
    facts.ifindex = ifindex;
    facts.side = side;
    // Of IPv6 the addresses of VTEPs do not fit: its packets are believed to come from where their source is.
    facts.remote = if remote == 0 { VtepAddr::NONE } else { VtepAddr::ipv4(remote.to_ne_bytes()) };
    facts.is_trial = true;
    let decided = policy::decide();
    facts.is_trial = false;
    decided?;
    skb.set_words([facts.policy, facts.rule, facts.stateless as u32]);
    Ok(facts.allowed)
}
