//! weft: two hosts with a weftd each, all pods in one subnet, as those of the bridge are.

use anyhow::Result;
use weft_api::view::Xdp;
use weft_tests::cloud::{Cloud, Intent};
use weft_tests::{Lab, Wire, underlay};

use super::{SUBNET_VNI, Subject, UNDERLAY_MTU};

/// Sets it up.
pub(crate) fn start(lab: &Lab, xdp: Xdp) -> Result<Cloud<'_>> {
    let wire = Wire { mtu: UNDERLAY_MTU, ..Wire::default() };
    let mut cloud = Cloud::start_with(lab, underlay::two_hosts(lab, wire)?, |settings| settings.xdp = xdp)?;
    let intent = Intent::default()
        .network("bench", 100)?
        .subnet("a", "bench", SUBNET_VNI, "10.0.0.0/24", "fd00::/64")?
        .pod("client", "a", 0, 11)?
        .pod("near", "a", 0, 12)?
        .pod("far", "a", 1, 13)?;
    cloud.deploy(&intent)?;
    Ok(cloud)
}

/// The subject that it is.
pub(super) fn subject<'a>(cloud: &'a Cloud<'_>) -> Subject<'a> {
    let [near, far] = ["near", "far"].map(|name| {
        let pod = cloud.pod(name);
        (&pod.namespace, pod.v4.into())
    });
    Subject {
        name: "weft",
        what: "weft, pods in one subnet",
        client: &cloud.pod("client").namespace,
        near,
        far,
    }
}
