//! Who gets copies of what is for a whole subnet, as numbered lists. Whoever is in a list keeps its number, so that
//! while a list changes nobody misses a copy: new members come at the end, and the last ones fill gaps. For the moment
//! in which a last one is at both places, it gets two.

use std::collections::{BTreeMap, BTreeSet};

use weft_dataplane_abi::{FloodKey, FloodMember, MOST_FLOOD_VTEPS, flood_group};
use weft_vxlan::{Vni, Vtep};

use super::LocalPort;
use crate::Failure;
use crate::desired::{Desired, Subnet};

/// The lists of all subnets.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) members: BTreeMap<FloodKey, FloodMember>,
    /// Subnets whose list stays as it was.
    pub(crate) failures: Vec<Failure>,
}

impl Flood {
    /// The lists for `desired`, with the VTEPs `there` that take part in each subnet and the ports that have a host end, if
    /// the kernel has the lists `held`.
    pub(crate) fn plan(
        desired: &Desired,
        there: &BTreeMap<Vni, BTreeMap<Vtep, Vni>>,
        ports: &BTreeMap<&str, LocalPort>,
        held: &BTreeMap<FloodKey, FloodMember>,
    ) -> Self {
        let mut flood = Self { members: BTreeMap::new(), failures: Vec::new() };
        for (vni, subnet) in &desired.subnets {
            let here = desired.ports.iter().filter(|(_, port)| port.subnet == *vni);
            let here = here.filter_map(|(name, _)| ports.get(name.as_str()));
            let here = here.map(|port| FloodMember::port(*vni, port.ifindex, port.slot)).collect();
            flood.list(*vni, flood_group::PORTS, here, held);
            flood.vteps(*vni, subnet, there.get(vni), held);
        }
        flood
    }

    /// The same of the VTEPs of some subnets alone.
    pub(crate) fn plan_vteps(
        desired: &Desired,
        there: &BTreeMap<Vni, BTreeMap<Vtep, Vni>>,
        subnets: &BTreeSet<Vni>,
        held: &BTreeMap<FloodKey, FloodMember>,
    ) -> Self {
        let mut flood = Self { members: BTreeMap::new(), failures: Vec::new() };
        for (vni, subnet) in subnets.iter().filter_map(|vni| Some((vni, desired.subnets.get(vni)?))) {
            flood.vteps(*vni, subnet, there.get(vni), held);
        }
        flood
    }

    fn vteps(
        &mut self,
        vni: Vni,
        subnet: &Subnet,
        there: Option<&BTreeMap<Vtep, Vni>>,
        held: &BTreeMap<FloodKey, FloodMember>,
    ) {
        let there = there.into_iter().flatten();
        let mut there: BTreeSet<_> =
            there.map(|(vtep, wants)| FloodMember::vtep(vni, *vtep, *wants)).collect();
        if there.len() > MOST_FLOOD_VTEPS as usize {
            let cause = format!(
                "{} VTEPs take part in it, and frames are copied to at most {MOST_FLOOD_VTEPS}: those that got copies \
                 before still do, the others do not. Divide the subnet, or remove hosts from it",
                there.len()
            );
            self.failures.push(Failure::new(format!("subnet {}", subnet.name), cause));
            let before: BTreeSet<_> = list(held, vni, flood_group::VTEPS).map(|(_, member)| member).collect();
            there.retain(|member| before.contains(member));
        }
        self.list(vni, flood_group::VTEPS, there, held);
    }

    fn list(
        &mut self,
        subnet: Vni,
        group: u32,
        mut wanted: BTreeSet<FloodMember>,
        held: &BTreeMap<FloodKey, FloodMember>,
    ) {
        let places = (0..).map(|index| FloodKey::new(subnet, group, index)).take(wanted.len());
        let places: BTreeSet<_> = places.collect();
        let mut members = BTreeMap::new();
        for (key, member) in list(held, subnet, group) {
            if places.contains(&key) && wanted.remove(&member) {
                members.insert(key, member);
            }
        }
        let free: Vec<_> = places.into_iter().filter(|key| !members.contains_key(key)).collect();
        members.extend(free.into_iter().zip(wanted));
        self.members.append(&mut members);
    }
}

/// The entries of one list.
pub(crate) fn list(
    held: &BTreeMap<FloodKey, FloodMember>,
    subnet: Vni,
    group: u32,
) -> impl Iterator<Item = (FloodKey, FloodMember)> {
    let key = |index| FloodKey::new(subnet, group, index);
    held.range(key(0)..=key(u32::MAX)).map(|(key, member)| (*key, *member))
}

#[cfg(test)]
#[path = "flood/tests.rs"]
mod tests;
