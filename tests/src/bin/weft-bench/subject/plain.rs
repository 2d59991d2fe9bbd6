//! No overlay: the hosts route between their pods and each other, as the limit of what a kernel's stack can do.

use anyhow::Result;
use weft_tests::Lab;

use super::UNDERLAY_MTU;
use super::hosts::{Rival, UNDERLAY, net, pod, two};

pub(super) const NAME: &str = "plain-routing";
pub(super) const WHAT: &str = "plain routing, no overlay";

/// Sets it up.
pub(super) fn start(lab: &Lab) -> Result<Rival> {
    let hosts = two(lab, "plain")?;
    let [one, two] = &hosts;
    // A subnet for each pod, behind its host.
    let routed = |name: &str, host, device: &str, subnet: u8| {
        let [address, gateway] = [[10, 0, subnet, 11], [10, 0, subnet, 1]];
        let name = format!("plain-{name}");
        let namespace = pod((lab, &name), (host, device), address, Some(gateway), UNDERLAY_MTU)?;
        anyhow::Ok((namespace, address.into()))
    };
    let (client, _) = routed("client", one, "pod1", 1)?;
    let near = routed("near", one, "pod2", 2)?;
    let far = routed("far", two, "pod1", 3)?;
    one.add_route(net([10, 0, 3, 0], 24), UNDERLAY[1].into())?;
    two.add_route(net([10, 0, 1, 0], 24), UNDERLAY[0].into())?;
    Ok(Rival { client, near, far })
}
