//! Who has which IP and MAC address: what was asked for first, then what is allocated.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use weft_api::kind::{Kind, Reference};
use weft_api::resource;
use weft_dataplane::desired::Security;
use weft_ipam::{Pool, Refusal};

use super::macs::Macs;
use super::{Faults, Host, Ordered, Port, Subnet};
use crate::intent::reference;

/// The addresses of one subnet.
struct Space {
    ipv4: Family,
    ipv6: Family,
    macs: Macs,
}

/// The addresses of one family of a subnet.
enum Family {
    /// The subnet has none.
    Absent,
    /// Its prefix or gateway is at fault, which is told elsewhere.
    Faulty,
    /// Who has which.
    Pool(Pool),
}

/// The ports with MACs and addresses. One whose subnet is missing or full is left out.
pub(super) fn resolve(
    all: Ordered<'_>,
    subnets: &BTreeMap<String, Subnet>,
    host: &Host,
    faults: &mut Faults,
) -> BTreeMap<String, Port> {
    let mut spaces: BTreeMap<&str, Space> = BTreeMap::new();
    for subnet in all.subnets() {
        if let Some(resolved) = subnets.get(&subnet.name) {
            spaces.insert(&subnet.name, Space::new(subnet, resolved));
        }
    }
    for id in all.order {
        if let (Kind::Port, Some(port)) = (id.kind, all.intent.ports.get(&id.name)) {
            claim_port(port, &mut spaces, host, faults);
        }
        if let (Kind::Remote, Some(remote)) = (id.kind, all.intent.remotes.get(&id.name)) {
            claim_remote(remote, &mut spaces, host, faults);
        }
    }
    let mut ports = BTreeMap::new();
    for port in all.ports() {
        let Some(space) = spaces.get_mut(port.subnet.as_str()) else { continue };
        match space.complete(port, host) {
            Ok(resolved) => drop(ports.insert(port.name.clone(), resolved)),
            Err(fault) => {
                faults.add_at(Kind::Port, &port.name, "subnet", format!("subnet/{}: {fault}", port.subnet));
            }
        }
    }
    ports
}

fn claim_port(port: &resource::Port, spaces: &mut BTreeMap<&str, Space>, host: &Host, faults: &mut Faults) {
    let Some(space) = spaces.get_mut(port.subnet.as_str()) else { return };
    let id = reference(Kind::Port, &port.name);
    for (name, count) in [
        ("IPv4", port.addresses.iter().filter(|address| address.is_ipv4()).count()),
        ("IPv6", port.addresses.iter().filter(|address| address.is_ipv6()).count()),
    ] {
        if count > 1 {
            faults.add_at(
                Kind::Port,
                &port.name,
                "addresses",
                format!("it has {count} {name} addresses; a port has at most one of each family"),
            );
        }
    }
    for (index, address) in port.addresses.iter().enumerate() {
        if let Err(fault) = space.claim_address(*address, &id, &port.subnet) {
            faults.add_at(Kind::Port, &port.name, format!("addresses[{index}]"), fault);
        }
    }
    if let Some(mac) = port.mac
        && let Err(fault) = space.macs.claim(mac, &id, &port.subnet, host)
    {
        faults.add_at(Kind::Port, &port.name, "mac", fault);
    }
}

fn claim_remote(
    remote: &resource::Remote,
    spaces: &mut BTreeMap<&str, Space>,
    host: &Host,
    faults: &mut Faults,
) {
    let id = reference(Kind::Remote, &remote.name);
    for (index, entry) in remote.addresses.iter().enumerate() {
        let Some(space) = spaces.get_mut(entry.subnet.as_str()) else { continue };
        if let Err(fault) = space.claim_address(entry.address, &id, &entry.subnet) {
            faults.add_at(Kind::Remote, &remote.name, format!("addresses[{index}].address"), fault);
        }
        if let Err(fault) = space.macs.claim(entry.mac, &id, &entry.subnet, host) {
            faults.add_at(Kind::Remote, &remote.name, format!("addresses[{index}].mac"), fault);
        }
    }
}

impl Space {
    fn new(subnet: &resource::Subnet, resolved: &Subnet) -> Self {
        let ipv4 = resolved.ipv4.map(|(prefix, gateway)| (IpNet::V4(prefix), IpAddr::V4(gateway)));
        let ipv6 = resolved.ipv6.map(|(prefix, gateway)| (IpNet::V6(prefix), IpAddr::V6(gateway)));
        Self {
            ipv4: Family::new(subnet.ipv4.is_some(), ipv4),
            ipv6: Family::new(subnet.ipv6.is_some(), ipv6),
            macs: Macs::default(),
        }
    }

