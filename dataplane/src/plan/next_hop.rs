//! The next hop of each remote VTEP, by the kernel's routes and neighbours: with it the programs can write the
//! outer headers without asking anybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane_abi::VtepEntry;
use weft_vxlan::{MacAddr, Vtep};

use crate::desired::Host;
use crate::netlink::{Link, Neighbour, Way};
use crate::observe::Observed;
use crate::{Failure, VtepState};

/// MTU of a way whose device is not known.
const FALLBACK_MTU: u16 = 1500;

/// The way to every remote VTEP.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NextHops(BTreeMap<Vtep, NextHop>);

/// The way to one.
#[derive(Debug, PartialEq, Eq)]
struct NextHop {
    device: Option<String>,
    /// The neighbour to keep resolved, by device.
    target: Option<(u32, IpAddr)>,
    mac: Option<MacAddr>,
    entry: VtepEntry,
}

impl NextHops {
    /// The next hops as far as `observed` tells, and the VTEPs that cannot be reached by design.
    pub(crate) fn plan(host: &Host, observed: &Observed) -> (Self, Vec<Failure>) {
        let mut failures = Vec::new();
        let mut next_hops = BTreeMap::new();
        for (&vtep, &way) in &observed.ways {
            match (host.vtep.address(), vtep.address()) {
                (IpAddr::V4(ours), IpAddr::V4(theirs)) if observed.addresses.contains(&vtep.address()) => {
                    let cause = format!("it is an address of this host, whose own VTEP is {ours}");
                    failures.push(Failure::new(format!("VTEP {theirs}"), cause));
                }
                (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                    next_hops.insert(vtep, NextHop::plan(host, ours, theirs, way, observed));
                }
                (IpAddr::V6(_), _) | (_, IpAddr::V6(_)) => {
                    let cause = "IPv6 underlay is not supported yet: packets to it are dropped".to_owned();
                    failures.push(Failure::new(format!("VTEP {vtep}"), cause));
                }
            }
        }
        (Self(next_hops), failures)
    }

    /// The neighbours to keep resolved, by device.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.0.values().filter_map(|next_hop| next_hop.target)
    }

    /// The map's entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Vtep, VtepEntry)> {
        self.0.iter().map(|(vtep, next_hop)| (*vtep, next_hop.entry))
    }

    /// The same for people.
    pub(crate) fn states(&self) -> BTreeMap<Vtep, VtepState> {
        let state =
            |next_hop: &NextHop| VtepState { device: next_hop.device.clone(), next_hop: next_hop.mac };
        self.0.iter().map(|(vtep, next_hop)| (*vtep, state(next_hop))).collect()
    }
}

impl NextHop {
    fn plan(host: &Host, ours: Ipv4Addr, theirs: Ipv4Addr, way: Option<Way>, observed: &Observed) -> Self {
        let way = way.filter(|way| way.unicast);
        let leads = way.and_then(|way| observed.indexed(way.ifindex).map(|link| (way, link)));
        let Some((way, link)) = leads else {
            let mtu = observed.named(&host.underlay).map_or(FALLBACK_MTU, |link| mtu(link, None));
            return Self { device: None, target: None, mac: None, entry: VtepEntry::unresolved(mtu) };
        };
        let mtu = mtu(link, way.mtu);
        let target =
            link.mac.filter(|_| link.arp).map(|_| (link.index, way.gateway.unwrap_or(theirs.into())));
        let mac = target.and_then(|(ifindex, address)| {
            let known = |neighbour: &&Neighbour| neighbour.is(ifindex, address);
            observed.neighbours.iter().find(known).and_then(|neighbour| neighbour.mac)
        });
        let entry = match (link.mac, mac) {
            (Some(source), Some(destination)) => {
                VtepEntry::resolved(link.index, source, destination, mtu, ipv4_checksum(ours, theirs))
            }
            _ => VtepEntry::unresolved(mtu),
        };
        Self { device: Some(link.name.clone()), target, mac, entry }
    }
}

/// The largest outer packet: the device's MTU, or the route's if that is less.
fn mtu(link: &Link, route: Option<u32>) -> u16 {
    u16::try_from(route.map_or(link.mtu, |route| route.min(link.mtu))).unwrap_or(u16::MAX)
}

/// One's complement sum (RFC 1071) of the outer IPv4 header's big-endian words, folded to 16 bits and not
/// complemented, with what never changes for a pair of VTEPs: version 4, header length 5, DSCP and ECN 0,
/// identification 0, don't fragment, TTL 64, UDP, both addresses. Total length and checksum count as 0: the
/// programs add the length, fold, and complement.
fn ipv4_checksum(source: Ipv4Addr, destination: Ipv4Addr) -> u16 {
    const DONT_FRAGMENT: u16 = 0x4000;
    const TTL_AND_UDP: u16 = 64 << 8 | 17;
    let words = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    };
    let fixed = [0x4500, DONT_FRAGMENT, TTL_AND_UDP];
    let words = fixed.into_iter().chain(words(source)).chain(words(destination));
    words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use etherparse::{IpNumber, Ipv4Header};

    use super::*;

    #[test]
    fn the_partial_sum_completes_to_etherparses_checksum() {
        let pairs =
            [([192, 0, 2, 1], [198, 51, 100, 7]), ([10, 0, 0, 1], [10, 0, 0, 2]), ([255; 4], [254; 4])];
        for (source, destination) in pairs {
            for payload in [0_u16, 58, 1480, 65_515] {
                let mut header = Ipv4Header::new(payload, 64, IpNumber::UDP, source, destination).unwrap();
                header.dont_fragment = true;
                let partial = ipv4_checksum(source.into(), destination.into());
                let (sum, carry) = partial.overflowing_add(payload + 20);
                assert_eq!(!(sum + u16::from(carry)), header.calc_header_checksum(), "{source:?} {payload}");
            }
        }
    }
}
