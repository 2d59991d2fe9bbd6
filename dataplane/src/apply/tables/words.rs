//! Entries of the maps in words.

use weft_dataplane_abi::{FloodKey, IpKey, MacKey, PathKey, VtepAddr, VtepVniKey, flood_group};
use weft_vxlan::Vtep;

use crate::bpf::PrefixKey;

pub(super) fn host(key: &IpKey) -> String {
    match key.address() {
        Some(address) => format!("address {address} in network {}", key.network()),
        None => format!("{key:?}"),
    }
}

pub(super) fn prefix(key: &PrefixKey) -> String {
    let bits = key.bits.saturating_sub(IpKey::SCOPE_BITS);
    match key.address.address() {
        Some(address) => format!("prefix {address}/{bits} in network {}", key.address.network()),
        None => format!("{key:?}"),
    }
}

pub(super) fn pair(key: &PrefixKey) -> String {
    let bits = key.bits.saturating_sub(IpKey::SCOPE_BITS);
    match key.address.address() {
        Some(address) => format!("source {address}/{bits} of device {}", key.address.network()),
        None => format!("{key:?}"),
    }
}

pub(super) fn mac(key: &MacKey) -> String {
    format!("MAC {} in subnet {}", key.mac(), key.subnet())
}

pub(super) fn path(key: &PathKey) -> String {
    format!("path {} of several in VNI {}", key.index(), key.vni())
}

pub(super) fn vtep(address: &VtepAddr) -> String {
    format!("VTEP {}", spell(address))
}

pub(super) fn member(key: &FloodKey) -> String {
    let group = if key.group() == flood_group::PORTS { "port" } else { "VTEP" };
    format!("{group} {} for copies in subnet {}", key.index(), key.subnet())
}

pub(super) fn membership(key: &VtepVniKey) -> String {
    format!("VTEP {} in VNI {}", spell(key.vtep()), key.vni())
}

fn spell(vtep: &VtepAddr) -> String {
    Vtep::from_bytes(vtep.bytes()).map_or_else(|_| format!("{vtep:?}"), |vtep| vtep.to_string())
}
