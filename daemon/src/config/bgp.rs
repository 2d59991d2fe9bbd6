//! `[bgp]`: who this host is to its BGP neighbours. Without the section it speaks no BGP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weft_bgp::evpn::DuplicateDetection;
use weft_bgp::wire::{Asn, RouterId};
use weft_vxlan::Vtep;

/// TCP port of BGP (RFC 4271 section 8).
const TCP_PORT: NonZeroU16 = NonZeroU16::new(179).expect("179 is not zero");

/// `[bgp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bgp {
    #[serde(deserialize_with = "asn")]
    asn: Asn,
    #[serde(default, deserialize_with = "router_id")]
    router_id: Option<RouterId>,
    #[serde(default = "everywhere", deserialize_with = "listen")]
    listen: Vec<IpAddr>,
    #[serde(default = "tcp_port")]
    port: NonZeroU16,
    cluster_id: Option<Ipv4Addr>,
    #[serde(default = "restart_time", deserialize_with = "restart_seconds")]
    restart_time_s: u16,
    #[serde(default)]
    install_routes: bool,
    #[serde(default = "duplicate_moves")]
    duplicate_moves: NonZeroU16,
    #[serde(default = "duplicate_window")]
    duplicate_window_s: u32,
    #[serde(default = "duplicate_recovery")]
    duplicate_recovery_s: u32,
}

/// What this host is to its BGP neighbours, with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Its AS.
    pub asn: Asn,
    /// Its BGP identifier.
    pub router_id: RouterId,
    /// Addresses that it listens on; none: it only connects.
    pub listen: Vec<IpAddr>,
    /// TCP port that it listens on.
    pub port: u16,
    /// What it calls itself as a route reflector (RFC 4456 section 7).
    pub cluster_id: Ipv4Addr,
    /// Seconds that it asks peers to keep its routes while it restarts (RFC 4724 section 3), at most 4095.
    pub restart_time_s: u16,
    /// Whether what it learns of IPv4 and IPv6 unicast goes into the kernel's main table.
    pub install_routes: bool,
    /// When an address moves too often.
    pub duplicates: DuplicateDetection,
}

impl Bgp {
    /// With everything filled in; `None` if there is no router id: a VTEP of IPv6 does not make one.
    pub(super) fn speaker(&self, vtep: Vtep) -> Option<Speaker> {
        let of_vtep = match vtep.address() {
            IpAddr::V4(address) => RouterId::new(address).ok(),
            IpAddr::V6(_) => None,
        };
        let router_id = self.router_id.or(of_vtep)?;
        Some(Speaker {
            asn: self.asn,
            router_id,
            listen: self.listen.clone(),
            port: self.port.get(),
            cluster_id: self.cluster_id.unwrap_or_else(|| router_id.get()),
            restart_time_s: self.restart_time_s,
            install_routes: self.install_routes,
            duplicates: DuplicateDetection {
                moves: self.duplicate_moves.get().into(),
                window: Duration::from_secs(self.duplicate_window_s.into()),
                recovery: (self.duplicate_recovery_s > 0)
                    .then(|| Duration::from_secs(self.duplicate_recovery_s.into())),
            },
        })
    }
}

/// What is wrong with the number of an AS, if anything (RFC 7607, RFC 6793 section 9).
#[must_use]
pub fn asn_fault(asn: Asn) -> Option<&'static str> {
    if asn.is_zero() {
        Some("AS 0 is nobody's (RFC 7607); name one from 1 to 4294967295")
    } else if asn == Asn::TRANS {
        Some("AS 23456 stands for those that do not fit into two bytes (RFC 6793); name another")
    } else {
        None
    }
}

fn asn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Asn, D::Error> {
    let asn = Asn::new(u32::deserialize(deserializer)?);
    asn_fault(asn).map_or(Ok(asn), |fault| Err(D::Error::custom(fault)))
}

fn router_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RouterId>, D::Error> {
    RouterId::new(Ipv4Addr::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    let addresses: Vec<IpAddr> = Vec::deserialize(deserializer)?;
    for (index, address) in addresses.iter().enumerate() {
        if addresses.iter().take(index).any(|before| before == address) {
            return Err(D::Error::custom(format_args!("{address} is there twice; keep one")));
        }
        if address.is_multicast() {
            return Err(D::Error::custom(format_args!(
                "{address} is multicast; name an address of this host"
            )));
        }
    }
    Ok(addresses)
}

fn restart_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    /// Twelve bits (RFC 4724 section 3).
    const MOST: u16 = 4095;
    let seconds = u16::deserialize(deserializer)?;
    if seconds <= MOST {
        return Ok(seconds);
    }
    Err(D::Error::custom(format_args!("{seconds} s cannot be told to peers; name 0 to {MOST}")))
}

fn everywhere() -> Vec<IpAddr> {
    vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
}

const fn tcp_port() -> NonZeroU16 {
    TCP_PORT
}

const fn restart_time() -> u16 {
    120
}

/// RFC 7432 section 15.1 names 5 moves within 180 s.
const fn duplicate_moves() -> NonZeroU16 {
    NonZeroU16::new(5).expect("5 is not zero")
}

const fn duplicate_window() -> u32 {
    180
}

const fn duplicate_recovery() -> u32 {
    540
}
