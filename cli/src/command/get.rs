//! `weft get`: resources as they are stored.

mod bgp;
pub(super) mod security;

use anyhow::Result;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use weft_api::client::Client;
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Remote, Resource};
use weft_api::view::Stored;

use crate::args::KindArg;
use crate::exit::Failure;
use crate::output::Output;
use crate::output::table::{Table, joined, or_dash};

const AFTER_HELP: &str = "\
Kinds: networks (network, net), security-groups (security-group, sg), subnets (subnet, sub), ports
(port, po), remotes (remote, rem), peerings (peering, prg), peer-groups (peer-group, pg), peers
(peer, pe), all.

Examples:
  weft get networks
  weft get all -o yaml > host.yaml             everything, as a file for `weft apply -f`
  weft get port web-1 -o json
  weft get subnets -o yaml > subnets.yaml      a file for `weft apply -f`";

/// Show resources of a kind, or one of them
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Get {
    /// Their kind, or `all`
    #[arg(value_enum, hide_possible_values = true)]
    kind: Wanted,

    /// Only this one
    name: Option<String>,
}

/// A kind, or every kind.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    All,
    Kind(KindArg),
}

impl ValueEnum for Wanted {
    fn value_variants<'a>() -> &'a [Self] {
        const KINDS: [Wanted; 1 + Kind::ALL.len()] = {
            let [network, security, subnet, port, remote, peering, group, peer] = Kind::ALL;
            [
                Wanted::All,
                Wanted::Kind(KindArg(network)),
                Wanted::Kind(KindArg(security)),
                Wanted::Kind(KindArg(subnet)),
                Wanted::Kind(KindArg(port)),
                Wanted::Kind(KindArg(remote)),
                Wanted::Kind(KindArg(peering)),
                Wanted::Kind(KindArg(group)),
                Wanted::Kind(KindArg(peer)),
            ]
        };
        &KINDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::All => Some(PossibleValue::new("all")),
            Self::Kind(kind) => kind.to_possible_value(),
        }
    }
}

impl Get {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        match (self.kind, &self.name) {
            (Wanted::Kind(KindArg(kind)), Some(name)) => {
                let stored = client.get(&Reference { kind, name: name.clone() })?;
                output.print(&stored, one)
            }
            (Wanted::Kind(KindArg(kind)), None) => {
                output.print(&client.list(kind)?, |stored| table(kind, stored))
            }
            (Wanted::All, None) => {
                let mut all = Vec::new();
                for kind in Kind::ALL {
                    all.extend(client.list(kind)?);
                }
                output.print(&all, |all| tables(all))
            }
            (Wanted::All, Some(name)) => {
                let message = format!("{name:?} is a name of which kind? all has no names");
                Err(Failure::Usage(message).into())
            }
        }
    }
}

/// A table for each kind that there is one of.
fn tables(all: &[Stored]) -> String {
    let mut texts = Vec::new();
    for kind in Kind::ALL {
        let of_kind: Vec<_> = all.iter().filter(|stored| stored.resource.kind() == kind).cloned().collect();
        if !of_kind.is_empty() {
            texts.push(format!("{}\n{}", kind.plural().to_uppercase(), table(kind, &of_kind)));
        }
    }
    if texts.is_empty() { "nothing is stored\n".to_owned() } else { texts.join("\n") }
}

fn one(stored: &Stored) -> String {
    let mut text = table(stored.resource.kind(), std::slice::from_ref(stored));
    if let Resource::Remote(remote) = &stored.resource {
        text.push_str(&contents(remote));
    }
    if let Resource::SecurityGroup(group) = &stored.resource {
        text.push_str(&format!("\n{}", security::rules(group, None)));
    }
    text
}

fn table(kind: Kind, stored: &[Stored]) -> String {
    match kind {
        Kind::Network => networks(stored).to_string(),
        Kind::SecurityGroup => security::groups(stored).to_string(),
        Kind::Subnet => subnets(stored).to_string(),
        Kind::Port => ports(stored).to_string(),
        Kind::Remote => remotes(stored).to_string(),
        Kind::Peering => bgp::peerings(stored).to_string(),
        Kind::PeerGroup => bgp::groups(stored).to_string(),
        Kind::Peer => bgp::peers(stored).to_string(),
    }
}

