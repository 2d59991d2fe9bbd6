//! What is for all of a subnet is copied to each VTEP that takes part in it, on the host that sends: there is an end to
//! how many a host can serve.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::kind::Kind;
use weft_dataplane::MOST_FLOOD_VTEPS;

use super::{Faults, Ordered};

pub(super) fn check(all: Ordered<'_>, faults: &mut Faults) {
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    for remote in all.remotes() {
        let of_addresses = remote.addresses.iter().map(|entry| &entry.subnet);
        for subnet in remote.subnets.iter().chain(of_addresses).collect::<BTreeSet<_>>() {
            let count = members.entry(subnet).or_default();
            *count += 1;
            if *count == MOST_FLOOD_VTEPS as usize + 1 {
                let message = format!(
                    "it would be VTEP {count} of subnet {subnet:?}, whose broadcasts are copied to at most \
                     {MOST_FLOOD_VTEPS}; divide the subnet, or remove remotes from it"
                );
                faults.add(Kind::Remote, &remote.name, message);
            }
        }
    }
}
