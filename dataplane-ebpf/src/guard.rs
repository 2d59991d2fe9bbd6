//! Behind the program of each device of weft's own: nothing gets past it into the host's stack.
//!
//! The other programs are held by pinned links, and a pin can be lost: removed by hand, or with its bpffs. This one is
//! held by the device itself. While the device's own program is there, no packet comes this far.

use weft_dataplane_abi::{DropReason, Place};

use crate::maps;
use crate::outcome::Outcome;
use crate::skb::Skb;
use crate::verdict::execute;

/// The program.
#[inline(always)]
pub fn run(skb: &mut Skb) -> i32 {
    let slot = match maps::endpoint(skb.ifindex()) {
        Ok(Some(endpoint)) => endpoint.slot(),
        Ok(None) | Err(_) => 0,
    };
    execute(skb, Place::Guard, slot, skb.len(), Outcome::drop(DropReason::ProgramMissing))
}
