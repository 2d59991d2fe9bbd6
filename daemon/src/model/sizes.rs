//! What does not fit into the kernel's maps is refused before anything changes.

use weft_api::view::Problem;

use super::{Faults, Host};
use crate::intent::Intent;

pub(super) fn check(intent: &Intent, host: &Host, faults: &mut Faults) {
    let attached = intent.ports.values().filter(|port| port.attachment.is_some());
    let families: usize =
        intent.subnets.values().map(|s| s.ipv4.iter().count() + s.ipv6.iter().count()).sum();
    let remotes = || intent.remotes.values();
    // A subnet's gateways are addresses too; a port has at most one of each family; a subnet that a remote names takes
    // as much room as an address.
    let addresses = families
        + 2 * attached.clone().count()
        + remotes().map(|remote| remote.subnets.len() + remote.addresses.len()).sum::<usize>();
    let prefixes = families + remotes().map(|remote| remote.prefixes.len()).sum::<usize>();
    let sizes = &host.sizes;
    for (key, needed, size) in [
        ("ports", attached.count(), sizes.ports),
        ("vnis", intent.networks.len() + intent.subnets.len(), sizes.vnis),
        ("vteps", intent.remotes.len(), sizes.vteps),
        ("addresses", addresses, sizes.addresses),
        ("prefixes", prefixes, sizes.prefixes),
    ] {
        if usize::try_from(size).is_ok_and(|size| needed > size) {
            let message = format!(
                "the kernel has room for {size} {key}, this needs {needed}; raise sizes.{key} in weftd.toml and \
                 restart weftd"
            );
            faults.0.push(Problem::new("host", message));
        }
    }
}
