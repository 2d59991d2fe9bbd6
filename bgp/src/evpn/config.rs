//! What the instances are: the host, its networks (IP-VRFs), their subnets (MAC-VRFs) and what is shared between
//! networks. Names are the API's; VNIs, distinguishers and targets are what routes carry (RFC 8365 section 5.1.2).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::wire::{Administered, Asn, RouteDistinguisher, RouteTarget, RouterId};

/// The host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its tunnel end point, the next hop of its routes.
    pub vtep: Vtep,
    /// The inner destination of packets routed to it.
    pub router_mac: MacAddr,
    /// Its AS.
    pub asn: Asn,
    /// Its BGP identifier, in automatic route distinguishers.
    pub router_id: RouterId,
}

/// Every instance, and how they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The IP-VRFs.
    pub networks: Vec<Network>,
    /// The MAC-VRFs.
    pub subnets: Vec<Subnet>,
    /// Which networks see routes of which others.
    pub peerings: Vec<Peering>,
    /// When a MAC address moves too often.
    pub duplicates: DuplicateDetection,
}

/// An IP-VRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The L3 VNI.
    pub vni: Vni,
    /// `None`: the router identifier and a number (RFC 7432 section 7.9).
    pub route_distinguisher: Option<RouteDistinguisher>,
    /// What routes from elsewhere carry to be used here.
    pub import: Targets,
    /// What own routes carry.
    pub export: Targets,
    /// Whether targets of any AS that end in the VNI are imported too: for fabrics with an AS for each leaf.
    pub import_any_as: bool,
}

/// A MAC-VRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// Name of the network that it is routed in.
    pub network: String,
    /// The L2 VNI.
    pub vni: Vni,
    /// As of a network.
    pub route_distinguisher: Option<RouteDistinguisher>,
    /// As of a network.
    pub import: Targets,
    /// As of a network.
    pub export: Targets,
    /// As of a network.
    pub import_any_as: bool,
    /// Its prefixes, for which routes from elsewhere are not used: this host is on them itself.
    pub prefixes: Vec<IpNet>,
    /// Its anycast gateways' addresses, which are this host's own.
    pub gateways: BTreeSet<IpAddr>,
}

/// Route targets of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// AS:VNI in the two-byte AS form. Of an AS that does not fit, its low 16 bits: the form for four bytes has no room
    /// for a VNI, and this is what FRR does.
    Auto,
    /// The AS as in [`Targets::Auto`], and the VNI marked as derived for VXLAN (RFC 8365 section 5.1.2.1).
    Derived,
    /// These.
    Set(BTreeSet<RouteTarget>),
}

/// One network's imported routes in another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// Name of the network whose routes they are.
    pub from: String,
    /// Name of the network that sees them as well.
    pub to: String,
    /// What if both have an address.
    pub overlapping: Overlapping,
}

/// What to do with addresses that two peered networks both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlapping {
    /// The configuration is refused if prefixes of their subnets overlap. Other routes: as with order 0.
    Refuse,
    /// The network's own routes come first, then those of the peering with the lowest number.
    Order(u16),
}

/// When a MAC address moves too often (RFC 7432 section 15.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateDetection {
    /// How many moves are too many.
    pub moves: usize,
    /// In what time.
    pub window: Duration,
    /// After what time the address may move again; `None`: when it is told so.
    pub recovery: Option<Duration>,
}

impl Default for DuplicateDetection {
    /// The RFC's numbers, and the time that FRR's administrators choose mostly.
    fn default() -> Self {
        let (window, recovery) = (Duration::from_secs(180), Some(Duration::from_secs(540)));
        Self { moves: 5, window, recovery }
    }
}

