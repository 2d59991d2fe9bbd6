//! What the rules of a port say of a packet: for whoever asks, by a test run. It is attached nowhere, no connection starts by
//! it, and nothing is counted.

use weft_dataplane_abi::{DropReason, Ruling, VtepAddr, trial};

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
    let (port, vtep) = skb.words();
    skb.pull(trial::HEADERS)?;
    let version = Version::of(skb.packet().get::<Ethernet>(0)?.ethertype)?;
    let len = skb.len();
    ip::destination(&skb.packet(), 0, len, version, 0)?;
    facts::read_skb(skb, 0, version, len)?;
    let facts = maps::facts()?;
    facts.ifindex = port & !trial::FROM_PEER;
    facts.side = port / trial::FROM_PEER;
    facts.remote = VtepAddr::ipv6(vtep);
    // What a port without rules says.
    (facts.policy, facts.rule, facts.stateless) = (0, Ruling::DEFAULT, false);
    facts.is_trial = true;
    let decided = policy::decide();
    facts.is_trial = false;
    decided?;
    skb.set_words([facts.policy, facts.rule, facts.stateless as u32]);
    Ok(facts.allowed)
}
