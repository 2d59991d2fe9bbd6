//! Who has which MAC address in a subnet.

use std::collections::BTreeMap;

use weft_api::kind::Reference;
use weft_ipam::allocate_mac;
use weft_vxlan::MacAddr;

use super::Host;

/// The MAC addresses of one subnet.
#[derive(Debug, Default)]
pub(super) struct Macs(BTreeMap<MacAddr, Reference>);

impl Macs {
    /// Gives `mac` to `holder`, who may have it already (a workload with two addresses).
    pub(super) fn claim(
        &mut self,
        mac: MacAddr,
        holder: &Reference,
        subnet: &str,
        host: &Host,
    ) -> Result<(), String> {
        unicast_fault(mac).map_or(Ok(()), Err)?;
        if mac == host.gateway_mac {
            return Err(format!(
                "MAC {mac} is the gateways' own (underlay.gateway_mac in weftd.toml); choose another"
            ));
        }
        match self.0.get(&mac) {
            Some(other) if other != holder => {
                Err(format!("MAC {mac} is taken by {other} in subnet/{subnet}; choose another"))
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(mac, holder.clone());
                Ok(())
            }
        }
    }

    /// Gives a free MAC to `holder`.
    pub(super) fn allocate(&mut self, seed: &str, holder: &Reference, host: &Host) -> MacAddr {
        let reserved = [host.gateway_mac, host.router_mac];
        let mac = allocate_mac(seed, |mac| reserved.contains(&mac) || self.0.contains_key(&mac));
        self.0.insert(mac, holder.clone());
        mac
    }
}

/// What is wrong with a MAC that no single station can own.
pub(super) fn unicast_fault(mac: MacAddr) -> Option<String> {
    (!mac.is_unicast())
        .then(|| format!("MAC {mac} is not a unicast address; the first byte is even and not all are zero"))
}
