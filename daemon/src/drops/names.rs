//! What the kernel's numbers are called: ports by their interface index, networks and subnets by their VNI.

use std::collections::BTreeMap;

use weft_dataplane::PortState;
use weft_vxlan::Vni;

use crate::model::Model;

/// Names by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    ports: BTreeMap<u32, String>,
    networks: BTreeMap<Vni, String>,
    /// With the name of the network.
    subnets: BTreeMap<Vni, (String, String)>,
}

impl Names {
    /// The names of a model, and of the ports as the kernel has them.
    #[must_use]
    pub fn of(model: &Model, ports: &BTreeMap<String, PortState>) -> Self {
        let networks = model.networks.iter().map(|(name, network)| (network.vni, name.clone()));
        let subnets =
            model.subnets.iter().map(|(name, subnet)| (subnet.vni, (name.clone(), subnet.network.clone())));
        Self {
            ports: ports.iter().map(|(name, state)| (state.ifindex, name.clone())).collect(),
            networks: networks.collect(),
            subnets: subnets.collect(),
        }
    }

    /// The port whose host end has this index.
    pub(super) fn port(&self, ifindex: u32) -> Option<String> {
        self.ports.get(&ifindex).cloned()
    }

    pub(super) fn network(&self, vni: Vni) -> Option<String> {
        self.networks.get(&vni).cloned()
    }

    /// The subnet and its network.
    pub(super) fn subnet(&self, vni: Vni) -> Option<(String, String)> {
        self.subnets.get(&vni).cloned()
    }
}
