//! What the tenants want, and what each host must be told of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_api::resource::{
    AllowedPair, ImportTargets, Network, Port, Remote, RemoteAddress, RemotePrefix, Resource, RouteTargets,
    RuleVerdict, SecurityGroup, Subnet,
};
use weft_vxlan::{MacAddr, Vni, Vtep};

/// Networks, subnets and pods of all tenants on all hosts.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    networks: Vec<Network>,
    security_groups: Vec<SecurityGroup>,
    subnets: Vec<Subnet>,
    pods: Vec<Planned>,
    prefixes: Vec<(usize, RemotePrefix)>,
}

/// A pod to be.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name, and its port's.
    pub name: String,
    /// Number of its host, from 0.
    pub host: usize,
    /// Name of its subnet.
    pub subnet: String,
    /// The pod whose second NIC it is, if it is no pod of its own.
    pub inside: Option<String>,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// IPv4 address of its gateway.
    pub gateway4: Ipv4Addr,
    /// IPv6 address of its gateway.
    pub gateway6: Ipv6Addr,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Addresses that it may send from besides its own.
    pub allowed_pairs: Vec<AllowedPair>,
}

impl Intent {
    /// Has all networks and subnets import route targets of any AS.
    fn importing_any_as(mut self) -> Self {
        let targets = RouteTargets { import: Some(ImportTargets::AnyAs), export: None };
        self.networks.iter_mut().for_each(|network| network.route_targets = Some(targets.clone()));
        self.subnets.iter_mut().for_each(|subnet| subnet.route_targets = Some(targets.clone()));
        self
    }

    /// What a host is told that learns of the others by itself; with `any_as`, of hosts of other ASes too.
    ///
    /// # Errors
    /// None: every name and number can be written down.
    pub fn documents_of_learner(&self, host: usize, any_as: bool) -> Result<String> {
        if any_as { self.clone().importing_any_as().documents(host, &[]) } else { self.documents(host, &[]) }
    }

    /// Adds what most topologies begin with: the network `name` of a tenant of that name, with VNI `vni`, and two
    /// subnets, which have the same prefixes whatever the tenant.
    ///
    /// | subnet | VNI | prefixes |
    /// | --- | --- | --- |
    /// | `name`-a | `vni` + 1 | 10.0.0.0/24, fd00:a::/64 |
    /// | `name`-b | `vni` + 2 | 10.0.1.0/24, fd00:b::/64 |
    ///
    /// # Errors
    /// A VNI is not legal.
    pub fn tenant(self, name: &str, vni: u32) -> Result<Self> {
        self.network(name, vni)?
            .subnet(&format!("{name}-a"), name, vni + 1, "10.0.0.0/24", "fd00:a::/64")?
            .subnet(&format!("{name}-b"), name, vni + 2, "10.0.1.0/24", "fd00:b::/64")
    }

    /// Adds a network of a tenant with the same name.
    ///
    /// # Errors
    /// `vni` is not legal.
    pub fn network(mut self, name: &str, vni: u32) -> Result<Self> {
        let vni = Vni::new(vni)?;
        self.networks.push(Network {
            name: name.to_owned(),
            tenant: name.to_owned(),
            vni,
            // Whatever a test is about, it says so if that is security groups.
            default_ingress: RuleVerdict::Allow,
            default_egress: RuleVerdict::Allow,
            route_targets: None,
            route_distinguisher: None,
        });
        Ok(self)
    }

    /// Adds a subnet `name` of `network` with an IPv4 and an IPv6 prefix.
    ///
    /// # Errors
    /// `vni` or a prefix is not legal.
    pub fn subnet(mut self, name: &str, network: &str, vni: u32, v4: &str, v6: &str) -> Result<Self> {
        self.subnets.push(Subnet {
            name: name.to_owned(),
            network: network.to_owned(),
            vni: Vni::new(vni)?,
            ipv4: Some(v4.parse().context(v4.to_owned())?),
            gateway4: None,
            ipv6: Some(v6.parse().context(v6.to_owned())?),
            gateway6: None,
            route_targets: None,
            route_distinguisher: None,
        });
        Ok(self)
    }