fn networks(stored: &[Stored]) -> Table<4> {
    let mut table = Table::new(["NAME", "TENANT", "VNI", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Network(network) = resource {
            let (name, tenant) = (network.name.clone(), network.tenant.clone());
            table.row([name, tenant, network.vni.to_string(), revision.to_string()]);
        }
    }
    table
}

fn subnets(stored: &[Stored]) -> Table<6> {
    let mut table = Table::new(["NAME", "NETWORK", "VNI", "PREFIXES", "GATEWAYS", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Subnet(subnet) = resource {
            let prefixes =
                [subnet.ipv4.map(|prefix| prefix.to_string()), subnet.ipv6.map(|prefix| prefix.to_string())];
            let gateways = [
                subnet.gateway4.map(|address| address.to_string()),
                subnet.gateway6.map(|address| address.to_string()),
            ];
            table.row([
                subnet.name.clone(),
                subnet.network.clone(),
                subnet.vni.to_string(),
                joined(prefixes.into_iter().flatten()),
                joined(gateways.into_iter().flatten()),
                revision.to_string(),
            ]);
        }
    }
    table
}

fn ports(stored: &[Stored]) -> Table<7> {
    let mut table = Table::new(["NAME", "SUBNET", "MAC", "ADDRESSES", "NETNS", "DEVICE", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Port(port) = resource {
            let attachment = port.attachment.as_ref();
            table.row([
                port.name.clone(),
                port.subnet.clone(),
                or_dash(port.mac),
                joined(&port.addresses),
                or_dash(attachment.map(|attachment| attachment.netns.display())),
                or_dash(attachment.map(|attachment| &attachment.device)),
                revision.to_string(),
            ]);
        }
    }
    table
}

/// A remote can have thousands of addresses: the table counts them.
fn remotes(stored: &[Stored]) -> Table<6> {
    let mut table = Table::new(["NAME", "VTEP", "ROUTER MAC", "ADDRESSES", "PREFIXES", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Remote(remote) = resource {
            table.row([
                remote.name.clone(),
                remote.vtep.to_string(),
                or_dash(remote.router_mac),
                remote.addresses.len().to_string(),
                remote.prefixes.len().to_string(),
                revision.to_string(),
            ]);
        }
    }
    table
}

fn contents(remote: &Remote) -> String {
    let mut addresses = Table::new(["ADDRESS", "SUBNET", "MAC"]);
    for entry in &remote.addresses {
        addresses.row([entry.address.to_string(), entry.subnet.clone(), entry.mac.to_string()]);
    }
    let mut prefixes = Table::new(["PREFIX", "NETWORK"]);
    for entry in &remote.prefixes {
        prefixes.row([entry.prefix.to_string(), entry.network.clone()]);
    }
    let mut text = format!("\n{addresses}\n{prefixes}");
    if !remote.subnets.is_empty() {
        let mut subnets = Table::new(["SUBNET"]);
        for subnet in &remote.subnets {
            subnets.row([subnet.clone()]);
        }
        text = format!("{text}\n{subnets}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> Stored {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_table_for_each_kind() {
        let network = stored(r#"{"kind":"network","name":"red","tenant":"acme","vni":5000,"revision":1}"#);
        assert_eq!(one(&network), "NAME  TENANT  VNI   REVISION\nred   acme    5000  1\n");
        let subnet = stored(
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","gateway4":"10.0.0.1",
                "ipv6":"fd00::/64","gateway6":"fd00::1","revision":2}"#,
        );
        assert_eq!(
            one(&subnet),
            "NAME   NETWORK  VNI   PREFIXES                GATEWAYS           REVISION\n\
             red-a  red      5001  10.0.0.0/24, fd00::/64  10.0.0.1, fd00::1  2\n"
        );
        let port = stored(
            r#"{"kind":"port","name":"web","subnet":"red-a","mac":"02:00:00:00:00:01","addresses":["10.0.0.2"],
                "revision":3}"#,
        );
        assert_eq!(
            one(&port),
            "NAME  SUBNET  MAC                ADDRESSES  NETNS  DEVICE  REVISION\n\
             web   red-a   02:00:00:00:00:01  10.0.0.2   -      -       3\n"
        );
        assert_eq!(table(Kind::Port, &[]), "NAME  SUBNET  MAC  ADDRESSES  NETNS  DEVICE  REVISION\n");
    }

    #[test]
    fn one_security_group_with_its_rules() {
        let group = stored(
            r#"{"kind":"security-group","name":"web","tenant":"acme","id":7,"revision":3,
                "rules":[{"direction":"ingress","protocol":"tcp","ports":80}]}"#,
        );
        assert_eq!(
            one(&group),
            "NAME  TENANT  ID  RULES  REVISION\n\
             web   acme    7   1      3\n\
             \n\
             RULE  DIRECTION  PRIORITY  ACTION  PROTOCOL  SERVICE  PEER  HITS  DESCRIPTION\n\
             0     ingress    1000      allow   tcp       80       any   -     -\n"
        );
    }

    #[test]
    fn one_remote_with_all_behind_it() {
        let remote = stored(
            r#"{"kind":"remote","name":"h2","vtep":"192.0.2.2","subnets":["red-b"],"addresses":[{"subnet":"red-a","address":"10.0.0.3",
                "mac":"02:00:00:00:00:03"}],"prefixes":[{"network":"red","prefix":"10.9.0.0/16"}],"revision":4}"#,
        );
        assert_eq!(
            one(&remote),
            "NAME  VTEP       ROUTER MAC  ADDRESSES  PREFIXES  REVISION\n\
             h2    192.0.2.2  -           1          1         4\n\
             \n\
             ADDRESS   SUBNET  MAC\n\
             10.0.0.3  red-a   02:00:00:00:00:03\n\
             \n\
             PREFIX       NETWORK\n\
             10.9.0.0/16  red\n\
             \n\
             SUBNET\n\
             red-b\n"
        );
    }
}
