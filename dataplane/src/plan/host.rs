//! The host as it can work: a VTEP that this host cannot have does not take the place of one that works.

use weft_dataplane_abi::HostConfig;
use weft_vxlan::{MacAddr, Vtep};

use crate::desired::Host;
use crate::observe::Observed;

/// `desired`, but with VTEP and router MAC as the programs hold them while those work and the desired VTEP cannot:
/// peers still send to them. [`Devices::plan`](super::Devices::plan) reports what is wrong.
pub(crate) fn workable(desired: &Host, held: &HostConfig, observed: &Observed) -> Host {
    let works = |vtep: Vtep| observed.addresses.contains(&vtep.address());
    match Vtep::from_bytes(held.vtep().bytes()) {
        Ok(vtep) if works(vtep) && !works(desired.vtep) => {
            Host { vtep, router_mac: MacAddr::new(held.router_mac()), ..desired.clone() }
        }
        Ok(_) | Err(_) => desired.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use zerocopy::FromZeros;

    use weft_dataplane_abi as abi;

    use super::*;
    use crate::desired::Limits;

    fn host(vtep: &str) -> Host {
        let vtep: Vtep = vtep.parse().unwrap();
        Host {
            underlay: "under0".to_owned(),
            vtep,
            udp_port: 4789,
            router_mac: vtep.default_router_mac(),
            gateway_mac: MacAddr::new([2; 6]),
            limits: Limits::default(),
            flows: crate::desired::FlowLimits::NONE,
            xdp: crate::desired::Xdp::default(),
            software_checksums: BTreeSet::new(),
        }
    }

    fn held(vtep: &str) -> HostConfig {
        let Host { vtep, udp_port, router_mac, gateway_mac, .. } = host(vtep);
        HostConfig::new(vtep, udp_port, 7, router_mac, gateway_mac, abi::Limits::new_zeroed())
    }

    #[test]
    fn a_vtep_is_kept_only_while_it_works_and_the_desired_one_cannot() {
        let (old, new) = ("192.0.2.1", "192.0.2.9");
        let cases = [
            // Addresses that the host has, desired, expected.
            (vec![old], new, old),
            (vec![old, new], new, new),
            (vec![new], new, new),
            (vec![], new, new),
            (vec![old], "2001:db8::9", old),
            (vec![old, "2001:db8::9"], "2001:db8::9", "2001:db8::9"),
        ];
        for (addresses, desired, expected) in cases {
            let addresses: BTreeSet<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let observed = Observed { addresses, ..Observed::default() };
            assert_eq!(workable(&host(desired), &held(old), &observed), host(expected), "{observed:?}");
        }
    }

    #[test]
    fn before_anything_was_written_there_is_nothing_to_keep() {
        let observed = Observed::default();
        assert_eq!(workable(&host("192.0.2.9"), &HostConfig::new_zeroed(), &observed), host("192.0.2.9"));
    }
}