    /// Adds a pod in `subnet` on the host with number `host`, with the `nth` address of both prefixes.
    ///
    /// # Errors
    /// There is no such subnet.
    pub fn pod(mut self, name: &str, subnet: &str, host: usize, nth: u8) -> Result<Self> {
        let of = self.subnets.iter().find(|candidate| candidate.name == subnet).context(subnet.to_owned())?;
        let v4 = of.ipv4.context("a subnet of an intent has IPv4")?;
        let v6 = of.ipv6.context("a subnet of an intent has IPv6")?;
        let [_, vni_high, vni_middle, vni_low] = of.vni.get().to_be_bytes();
        self.pods.push(Planned {
            name: name.to_owned(),
            host,
            subnet: subnet.to_owned(),
            inside: None,
            mac: MacAddr::new([2, 0xee, vni_high, vni_middle, vni_low, nth]),
            v4: nth_v4(v4, nth),
            v6: nth_v6(v6, nth),
            gateway4: nth_v4(v4, 1),
            gateway6: nth_v6(v6, 1),
            security_groups: Vec::new(),
            allowed_pairs: Vec::new(),
        });
        Ok(self)
    }

    /// Adds a second NIC `name` in `subnet` to the pod that was added last, with the `nth` address of both prefixes.
    ///
    /// # Errors
    /// There is no such subnet, or no pod.
    pub fn second_nic(self, name: &str, subnet: &str, nth: u8) -> Result<Self> {
        let first = self.pods.last().cloned().context("a pod to give a second NIC to")?;
        let mut intent = self.pod(name, subnet, first.host, nth)?;
        if let Some(second) = intent.pods.last_mut() {
            second.inside = Some(first.name);
        }
        Ok(intent)
    }

    /// Adds a prefix of `network` that is reached through the host with number `host`.
    ///
    /// # Errors
    /// It is no prefix.
    pub fn prefix(mut self, network: &str, host: usize, prefix: &str) -> Result<Self> {
        let prefix: IpNet = prefix.parse().context(prefix.to_owned())?;
        self.prefixes.push((host, RemotePrefix { network: network.to_owned(), prefix }));
        Ok(self)
    }

    /// Has what comes to a port of `network` be denied unless a rule allows it.
    #[must_use]
    pub fn closed(mut self, network: &str) -> Self {
        let networks = self.networks.iter_mut().filter(|candidate| candidate.name == network);
        networks.for_each(|network| network.default_ingress = RuleVerdict::Deny);
        self
    }

    /// Adds a security group `name` of `tenant`, with rules as documents have them.
    ///
    /// # Errors
    /// The rules cannot be read.
    pub fn security_group(mut self, name: &str, tenant: &str, id: u32, rules: &str) -> Result<Self> {
        let rules = serde_json::from_str(rules).with_context(|| format!("the rules of {name}"))?;
        self.security_groups.push(SecurityGroup {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            id,
            rules,
        });
        Ok(self)
    }

    /// Makes a pod a member of security groups.
    #[must_use]
    pub fn member(mut self, pod: &str, groups: &[&str]) -> Self {
        let pods = self.pods.iter_mut().filter(|candidate| candidate.name == pod);
        pods.for_each(|pod| pod.security_groups.extend(groups.iter().map(|group| (*group).to_owned())));
        self
    }

    /// Lets a pod send from `prefix` besides its own addresses, with `mac`, or with its own.
    ///
    /// # Errors
    /// The prefix is not legal.
    pub fn pair(mut self, pod: &str, prefix: &str, mac: Option<MacAddr>) -> Result<Self> {
        let pair = AllowedPair { prefix: prefix.parse().context(prefix.to_owned())?, mac };
        let pods = self.pods.iter_mut().filter(|candidate| candidate.name == pod);
        pods.for_each(|pod| pod.allowed_pairs.push(pair.clone()));
        Ok(self)
    }