    fn claim_address(&mut self, address: IpAddr, holder: &Reference, subnet: &str) -> Result<(), String> {
        let (family, name) = match address {
            IpAddr::V4(_) => (&mut self.ipv4, "ipv4"),
            IpAddr::V6(_) => (&mut self.ipv6, "ipv6"),
        };
        match family {
            Family::Absent => Err(format!(
                "address {address}: subnet/{subnet} has no {name} prefix; give the subnet one, or leave the address out"
            )),
            Family::Faulty => Ok(()),
            Family::Pool(pool) => pool
                .claim(address, &holder.to_string())
                .map_err(|refusal| told(&refusal, holder.kind, subnet)),
        }
    }

    /// Allocates what the port was not given.
    fn complete(&mut self, port: &resource::Port, host: &Host) -> Result<Port, String> {
        let id = reference(Kind::Port, &port.name);
        let (given4, given6) = given(port);
        let ipv4 = match self.ipv4.complete(given4.map(IpAddr::V4), &id)? {
            Some(IpAddr::V4(address)) => Some(address),
            Some(IpAddr::V6(_)) | None => None,
        };
        let ipv6 = match self.ipv6.complete(given6.map(IpAddr::V6), &id)? {
            Some(IpAddr::V6(address)) => Some(address),
            Some(IpAddr::V4(_)) | None => None,
        };
        let seed = || {
            let addresses = [ipv4.map(IpAddr::V4), ipv6.map(IpAddr::V6)]
                .map(|ip| ip.map(|ip| ip.to_string()).unwrap_or_default());
            format!("{}/{}/{}", port.subnet, port.name, addresses.join("/"))
        };
        let mac = port.mac.unwrap_or_else(|| self.macs.allocate(&seed(), &id, host));
        Ok(Port {
            subnet: port.subnet.clone(),
            mac,
            ipv4,
            ipv6,
            attachment: port.attachment.clone(),
            security_groups: port.security_groups.clone(),
            allowed_pairs: port.allowed_pairs.clone(),
            // The rest is known once all groups are.
            security: Security { any_source: port.any_source, ..Security::open() },
        })
    }
}

impl Family {
    fn new(declared: bool, resolved: Option<(IpNet, IpAddr)>) -> Self {
        match resolved.map(|(prefix, gateway)| Pool::new(prefix, gateway)) {
            Some(Ok(pool)) => Self::Pool(pool),
            Some(Err(_)) => Self::Faulty,
            None if declared => Self::Faulty,
            None => Self::Absent,
        }
    }

    fn complete(&mut self, given: Option<IpAddr>, holder: &Reference) -> Result<Option<IpAddr>, String> {
        match (self, given) {
            (_, Some(address)) => Ok(Some(address)),
            (Self::Absent | Self::Faulty, None) => Ok(None),
            (Self::Pool(pool), None) => {
                pool.allocate(&holder.to_string()).map(Some).map_err(|full| full.to_string())
            }
        }
    }
}

/// Why an address cannot be had, and what to do. Only a port can leave it to weft to choose one.
fn told(refusal: &Refusal, kind: Kind, subnet: &str) -> String {
    let advice = match (refusal, kind) {
        // These advise themselves.
        (Refusal::Network { .. } | Refusal::Broadcast { .. }, _) => {
            return format!("subnet/{subnet}: address {refusal}");
        }
        (Refusal::Outside { .. }, Kind::Port) => "choose one inside it, or leave it out to get a free one",
        (Refusal::Gateway { .. } | Refusal::Taken { .. }, Kind::Port) => {
            "choose another, or leave it out to get a free one"
        }
        (Refusal::Outside { .. }, _) => "correct the address, or name the subnet that it is of",
        (Refusal::Gateway { .. }, _) => "every host has the gateway itself, so leave it out",
        (Refusal::Taken { .. }, _) => "leave it to one of the two",
    };
    format!("address {refusal} in subnet/{subnet}; {advice}")
}

/// The first address of each family.
fn given(port: &resource::Port) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    let (mut ipv4, mut ipv6) = (None, None);
    for address in &port.addresses {
        match address {
            IpAddr::V4(address) => ipv4 = ipv4.or(Some(*address)),
            IpAddr::V6(address) => ipv6 = ipv6.or(Some(*address)),
        }
    }
    (ipv4, ipv6)
}
