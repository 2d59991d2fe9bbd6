//! `weft sg`: security groups, their rules in the order in which they count, and their members.

use anyhow::Result;
use clap::{Args, Subcommand};
use weft_api::client::Client;
use weft_api::document::{self, DocumentError, ReadError};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Resource, SecurityGroup};
use weft_api::view::Stored;
use weft_api::view::security::{DecidedBy, Hits};

use super::get::security::rules;
use crate::input::{Files, locate};
use crate::output::Output;
use crate::output::table::joined;
use crate::plan;

const AFTER_HELP: &str = "\
Of the rules that match a packet, the one with the lowest priority decides; of equal ones deny. Without
one, the network's default_ingress or default_egress does.

Examples:
  weft sg get web                              the rules of a group, and its ports on this host
  weft sg get web -o yaml > web.yaml           the group as a file
  weft sg apply -f web.yaml --dry-run
  weft delete security-group web               a group that no port and no rule names";

/// Show security groups with their rules and members, and change them
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Sg {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every group with its rules, in the order in which they count, and its ports; or one
    Get {
        /// Only this one
        name: Option<String>,
    },
    /// Create or replace security groups from files: all of them, or none
    #[command(mut_arg("files", |arg| arg.required(true)))]
    Apply {
        #[command(flatten)]
        files: Files,

        /// Only show what would change
        #[arg(long)]
        dry_run: bool,
    },
}

impl Sg {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        match &self.action {
            Action::Get { name: Some(name) } => {
                let stored = client.get(&Reference { kind: Kind::SecurityGroup, name: name.clone() })?;
                let (ports, hits) = (client.list(Kind::Port)?, client.rule_hits(Some(name))?);
                output.print(&stored, |stored| render(stored, &ports, &hits))
            }
            Action::Get { name: None } => {
                let stored = client.list(Kind::SecurityGroup)?;
                let (ports, hits) = (client.list(Kind::Port)?, client.rule_hits(None)?);
                output.print(&stored, |stored| all(stored, &ports, &hits))
            }
            Action::Apply { files, dry_run } => apply(files, *dry_run, client, output),
        }
    }
}

fn all(stored: &[Stored], ports: &[Stored], hits: &[Hits]) -> String {
    if stored.is_empty() {
        return "no security group is stored\n".to_owned();
    }
    stored.iter().map(|group| render(group, ports, hits)).collect::<Vec<_>>().join("\n")
}

fn apply(files: &Files, dry_run: bool, client: &Client, output: &mut Output) -> Result<()> {
    let documents = document::read(&files.read()?)?;
    let others = documents.iter().filter(|document| document.value.kind() != Kind::SecurityGroup);
    let errors: Vec<_> = others
        .map(|document| DocumentError {
            position: document.position.clone(),
            object: Some(document.value.reference().to_string()),
            message: "it is no security group; apply it with `weft apply`, which takes every kind".to_owned(),
        })
        .collect();
    if !errors.is_empty() {
        return Err(ReadError::Invalid(errors).into());
    }
    let resources: Vec<_> = documents.iter().map(|document| document.value.clone()).collect();
    let outcome =
        client.apply(&resources, dry_run).map_err(|error| locate(error, &documents, Resource::reference))?;
    plan::print(output, &outcome)
}

/// The group, its members among `ports`, and its rules with their `hits`.
fn render(stored: &Stored, ports: &[Stored], hits: &[Hits]) -> String {
    let Resource::SecurityGroup(group) = &stored.resource else { return String::new() };
    let of_group = hits.iter().filter_map(|hits| match &hits.by {
        DecidedBy::Rule(rule) if rule.group == group.name => Some((rule.index, hits.hits)),
        DecidedBy::Rule(_) | DecidedBy::Default | DecidedBy::Unknown => None,
    });
    let SecurityGroup { name, tenant, id, .. } = group;
    let members = ports.iter().filter(|stored| match &stored.resource {
        Resource::Port(port) => port.security_groups.contains(name),
        Resource::Network(_)
        | Resource::SecurityGroup(_)
        | Resource::Subnet(_)
        | Resource::Remote(_)
        | Resource::Peering(_)
        | Resource::PeerGroup(_)
        | Resource::Peer(_) => false,
    });
    let members = joined(members.map(|stored| stored.resource.name()));
    let members = if members.is_empty() { "none" } else { &members };
    let revision = stored.revision;
    format!(
        "security-group/{name} of tenant {tenant}, id {id}, revision {revision}\nports here: {members}\n\n{}",
        rules(group, Some(&of_group.collect()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> Stored {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn rules_in_the_order_in_which_they_count() {
        let group = stored(
            r#"{"kind":"security-group","name":"web","tenant":"acme","id":7,"revision":3,"rules":[
                {"direction":"ingress","protocol":"tcp","ports":"8000-8010","group":"lb","stateless":true},
                {"direction":"ingress","protocol":"icmp","icmp":{"type":8,"code":0}},
                {"direction":"ingress","action":"deny","prefix":"10.6.6.0/24","description":"bad"},
                {"direction":"ingress","priority":5,"protocol":"icmpv6","icmp":{"type":128}},
                {"direction":"egress","prefix":"10.0.0.0/8","protocol":47}]}"#,
        );
        let ports = [
            stored(
                r#"{"kind":"port","name":"web-1","subnet":"a","security_groups":["lb","web"],"revision":1}"#,
            ),
            stored(r#"{"kind":"port","name":"web-2","subnet":"a","security_groups":["web"],"revision":1}"#),
            stored(r#"{"kind":"port","name":"db-1","subnet":"a","security_groups":["db"],"revision":1}"#),
        ];
        let hits = r#"[{"direction":"ingress","by":{"rule":{"group":"web","index":2}},"hits":17},
            {"direction":"ingress","by":{"rule":{"group":"db","index":0}},"hits":4},
            {"direction":"ingress","by":"default","hits":9}]"#;
        let hits: Vec<Hits> = serde_json::from_str(hits).unwrap();
        assert_eq!(
            render(&group, &ports, &hits),
            "security-group/web of tenant acme, id 7, revision 3\n\
             ports here: web-1, web-2\n\
             \n\
             RULE  DIRECTION  PRIORITY  ACTION             PROTOCOL  SERVICE        PEER         HITS  DESCRIPTION\n\
             4     egress     1000      allow              47        -              10.0.0.0/8   0     -\n\
             3     ingress    5         allow              icmpv6    type 128       any          0     -\n\
             2     ingress    1000      deny               any       -              10.6.6.0/24  17    bad\n\
             1     ingress    1000      allow              icmp      type 8 code 0  any          0     -\n\
             0     ingress    1000      allow (stateless)  tcp       8000-8010      group lb     0     -\n"
        );
        assert!(render(&group, &ports[2..], &[]).contains("\nports here: none\n"));
    }
}
