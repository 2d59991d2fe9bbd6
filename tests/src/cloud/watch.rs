//! Watches every wire of the underlay for what must never be there: a tenant's packet without encapsulation.

use anyhow::{Result, ensure};

use super::Cloud;
use crate::Capture;

/// Captures on all wires of the underlay. What they pick has a pod's address or MAC at its outermost level.
#[derive(Debug)]
pub struct Watch {
    captures: Vec<Capture>,
}

impl Cloud<'_> {
    /// Watches the underlay from now on for packets of the pods that are there now.
    ///
    /// # Errors
    /// The kernel refuses a capture.
    pub fn watch(&self) -> Result<Watch> {
        let addresses: Vec<_> = self.pods().flat_map(|pod| pod.addresses()).collect();
        let macs: Vec<_> = self.pods().map(|pod| pod.mac).collect();
        let mut captures = Vec::new();
        for (namespace, device) in self.underlay.wires()? {
            let (addresses, macs) = (addresses.clone(), macs.clone());
            captures.push(Capture::start(namespace, &device, move |packet| {
                addresses.iter().any(|address| packet.has_address(*address))
                    || macs.contains(&packet.source_mac)
                    || macs.contains(&packet.destination_mac)
            })?);
        }
        Ok(Watch { captures })
    }
}

impl Watch {
    /// Fails if a tenant's packet was on the underlay as it is. The underlay must have carried something at all; how
    /// many packets.
    ///
    /// # Errors
    /// There was one, or nothing was there to see.
    pub fn assert_clean(self) -> Result<u64> {
        let mut seen = 0;
        for capture in self.captures {
            let name = capture.name().to_owned();
            let caught = capture.finish()?;
            seen += caught.seen;
            let first = caught.packets.first();
            ensure!(caught.count == 0, "{} packets of tenants on {name}, such as {first:#?}", caught.count);
        }
        ensure!(seen > 0, "no packet at all was on the underlay");
        Ok(seen)
    }
}
