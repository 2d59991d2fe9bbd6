//! The addresses that a host's kernel has routes for: what packets are looked up in, whatever weftd says of it.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData, MapError};
use weft_dataplane_abi::{HostRoute, IpKey, family, maps};
use weft_vxlan::Vni;

use super::Cloud;

const KEY: usize = size_of::<IpKey>();
const VALUE: usize = size_of::<HostRoute>();

/// The kernel's table of addresses on a host. It is another one after weftd was given up and everything removed.
#[derive(Debug)]
pub struct KernelHosts(HashMap<MapData, [u8; KEY], [u8; VALUE]>);

impl Cloud<'_> {
    /// The table of the host with this number.
    ///
    /// # Errors
    /// It has none.
    pub fn kernel_hosts(&self, host: usize) -> Result<KernelHosts> {
        let path = self.daemon(host).settings().pin_folder.join("maps").join(maps::HOSTS);
        let data = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
        Ok(KernelHosts(HashMap::try_from(Map::HashMap(data))?))
    }
}

impl KernelHosts {
    /// Whether there is a route to `address` of the network with this L3 VNI.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn has(&self, network: Vni, address: IpAddr) -> Result<bool> {
        match self.0.get(&key(network, address), 0) {
            Ok(_) => Ok(true),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// How many addresses there are.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn count(&self) -> Result<usize> {
        self.0.keys().try_fold(0, |count, key| Ok(key.map(|_| count + 1)?))
    }
}

/// The bytes of an [`IpKey`].
fn key(network: Vni, address: IpAddr) -> [u8; KEY] {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (family::IPV4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (family::IPV6, v6.octets().to_vec()),
    };
    let mut key = [0; KEY];
    let bytes = [network.get().to_ne_bytes().as_slice(), &family.to_ne_bytes(), &octets].concat();
    key[..bytes.len()].copy_from_slice(&bytes);
    key
}