/// Why a configuration cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two networks or two subnets of one name.
    #[error("{0:?} is there twice")]
    Name(String),
    /// Two instances with one VNI.
    #[error("{name:?} has VNI {vni}, as another network or subnet has")]
    Vni {
        /// The later one.
        name: String,
        /// Its VNI.
        vni: Vni,
    },
    /// Two instances with one route distinguisher.
    #[error("{name:?} has the route distinguisher {rd}, as another network or subnet has")]
    Distinguisher {
        /// The later one.
        name: String,
        /// Its distinguisher.
        rd: RouteDistinguisher,
    },
    /// A subnet or peering of a network that is not there.
    #[error("{name:?} names the network {network:?}, which is not there")]
    NoNetwork {
        /// The subnet, or the other network of the peering.
        name: String,
        /// The missing network.
        network: String,
    },
    /// A network peers with itself, or twice with the same.
    #[error("the peering from {from:?} to {to:?} is with itself or there twice")]
    Peering {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
    },
    /// Prefixes of two networks overlap and the peering refuses that.
    #[error("{from_prefix} of {from:?} and {to_prefix} of {to:?} overlap; the peering needs an order")]
    Overlap {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// Prefix of `from`.
        from_prefix: IpNet,
        /// Prefix of `to`.
        to_prefix: IpNet,
    },
    /// More instances than route distinguishers have numbers.
    #[error("no number is left for the route distinguisher of {0:?}")]
    NoNumber(String),
}

impl Targets {
    /// What they are for an instance with `vni` of a host of `asn`.
    #[must_use]
    pub fn resolve(&self, asn: Asn, vni: Vni) -> BTreeSet<RouteTarget> {
        let [.., a, b] = asn.get().to_be_bytes();
        let of = |number| RouteTarget(Administered::As2 { asn: u16::from_be_bytes([a, b]), number });
        match self {
            Self::Auto => BTreeSet::from([of(vni.get())]),
            Self::Derived => BTreeSet::from([of(derived(vni))]),
            Self::Set(targets) => targets.clone(),
        }
    }
}

/// A bit for "derived" (clear), three for VXLAN (1), four for the domain (0), and the VNI.
const fn derived(vni: Vni) -> u32 {
    (1 << 28) | vni.get()
}

/// The number that a target of any AS ends in, for [`Network::import_any_as`].
#[must_use]
pub fn any_as_number(target: RouteTarget) -> Option<Vni> {
    let number = match target.0 {
        Administered::As2 { number, .. } => number,
        Administered::As4 { number, .. } => number.into(),
        Administered::Ipv4 { .. } => return None,
    };
    let vni = Vni::new(number & 0xff_ffff).ok()?;
    (number == vni.get() || number == derived(vni)).then_some(vni)
}

impl Config {
    /// Checks names, VNIs, references and overlaps. Distinguishers are checked when they are known.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut vnis = BTreeSet::new();
        let mut networks = BTreeSet::new();
        let mut subnets = BTreeSet::new();
        let mut vni = |name: &String, vni| {
            if vnis.insert(vni) { Ok(()) } else { Err(ConfigError::Vni { name: name.clone(), vni }) }
        };
        for network in &self.networks {
            if !networks.insert(&network.name) {
                return Err(ConfigError::Name(network.name.clone()));
            }
            vni(&network.name, network.vni)?;
        }
        let known = |name: &String, network: &String| {
            if networks.contains(network) {
                return Ok(());
            }
            Err(ConfigError::NoNetwork { name: name.clone(), network: network.clone() })
        };
        for subnet in &self.subnets {
            if !subnets.insert(&subnet.name) {
                return Err(ConfigError::Name(subnet.name.clone()));
            }
            vni(&subnet.name, subnet.vni)?;
            known(&subnet.name, &subnet.network)?;
        }
        let mut pairs = BTreeSet::new();
        for Peering { from, to, overlapping } in &self.peerings {
            known(to, from)?;
            known(from, to)?;
            if from == to || !pairs.insert((from, to)) {
                return Err(ConfigError::Peering { from: from.clone(), to: to.clone() });
            }
            match overlapping {
                Overlapping::Refuse => self.check_overlap(from, to)?,
                Overlapping::Order(_) => {}
            }
        }
        Ok(())
    }

    fn check_overlap(&self, from: &str, to: &str) -> Result<(), ConfigError> {
        let mut prefixes: BTreeMap<&str, Vec<IpNet>> = BTreeMap::new();
        for subnet in &self.subnets {
            prefixes.entry(&subnet.network).or_default().extend(&subnet.prefixes);
        }
        let of = |name| prefixes.get(name).map_or(&[][..], Vec::as_slice);
        for &from_prefix in of(from) {
            for &to_prefix in of(to) {
                if from_prefix.contains(&to_prefix) || to_prefix.contains(&from_prefix) {
                    let (from, to) = (from.to_owned(), to.to_owned());
                    return Err(ConfigError::Overlap { from, to, from_prefix, to_prefix });
                }
            }
        }
        Ok(())
    }
}
