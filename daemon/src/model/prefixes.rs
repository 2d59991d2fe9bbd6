//! Prefixes: each one's own sense, its gateway, and that those of a network do not overlap.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_api::kind::{Kind, Reference};
use weft_api::resource;
use weft_ipam::{Pool, Refusal, first_usable};

use super::{Faults, Ordered, Subnet};
use crate::intent::reference;

/// Ranges that are nobody's to give: this network, loopback, link-local, multicast, and IPv6 addresses that embed
/// IPv4 ones (RFC 6890, RFC 4291 section 2.4).
const RESERVED: [(IpNet, &str); 7] = [
    (v4([0, 0, 0, 0], 8), "\"this network\""),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved by IANA"),
    (v6(0, 8), "reserved by IANA"),
    (v6(0xfe80, 10), "link-local"),
    (v6(0xff00, 8), "multicast"),
];

/// The subnets with their gateways. One with a fault lacks the family at fault.
pub(super) fn resolve_subnets(all: Ordered<'_>, faults: &mut Faults) -> BTreeMap<String, Subnet> {
    let mut subnets = BTreeMap::new();
    for subnet in all.subnets() {
        check_families(subnet, faults);
        let mut resolve =
            |prefix: Option<IpNet>, gateway: Option<IpAddr>| match resolve_family(prefix?, gateway) {
                Ok(gateway) => Some(gateway),
                Err((field, fault)) => {
                    faults.add_at(Kind::Subnet, &subnet.name, field, fault);
                    None
                }
            };
        let gateway4 = resolve(subnet.ipv4.map(IpNet::V4), subnet.gateway4.map(IpAddr::V4));
        let gateway6 = resolve(subnet.ipv6.map(IpNet::V6), subnet.gateway6.map(IpAddr::V6));
        let resolved = Subnet {
            network: subnet.network.clone(),
            vni: subnet.vni,
            ipv4: subnet.ipv4.zip(gateway4.and_then(|gateway| match gateway {
                IpAddr::V4(gateway) => Some(gateway),
                IpAddr::V6(_) => None,
            })),
            ipv6: subnet.ipv6.zip(gateway6.and_then(|gateway| match gateway {
                IpAddr::V4(_) => None,
                IpAddr::V6(gateway) => Some(gateway),
            })),
            route_targets: subnet.route_targets.clone(),
            route_distinguisher: subnet.route_distinguisher,
        };
        subnets.insert(subnet.name.clone(), resolved);
    }
    subnets
}

/// That no two subnets of a network share an address, and no remote prefix takes one away from a subnet.
pub(super) fn check_overlaps(all: Ordered<'_>, subnets: &BTreeMap<String, Subnet>, faults: &mut Faults) {
    let mut spans = Spans::default();
    for subnet in all.subnets() {
        for prefix in subnets.get(&subnet.name).into_iter().flat_map(Subnet::prefixes) {
            if let Some((other, holder)) = spans.overlapping(&subnet.network, prefix) {
                let message = format!(
                    "{prefix} overlaps {other} of {holder} in network/{}; choose another prefix, or another network",
                    subnet.network
                );
                faults.add_at(Kind::Subnet, &subnet.name, prefix_field(prefix), message);
            } else {
                spans.insert(&subnet.network, prefix, reference(Kind::Subnet, &subnet.name));
            }
        }
    }
    let mut given: BTreeMap<(&str, IpNet), &str> = BTreeMap::new();
    for remote in all.remotes() {
        for (index, entry) in remote.prefixes.iter().enumerate() {
            let prefix = entry.prefix;
            let field = format!("prefixes[{index}].prefix");
            if let Some(fault) = general_fault(prefix) {
                faults.add_at(Kind::Remote, &remote.name, field, fault);
                continue;
            }
            if let Some(holder) = given.insert((&entry.network, prefix), &remote.name) {
                let message = format!(
                    "{prefix} of network/{} is already behind remote/{holder}; leave it out of one of them",
                    entry.network
                );
                faults.add_at(Kind::Remote, &remote.name, &*field, message);
            }
            if let Some((subnet, holder)) = spans.containing(&entry.network, prefix) {
                let how = if *subnet == prefix { "is that of" } else { "lies inside that of" };
                let message = format!(
                    "prefix {prefix} {how} {holder} ({subnet}), whose addresses are found one by one; list single \
                     workloads under addresses instead"
                );
                faults.add_at(Kind::Remote, &remote.name, field, message);
            }
        }
    }
}

