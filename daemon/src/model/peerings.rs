//! Networks that see each other's routes, and route distinguishers, by which routes of all of them differ.

use std::collections::{BTreeMap, HashMap};

use weft_api::kind::{Kind, Reference};
use weft_api::resource::Peering;

use super::prefixes::{Spans, prefix_field};
use super::{Faults, Ordered, Subnet};
use crate::intent::reference;

/// That a peering joins two networks, that no other joins the same two, and that its order tells who wins if both have
/// an address.
pub(super) fn check(all: Ordered<'_>, subnets: &BTreeMap<String, Subnet>, faults: &mut Faults) {
    let mut holders: BTreeMap<[&str; 2], &str> = BTreeMap::new();
    let overlaps = Overlaps::new(all, subnets);
    for peering in all.peerings() {
        let mut fault = |message| faults.add_at(Kind::Peering, &peering.name, "networks", message);
        let [one, other] = peering.networks.as_slice() else {
            let count = peering.networks.len();
            fault(format!("it names {count} networks; name the two that are to see each other's routes"));
            continue;
        };
        if one == other {
            fault(format!("network/{one} sees its own routes anyway; name another one beside it"));
            continue;
        }
        let mut pair = [one.as_str(), other.as_str()];
        pair.sort_unstable();
        if let Some(holder) = holders.insert(pair, &peering.name) {
            fault(format!(
                "network/{one} and network/{other} are joined by peering/{holder}; keep one of the two"
            ));
        } else if peering.order.is_none() {
            overlaps.check(peering, [one, other], faults);
        }
    }
}

/// That no two networks or subnets have one route distinguisher.
pub(super) fn check_distinguishers(all: Ordered<'_>, faults: &mut Faults) {
    let mut holders = BTreeMap::new();
    for id in all.order {
        let given = match id.kind {
            Kind::Network => {
                all.intent.networks.get(&id.name).and_then(|network| network.route_distinguisher)
            }
            Kind::Subnet => all.intent.subnets.get(&id.name).and_then(|subnet| subnet.route_distinguisher),
            Kind::SecurityGroup
            | Kind::Port
            | Kind::Remote
            | Kind::Peering
            | Kind::PeerGroup
            | Kind::Peer => None,
        };
        let Some(given) = given else { continue };
        if let Some(holder) = holders.get(&given) {
            let message =
                format!("route distinguisher {given} is that of {holder}; choose another, or leave it out");
            faults.add_at(id.kind, &id.name, "route_distinguisher", message);
        } else {
            holders.insert(given, id);
        }
    }
}

/// Finds prefixes that two networks have in common.
struct Overlaps<'a> {
    subnets: &'a BTreeMap<String, Subnet>,
    spans: Spans<'a>,
    by_network: HashMap<&'a str, Vec<&'a str>>,
    /// When an object was checked: the later of several is blamed.
    places: HashMap<&'a Reference, usize>,
}

impl<'a> Overlaps<'a> {
    fn new(all: Ordered<'a>, subnets: &'a BTreeMap<String, Subnet>) -> Self {
        let mut this =
            Self { subnets, spans: Spans::default(), by_network: HashMap::new(), places: HashMap::new() };
        // All subnets are looked through for peerings alone.
        if all.peerings().all(|peering| peering.order.is_some()) {
            return this;
        }
        for (name, subnet) in subnets {
            this.by_network.entry(&subnet.network).or_default().push(name);
            for prefix in subnet.prefixes() {
                this.spans.insert(&subnet.network, prefix, reference(Kind::Subnet, name));
            }
        }
        this.places = all.order.iter().zip(0..).collect();
        this
    }

    fn check(&self, peering: &Peering, networks: [&'a String; 2], faults: &mut Faults) {
        // From the side with fewer subnets the other is searched.
        let count = |network: &String| self.by_network.get(network.as_str()).map_or(0, Vec::len);
        let [few, many] =
            if count(networks[0]) <= count(networks[1]) { networks } else { [networks[1], networks[0]] };
        for name in self.by_network.get(few.as_str()).into_iter().flatten() {
            for prefix in self.subnets.get(*name).into_iter().flat_map(Subnet::prefixes) {
                if let Some((other, holder)) = self.spans.overlapping(many, prefix) {
                    let message = format!(
                        "{prefix} of subnet/{name} and {other} of {holder} overlap, and peering/{} joins their networks; \
                         choose another prefix, or give the peering an order, which tells who wins",
                        peering.name
                    );
                    let mine = (reference(Kind::Subnet, name), prefix_field(prefix));
                    let theirs = (holder.clone(), prefix_field(*other));
                    let joined = (reference(Kind::Peering, &peering.name), "networks");
                    let place = |(id, _): &(Reference, &str)| self.places.get(id).copied();
                    let blamed = [joined, mine, theirs].into_iter().max_by_key(place);
                    if let Some((id, field)) = blamed {
                        faults.add_at(id.kind, &id.name, field, message);
                    }
                }
            }
        }
    }
}
