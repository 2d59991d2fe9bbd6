//! The next hop of each remote VTEP, by the kernel's routes and neighbours: with it the programs can write the
//! outer headers without asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane_abi::{Uplink, VtepEntry};
use weft_vxlan::{MacAddr, Vtep};

use crate::desired::Host;
use crate::netlink::{Link, Neighbour, Way};
use crate::observe::Observed;
use crate::{Failure, NextHopState, VtepState};

/// MTU of a way whose device is not known.
const FALLBACK_MTU: u16 = 1500;

/// The way to every remote VTEP.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NextHops(BTreeMap<Vtep, NextHop>);

/// The way to one.
#[derive(Debug, PartialEq, Eq)]
struct NextHop {
    hops: Vec<Hop>,
    /// Devices that lead to it as well once they have a carrier again.
    resting: BTreeSet<u32>,
    entry: VtepEntry,
}

/// One of the next hops that lead to a VTEP.
#[derive(Debug, PartialEq, Eq)]
struct Hop {
    device: String,
    ifindex: u32,
    /// The neighbour to keep resolved; none on a device without neighbours.
    target: Option<IpAddr>,
    mac: Option<MacAddr>,
    weight: u32,
}

impl NextHops {
    /// The next hops as far as `observed` tells, and the VTEPs that cannot be reached by design.
    pub(crate) fn plan(host: &Host, observed: &Observed) -> (Self, Vec<Failure>) {
        let mut failures = Vec::new();
        let mut next_hops = BTreeMap::new();
        let mut fail = |vtep: Vtep, cause| failures.push(Failure::new(format!("VTEP {vtep}"), cause));
        for (&vtep, way) in &observed.ways {
            let ours = host.vtep;
            if vtep.address().is_ipv4() != ours.address().is_ipv4() {
                fail(
                    vtep,
                    format!(
                        "it is not of the family of this host's VTEP {ours}: name an address of that family in the \
                         remote. Packets to it are dropped"
                    ),
                );
            } else if observed.addresses.contains(&vtep.address()) {
                fail(vtep, format!("it is an address of this host, whose own VTEP is {ours}"));
            } else {
                next_hops.insert(vtep, NextHop::plan(host, vtep, way.as_ref(), observed));
            }
        }
        (Self(next_hops), failures)
    }

    /// The neighbours to keep resolved, by device.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.hops().filter_map(|hop| Some((hop.ifindex, hop.target?)))
    }

    /// The devices that lead to VTEPs, and that VTEPs therefore may send through. One that has just lost its carrier is
    /// among them while a route leads through it: its driver may have taken it away itself to take an XDP program.
    pub(crate) fn devices(&self) -> impl Iterator<Item = u32> {
        let resting = self.0.values().flat_map(|next_hop| &next_hop.resting).copied();
        self.targets().map(|(ifindex, _)| ifindex).chain(resting)
    }

    /// The map's entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Vtep, VtepEntry)> {
        self.0.iter().map(|(vtep, next_hop)| (*vtep, next_hop.entry))
    }

    /// The same for people.
    pub(crate) fn states(&self) -> BTreeMap<Vtep, VtepState> {
        let hop = |hop: &Hop| NextHopState { device: hop.device.clone(), mac: hop.mac };
        let state = |next_hop: &NextHop| VtepState {
            next_hops: next_hop.hops.iter().map(hop).collect(),
            mtu: next_hop.entry.mtu(),
        };
        self.0.iter().map(|(vtep, next_hop)| (*vtep, state(next_hop))).collect()
    }

    fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.0.values().flat_map(|next_hop| &next_hop.hops)
    }
}

impl NextHop {
    fn plan(host: &Host, vtep: Vtep, way: Option<&Way>, observed: &Observed) -> Self {
        let way = way.filter(|way| way.unicast);
        let route_mtu = way.and_then(|way| way.mtu);
        let (mut hops, mut uplinks) = (Vec::new(), Vec::new());
        let mut narrowest = None::<u16>;
        for (hop, link) in
            way.iter().flat_map(|way| &way.hops).filter_map(|hop| Some((hop, observed.indexed(hop.ifindex)?)))
        {
            let target = link.mac.filter(|_| link.arp).map(|_| hop.gateway.unwrap_or_else(|| vtep.address()));
            let mac = target.and_then(|address| {
                let known = |neighbour: &&Neighbour| neighbour.is(link.index, address);
                observed.neighbours.iter().find(known).and_then(|neighbour| neighbour.mac)
            });
            if let (Some(source), Some(destination)) = (link.mac, mac) {
                uplinks.push((Uplink::new(link.index, source, destination), hop.weight));
            }
            let mtu = mtu(link, route_mtu);
            narrowest = Some(narrowest.map_or(mtu, |narrowest| narrowest.min(mtu)));
            let (device, ifindex, weight) = (link.name.clone(), link.index, hop.weight);
            hops.push(Hop { device, ifindex, target, mac, weight });
        }
        let resting = way.iter().flat_map(|way| &way.resting).copied();
        let has_neighbours = |link: &Link| link.arp && link.mac.is_some();
        let resting =
            resting.filter(|ifindex| observed.indexed(*ifindex).is_some_and(has_neighbours)).collect();
        let unknown = || observed.named(&host.underlay).map_or(FALLBACK_MTU, |link| mtu(link, None));
        let mtu = narrowest.unwrap_or_else(unknown);
        // With no uplink the programs send through the vxlan device.
        if host.software_checksums.contains(&vtep) {
            uplinks.clear();
        }
        let entry = spread(&uplinks).map_or(VtepEntry::unresolved(mtu), |places| {
            VtepEntry::resolved(places, mtu, partial_sum(host.vtep, vtep))
        });
        Self { hops, resting, entry }
    }
}

/// Every place of a VTEP's entry with the uplink that it gets, so that each uplink gets places by its weight. `None` if
/// there are no uplinks. Of more uplinks than places, some get none.
fn spread(uplinks: &[(Uplink, u32)]) -> Option<[Uplink; VtepEntry::UPLINKS]> {
    let total: u64 = uplinks.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let (last, _) = uplinks.last()?;
    let places = u64::try_from(VtepEntry::UPLINKS).ok()?;
    let mut place = 0;
    Some([(); VtepEntry::UPLINKS].map(|()| {
        // The middle of the place's share of all weights.
        let middle = (2 * place + 1) * total;
        place += 1;
        let mut until = 0;
        let owner = uplinks.iter().find(|(_, weight)| {
            until += 2 * places * u64::from(*weight);
            middle < until
        });
        owner.map_or(*last, |(uplink, _)| *uplink)
    }))
}

/// The outer IPv4 header's partial sum; 0 over IPv6, whose header has none.
fn partial_sum(ours: Vtep, theirs: Vtep) -> u16 {
    match (ours.address(), theirs.address()) {
        (IpAddr::V4(ours), IpAddr::V4(theirs)) => ipv4_checksum(ours, theirs),
        (IpAddr::V6(_), _) | (_, IpAddr::V6(_)) => 0,
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
#[path = "next_hop/tests.rs"]
mod tests;