    /// The pods, in the order that they were added in.
    #[must_use]
    pub fn pods(&self) -> &[Planned] {
        &self.pods
    }

    /// What the host with number `host` is told, as YAML documents: the networks that it has pods in, its own
    /// ports, and for every other host with a part in those networks a remote. `vteps` are those of all hosts.
    ///
    /// # Errors
    /// None: every name and number can be written down.
    pub fn documents(&self, host: usize, vteps: &[Vtep]) -> Result<String> {
        let mut text = String::new();
        for resource in self.resources(host, vteps) {
            // YAML contains JSON (YAML 1.2 section 1.3).
            text.push_str("---\n");
            text.push_str(&serde_json::to_string_pretty(&resource)?);
            text.push('\n');
        }
        Ok(text)
    }

    fn resources(&self, host: usize, vteps: &[Vtep]) -> Vec<Resource> {
        let network_of = |subnet: &str| {
            let subnet = self.subnets.iter().find(|candidate| candidate.name == subnet);
            subnet.map_or("", |subnet| subnet.network.as_str())
        };
        let local = self.pods.iter().filter(|pod| pod.host == host);
        let networks: BTreeSet<&str> = local.clone().map(|pod| network_of(&pod.subnet)).collect();
        let mut resources = Vec::new();
        let wanted = self.networks.iter().filter(|network| networks.contains(network.name.as_str()));
        resources.extend(wanted.clone().cloned().map(Resource::Network));
        let tenants: BTreeSet<&str> = wanted.map(|network| network.tenant.as_str()).collect();
        let wanted = self.security_groups.iter().filter(|group| tenants.contains(group.tenant.as_str()));
        resources.extend(wanted.cloned().map(Resource::SecurityGroup));
        let wanted = self.subnets.iter().filter(|subnet| networks.contains(subnet.network.as_str()));
        resources.extend(wanted.cloned().map(Resource::Subnet));
        resources.extend(local.map(|pod| Resource::Port(pod.port())));
        for (other, vtep) in vteps.iter().enumerate().filter(|(other, _)| *other != host) {
            let there = self.pods.iter().filter(|pod| pod.host == other);
            let addresses: Vec<_> = there
                .filter(|pod| networks.contains(network_of(&pod.subnet)))
                .flat_map(Planned::remote_addresses)
                .collect();
            let prefixes: Vec<_> = self
                .prefixes
                .iter()
                .filter(|(through, prefix)| *through == other && networks.contains(prefix.network.as_str()))
                .map(|(_, prefix)| prefix.clone())
                .collect();
            if !addresses.is_empty() || !prefixes.is_empty() {
                let name = format!("h{}", other + 1);
                let subnets = Vec::new();
                let remote = Remote { name, vtep: *vtep, router_mac: None, subnets, addresses, prefixes };
                resources.push(Resource::Remote(remote));
            }
        }
        resources
    }
}

impl Planned {
    fn port(&self) -> Port {
        Port {
            name: self.name.clone(),
            subnet: self.subnet.clone(),
            mac: Some(self.mac),
            addresses: vec![self.v4.into(), self.v6.into()],
            security_groups: self.security_groups.clone(),
            allowed_pairs: self.allowed_pairs.clone(),
            any_source: false,
            attachment: None,
        }
    }

    fn remote_addresses(&self) -> [RemoteAddress; 2] {
        [IpAddr::V4(self.v4), IpAddr::V6(self.v6)].map(|address| RemoteAddress {
            subnet: self.subnet.clone(),
            address,
            mac: self.mac,
        })
    }
}

fn nth_v4(prefix: Ipv4Net, nth: u8) -> Ipv4Addr {
    (u32::from(prefix.network()) + u32::from(nth)).into()
}

fn nth_v6(prefix: Ipv6Net, nth: u8) -> Ipv6Addr {
    (u128::from(prefix.network()) + u128::from(nth)).into()
}
