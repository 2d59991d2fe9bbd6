//! Where ports are attached: one port to a device.
//!
//! Whether the namespace exists is the shell's to find out ([`crate::netns`]).

use std::collections::BTreeMap;
use weft_api::kind::Kind;

use super::{Faults, Ordered};
use crate::config::DeviceName;

pub(super) fn check(all: Ordered<'_>, faults: &mut Faults) {
    let mut holders = BTreeMap::new();
    for port in all.ports() {
        let Some(attachment) = &port.attachment else { continue };
        let device = &attachment.device;
        if !attachment.netns.is_absolute() {
            let message =
                format!("netns {:?} is not a path from the root, such as /run/netns/web-1", attachment.netns);
            faults.add_at(Kind::Port, &port.name, "attachment.netns", message);
        }
        if let Some(fault) = DeviceName::fault(device) {
            let message = format!("device {device:?}: {fault}");
            faults.add_at(Kind::Port, &port.name, "attachment.device", message);
        }
        if let Some(holder) = holders.get(&(&attachment.netns, device)) {
            let message = format!(
                "device {device} in {} is that of port/{holder}; choose another device, or detach that port",
                attachment.netns.display()
            );
            faults.add_at(Kind::Port, &port.name, "attachment.device", message);
        } else {
            holders.insert((&attachment.netns, device), &port.name);
        }
    }
}
