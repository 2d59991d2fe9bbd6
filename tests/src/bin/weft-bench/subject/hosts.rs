//! Hosts and pods of a rival: namespaces on a wire, and nothing of weft.

use std::net::IpAddr;

use anyhow::Result;
use ipnet::{IpNet, Ipv4Net};
use weft_tests::cloud::POD_DEVICE;
use weft_tests::underlay::UPLINK;
use weft_tests::{End, Lab, Namespace, Wire};

use super::{Subject, UNDERLAY_MTU};

/// Tunnel addresses, the same for every subject: each has a wire of its own.
pub(super) const UNDERLAY: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

/// The pods of a rival of weft. Its hosts need nobody: the lab keeps them up.
pub(crate) struct Rival {
    pub(super) client: Namespace,
    pub(super) near: (Namespace, IpAddr),
    pub(super) far: (Namespace, IpAddr),
}

impl Rival {
    pub(crate) fn subject(&self, name: &'static str, what: &'static str) -> Subject<'_> {
        let [far, near] = [&self.far, &self.near].map(|(namespace, address)| (namespace, *address));
        Subject { name, what, client: &self.client, far, near }
    }
}

/// Two hosts that forward, on a wire.
pub(super) fn two(lab: &Lab, name: &str) -> Result<[Namespace; 2]> {
    let hosts = [lab.router(&format!("{name}-h1"))?, lab.router(&format!("{name}-h2"))?];
    let [a, b] = UNDERLAY.map(|address| [net(address, 24)]);
    Wire { mtu: UNDERLAY_MTU, ..Wire::default() }.lay(
        End { namespace: &hosts[0], device: UPLINK, addresses: &a },
        End { namespace: &hosts[1], device: UPLINK, addresses: &b },
    )?;
    Ok(hosts)
}

/// A pod on a wire to its host, where the wire's end is named `device` and has `gateway`, if any.
pub(super) fn pod(
    (lab, name): (&Lab, &str),
    host: (&Namespace, &str),
    address: [u8; 4],
    gateway: Option<[u8; 4]>,
    mtu: u32,
) -> Result<Namespace> {
    let pod = lab.namespace(name)?;
    let host_addresses: Vec<IpNet> = gateway.into_iter().map(|gateway| net(gateway, 24)).collect();
    Wire { mtu, ..Wire::default() }.lay(
        End { namespace: &pod, device: POD_DEVICE, addresses: &[net(address, 24)] },
        End { namespace: host.0, device: host.1, addresses: &host_addresses },
    )?;
    if let Some(gateway) = gateway {
        pod.add_route(net([0, 0, 0, 0], 0), gateway.into())?;
    }
    Ok(pod)
}

/// An address with the length of its prefix, which is at most 32 here.
pub(super) fn net(address: [u8; 4], length: u8) -> IpNet {
    Ipv4Net::new_assert(address.into(), length).into()
}
