//! `weft policy`: what rules do to a packet that nobody sent, and how often they decided.

use anyhow::Result;
use clap::{Args, Subcommand};
use weft_api::client::{Client, TestPacket};
use weft_api::resource::RuleVerdict;
use weft_api::resource::security::{Direction, Protocol};
use weft_api::view::security::{EndTest, Hits, PolicyTest, Verdict};

use crate::exit::Failure;
use crate::output::Output;
use crate::output::table::{Table, joined};

const AFTER_HELP: &str = "\
An end is a port of this host by its name, or an address. The packet is judged twice: by a walk over the rules
that are stored, and by the programs in the kernel with the tables that are in force. Nothing is sent, and no
connection starts. If the two differ, that is said, and is a defect, or a change that is not in the kernel yet.
What the other end's host says is to be asked there.

The exit status is 0 if the packet is allowed, 4 if it is denied, and 1 if the verdicts differ.

Examples:
  weft policy test web-1 db-1 tcp 5432
  weft policy test 10.0.0.9 db-1 tcp 22
  weft policy test web-1 fd00::9 icmpv6
  weft policy hits db                          how often each rule of a group decided";

/// Show what security groups do to a packet, and how often each rule decided
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show whether a packet would be let through, by which rule, without sending one
    Test(Test),
    /// Show how often rules decided about a packet that belonged to no connection
    Hits {
        /// Only the rules of this group
        group: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Test {
    /// Who sends it: a port of this host, or an address
    source: String,

    /// Who gets it: a port of this host, or an address
    destination: String,

    /// The protocol, by name or number
    protocol: Protocol,

    /// The destination port of tcp, udp and sctp
    port: Option<u16>,

    /// Type, or type and code, of icmp and icmpv6; a ping unless given
    #[arg(long, value_name = "TYPE[:CODE]", value_parser = icmp)]
    icmp: Option<(u8, u8)>,

    /// The network that addresses are of; unless given, that of the port
    #[arg(long)]
    network: Option<String>,
}

impl Policy {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        match &self.action {
            Action::Hits { group } => {
                output.print(&client.rule_hits(group.as_deref())?, |hits| render_hits(hits))
            }
            Action::Test(test) => test.run(client, output),
        }
    }
}

impl Test {
    fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let Self { source, destination, protocol, port, icmp, network } = self;
        let (protocol, port, icmp) = (*protocol, *port, *icmp);
        let told = client.policy_test(&TestPacket {
            source,
            destination,
            protocol,
            port,
            icmp,
            network: network.as_deref(),
        })?;
        output.print(&told, render)?;
        match told.verdict {
            _ if !told.agree => Err(Failure::Disagree.into()),
            RuleVerdict::Allow => Ok(()),
            RuleVerdict::Deny => Err(Failure::Denied.into()),
        }
    }
}

fn icmp(text: &str) -> Result<(u8, u8), String> {
    let (kind, code) = text.split_once(':').unwrap_or((text, "0"));
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number from 0 to 255"));
    Ok((number(kind)?, number(code)?))
}

fn render(PolicyTest { verdict, agree, ends, notes }: &PolicyTest) -> String {
    let mut text = match verdict {
        RuleVerdict::Allow => "allowed".to_owned(),
        RuleVerdict::Deny => "denied".to_owned(),
    };
    text.push_str(if *agree {
        "; the stored rules and the programs in the kernel agree\n\n"
    } else {
        ", but the stored rules and the programs in the kernel DIFFER\n\n"
    });
    let mut table =
        Table::new(["PORT", "DIRECTION", "GROUPS OF THE OTHER END", "RULES SAY", "PROGRAMS SAY", "AGREE"]);
    for EndTest { port, direction, peer_groups, rules, programs, agree } in ends {
        let way = match direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        let agree = if *agree { "yes" } else { "NO" };
        table.row([
            port.clone(),
            way.to_owned(),
            joined(peer_groups),
            said(rules),
            said(programs),
            agree.to_owned(),
        ]);
    }
    text.push_str(&table.to_string());
    notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    text
}

fn said(verdict: &Verdict) -> String {
    let (word, ground) = match verdict {
        Verdict::Allow(ground) => ("allow", ground),
        Verdict::Deny(ground) => ("deny", ground),
        Verdict::Drop(reason) => return format!("drop: {reason}"),
    };
    let stateless = if ground.stateless { ", stateless" } else { "" };
    format!("{word}: {}{stateless}", ground.by)
}

fn render_hits(hits: &[Hits]) -> String {
    let mut hits: Vec<_> = hits.iter().collect();
    hits.sort_by(|one, other| other.hits.cmp(&one.hits).then_with(|| one.by.cmp(&other.by)));
    let mut table = Table::new(["HITS", "DIRECTION", "BY"]);
    for Hits { direction, by, hits } in hits {
        let way = match direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        table.row([hits.to_string(), way.to_owned(), by.to_string()]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_verdicts_side_by_side() {
        let json = r#"{"verdict":"deny","agree":true,"ends":[
            {"port":"web-1","direction":"egress","peer_groups":[],"rules":{"allow":{"by":"default"}},
             "programs":{"allow":{"by":"default"}},"agree":true},
            {"port":"db-1","direction":"ingress","peer_groups":["lb","web"],
             "rules":{"deny":{"by":{"rule":{"group":"db","index":2,"description":"no mail"}},"stateless":true}},
             "programs":{"drop":"malformed"},"agree":false}],"notes":["10.0.0.9 is behind VTEP 192.0.2.2"]}"#;
        assert_eq!(
            render(&serde_json::from_str(json).unwrap()),
            "denied; the stored rules and the programs in the kernel agree\n\
             \n\
             PORT   DIRECTION  GROUPS OF THE OTHER END  RULES SAY                             PROGRAMS SAY                  AGREE\n\
             web-1  egress     -                        allow: the network's default          allow: the network's default  yes\n\
             db-1   ingress    lb, web                  deny: db rule 2 (no mail), stateless  drop: malformed               NO\n\
             note: 10.0.0.9 is behind VTEP 192.0.2.2\n"
        );
    }

    #[test]
    fn a_type_with_or_without_a_code() {
        assert_eq!((icmp("8"), icmp("3:4")), (Ok((8, 0)), Ok((3, 4))));
        assert!(icmp("3:x").unwrap_err().contains("\"x\"") && icmp("300").is_err());
    }

    #[test]
    fn most_hits_first() {
        let json = r#"[{"direction":"ingress","by":"default","hits":3},
            {"direction":"egress","by":{"rule":{"group":"web","index":0}},"hits":12}]"#;
        assert_eq!(
            render_hits(&serde_json::from_str::<Vec<_>>(json).unwrap()),
            "HITS  DIRECTION  BY\n12    egress     web rule 0\n3     ingress    the network's default\n"
        );
    }
}