impl Subnet {
    /// Its prefixes.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = IpNet> + use<> {
        let ipv4 = self.ipv4.map(|(prefix, _)| IpNet::V4(prefix));
        ipv4.into_iter().chain(self.ipv6.map(|(prefix, _)| IpNet::V6(prefix)))
    }
}

/// A gateway without its prefix, or no prefix at all.
fn check_families(subnet: &resource::Subnet, faults: &mut Faults) {
    if subnet.ipv4.is_none() && subnet.ipv6.is_none() {
        faults.add(Kind::Subnet, &subnet.name, "it has no prefix; give it ipv4, ipv6 or both");
    }
    if let (None, Some(gateway)) = (subnet.ipv4, subnet.gateway4) {
        let message =
            format!("gateway4 {gateway} without an ipv4 prefix; add the prefix or leave the gateway out");
        faults.add_at(Kind::Subnet, &subnet.name, "gateway4", message);
    }
    if let (None, Some(gateway)) = (subnet.ipv6, subnet.gateway6) {
        let message =
            format!("gateway6 {gateway} without an ipv6 prefix; add the prefix or leave the gateway out");
        faults.add_at(Kind::Subnet, &subnet.name, "gateway6", message);
    }
}

/// The gateway of a prefix, if both make sense; otherwise the field at fault and why.
fn resolve_family(prefix: IpNet, gateway: Option<IpAddr>) -> Result<IpAddr, (&'static str, String)> {
    if let Some(fault) = general_fault(prefix).or_else(|| length_fault(prefix)) {
        return Err((prefix_field(prefix), fault));
    }
    let gateway = gateway.unwrap_or_else(|| first_usable(prefix));
    let field = match prefix {
        IpNet::V4(_) => "gateway4",
        IpNet::V6(_) => "gateway6",
    };
    match Pool::new(prefix, gateway) {
        Ok(_) => Ok(gateway),
        Err(refusal @ Refusal::Outside { .. }) => {
            Err((field, format!("its gateway {refusal}; choose one inside it, or leave {field} out")))
        }
        Err(refusal) => Err((field, format!("its gateway {refusal}"))),
    }
}

pub(super) const fn prefix_field(prefix: IpNet) -> &'static str {
    match prefix {
        IpNet::V4(_) => "ipv4",
        IpNet::V6(_) => "ipv6",
    }
}

fn general_fault(prefix: IpNet) -> Option<String> {
    if prefix != prefix.trunc() {
        return Some(format!("{prefix} has host bits set; write {}", prefix.trunc()));
    }
    let (range, what) = RESERVED.iter().find(|(range, _)| range.contains(&prefix))?;
    Some(format!("{prefix} lies inside {range}, which is {what}; choose another"))
}

fn length_fault(prefix: IpNet) -> Option<String> {
    let widest = match prefix {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 32,
    };
    let narrowest = prefix.max_prefix_len() - 1;
    if (widest..=narrowest).contains(&prefix.prefix_len()) {
        return None;
    }
    Some(format!(
        "{prefix} is not of a length that a subnet can have: /{widest} to /{narrowest}, with room for a gateway and a \
         port"
    ))
}

/// The subnets' prefixes by network, family and first address. They do not overlap, so the only one that can contain
/// an address is the last that begins at or before it.
#[derive(Debug, Default)]
pub(super) struct Spans<'a>(BTreeMap<(&'a str, IpAddr), (IpNet, Reference)>);

impl<'a> Spans<'a> {
    pub(super) fn insert(&mut self, network: &'a str, prefix: IpNet, holder: Reference) {
        self.0.insert((network, prefix.network()), (prefix, holder));
    }

    /// A prefix that contains `prefix` or equals it.
    fn containing(&self, network: &'a str, prefix: IpNet) -> Option<&(IpNet, Reference)> {
        let ((other, _), found) = self.0.range(..=(network, prefix.network())).next_back()?;
        (*other == network && found.0.contains(&prefix)).then_some(found)
    }

    /// A prefix that shares an address with `prefix`.
    pub(super) fn overlapping(&self, network: &'a str, prefix: IpNet) -> Option<&(IpNet, Reference)> {
        let inside = || self.0.range((network, prefix.network())..=(network, prefix.broadcast())).next();
        self.containing(network, prefix).or_else(|| inside().map(|(_, found)| found))
    }
}

const fn v4([a, b, c, d]: [u8; 4], len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), len))
}

const fn v6(first: u16, len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), len))
}
