//! What is so in a world, as plain values.

use std::net::IpAddr;

use super::Mac;

/// A host with its networks, as its control plane knows them.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether the daemon has configured the host.
    pub configured: bool,
    /// Whether floods and ICMP errors are within their rates: always or never.
    pub within_limits: bool,
    /// Whether the kernel takes outer headers off packets of the other family (from 6.3 on).
    pub unwraps_other_family: bool,
    pub vtep: IpAddr,
    pub router_mac: Mac,
    pub gateway_mac: Mac,
    /// The underlay's device and its MAC.
    pub underlay: (u32, Mac),
    pub vxlan_ifindex: u32,
    /// MACs of this host and of the next hop on the underlay.
    pub uplink: (Mac, Mac),
    pub ports: Vec<Port>,
    pub addresses: Vec<Address>,
    pub prefixes: Vec<Prefix>,
    pub stations: Vec<Station>,
    pub vnis: Vec<Vni>,
    /// VTEPs that take part in a VNI.
    pub members: Vec<(u32, IpAddr)>,
    pub vteps: Vec<Far>,
    pub floods: Vec<Flood>,
}

/// A workload's NIC.
#[derive(Debug, Clone)]
pub struct Port {
    pub ifindex: u32,
    pub slot: u32,
    pub network: u32,
    pub subnet: u32,
    pub mac: Mac,
    pub ipv4: IpAddr,
    pub ipv6: Option<IpAddr>,
    /// From whom it hears of errors: none of its family if the subnet has no gateway there.
    pub gateways: (Option<IpAddr>, Option<IpAddr>),
    /// What its device takes.
    pub mtu: usize,
}

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hop {
    /// The port with this interface index.
    Port(u32),
    /// A host, with the VNI that it wants and its router's MAC.
    Vtep { vtep: IpAddr, vni: u32, router: Mac },
    /// The anycast gateway.
    Gateway,
}

/// A single address of a network.
#[derive(Debug, Clone)]
pub struct Address {
    pub network: u32,
    pub address: IpAddr,
    pub hop: Hop,
    /// The subnet whose stations may ask for its MAC, which is this.
    pub neighbour: Option<(u32, Mac)>,
}

/// A prefix of a network.
#[derive(Debug, Clone)]
pub struct Prefix {
    pub network: u32,
    pub address: IpAddr,
    pub bits: u32,
    pub hop: Hop,
}

/// A MAC of a subnet.
#[derive(Debug, Clone)]
pub struct Station {
    pub subnet: u32,
    pub mac: Mac,
    pub hop: Hop,
}

/// A VNI that this host takes part in: that of the network itself, or of a subnet in it.
#[derive(Debug, Clone)]
pub struct Vni {
    pub vni: u32,
    pub network: u32,
}

/// The way to a VTEP.
#[derive(Debug, Clone)]
pub struct Far {
    pub vtep: IpAddr,
    pub mtu: usize,
    /// Whether the next hop's MAC is known.
    pub resolved: bool,
}

/// Who gets what is for a whole subnet.
#[derive(Debug, Clone)]
pub struct Flood {
    pub subnet: u32,
    /// Interface indexes.
    pub ports: Vec<u32>,
    /// VTEPs.
    pub vteps: Vec<IpAddr>,
}

impl Facts {
    pub fn port(&self, ifindex: u32) -> Option<&Port> {
        self.ports.iter().find(|port| port.ifindex == ifindex)
    }

    pub fn address(&self, network: u32, address: IpAddr) -> Option<&Address> {
        self.addresses.iter().find(|known| known.network == network && known.address == address)
    }

    pub fn station(&self, subnet: u32, mac: Mac) -> Option<Hop> {
        self.stations.iter().find(|known| known.subnet == subnet && known.mac == mac).map(|known| known.hop)
    }

    pub fn far(&self, vtep: IpAddr) -> Option<&Far> {
        self.vteps.iter().find(|far| far.vtep == vtep)
    }

    pub fn flood(&self, subnet: u32) -> Option<&Flood> {
        self.floods.iter().find(|flood| flood.subnet == subnet)
    }

    /// Where packets to the address go: a single address, or else the longest prefix that has it.
    pub fn route(&self, network: u32, to: IpAddr) -> Option<Hop> {
        if let Some(known) = self.address(network, to) {
            return Some(known.hop);
        }
        let has = |prefix: &&Prefix| prefix.network == network && begins(to, prefix.address, prefix.bits);
        self.prefixes.iter().filter(has).max_by_key(|prefix| prefix.bits).map(|prefix| prefix.hop)
    }
}

impl Port {
    /// Its IPv6 address, or the link-local one that its MAC makes (RFC 4291 appendix A).
    pub fn owns(&self, address: IpAddr) -> bool {
        if address.is_unspecified() {
            return false;
        }
        address == self.ipv4 || Some(address) == self.ipv6 || address == link_local(self.mac)
    }
}

/// The link-local address of a MAC.
pub fn link_local([a, b, c, d, e, f]: Mac) -> IpAddr {
    IpAddr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// Whether the first `bits` of both are the same.
fn begins(address: IpAddr, prefix: IpAddr, bits: u32) -> bool {
    match (address, prefix) {
        (IpAddr::V4(address), IpAddr::V4(prefix)) => {
            (address.to_bits() ^ prefix.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(prefix)) => {
            (address.to_bits() ^ prefix.to_bits()).leading_zeros() >= bits
        }
        _ => false,
    }
}
