//! Where an address of a network is: single addresses first, then the longest prefix.

use weft_dataplane_abi::{DropReason, IpKey, NextHop};

use crate::maps;

/// The next hop to `destination`.
#[inline(always)]
pub fn lookup(destination: IpKey) -> Result<&'static NextHop, DropReason> {
    if destination.is_unroutable() {
        return Err(DropReason::Unroutable);
    }
    if let Some(next_hop) = maps::route(&destination)? {
        return Ok(next_hop);
    }
    maps::prefix(&destination)?.ok_or(DropReason::NoRoute)
}
