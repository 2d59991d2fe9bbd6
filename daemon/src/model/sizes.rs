//! What does not fit into the kernel's maps is refused before anything changes.

use weft_api::view::Problem;

use super::{Faults, Host};
use crate::intent::Intent;

/// A key of `[sizes]`, what is needed of it, and what there is.
type Need = (&'static str, usize, u32);

pub(super) fn check(intent: &Intent, host: &Host, faults: &mut Faults) {
    for need in needs(intent, host).into_iter().filter(|need| !fits(*need)) {
        let (key, needed, size) = need;
        let message = format!(
            "the kernel has room for {size} {key}, this needs {needed}; raise sizes.{key} in weftd.toml and \
             restart weftd"
        );
        faults.0.push(Problem::new("host", message));
    }
}

/// The first size that leaves no room for the self-test: its port and gateway, its two VNIs, and an address for each
/// other host.
pub(super) fn no_self_test_for(intent: &Intent, host: &Host) -> Option<&'static str> {
    let own = |key| match key {
        "ports" => 1,
        "vnis" => 2,
        "addresses" => 2 + intent.remotes.len(),
        _ => 0,
    };
    let needs = needs(intent, host).map(|(key, needed, size)| (key, needed + own(key), size));
    needs.into_iter().find(|need| !fits(*need)).map(|(key, ..)| key)
}

fn fits((_, needed, size): Need) -> bool {
    usize::try_from(size).map_or(true, |size| needed <= size)
}

fn needs(intent: &Intent, host: &Host) -> [Need; 5] {
    let attached = intent.ports.values().filter(|port| port.attachment.is_some()).count();
    let families: usize =
        intent.subnets.values().map(|s| s.ipv4.iter().count() + s.ipv6.iter().count()).sum();
    let remotes = || intent.remotes.values();
    // A subnet's gateways are addresses too; a port has at most one of each family; a subnet that a remote names takes
    // as much room as an address.
    let addresses = families
        + 2 * attached
        + remotes().map(|remote| remote.subnets.len() + remote.addresses.len()).sum::<usize>();
    let prefixes = families + remotes().map(|remote| remote.prefixes.len()).sum::<usize>();
    let sizes = &host.sizes;
    [
        ("ports", attached, sizes.ports),
        ("vnis", intent.networks.len() + intent.subnets.len(), sizes.vnis),
        ("vteps", intent.remotes.len(), sizes.vteps),
        ("addresses", addresses, sizes.addresses),
        ("prefixes", prefixes, sizes.prefixes),
    ]
}
