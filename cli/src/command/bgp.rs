//! `weft bgp`: the host's BGP neighbours, what they say, and what is believed.

mod explain;
mod neighbor;
mod rib;
mod summary;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use weft_api::client::{self, Client, RibTable};
use weft_api::view::bgp::Clear;

use crate::output::Output;

const AFTER_HELP: &str = "\
Peers are called as their resources are (`weft get peers`); one that no resource names, but connected
from a range of a group, by group and address: leaves/192.0.2.7.

Examples:
  weft bgp summary                             every peer, its session and how many routes
  weft bgp neighbors rr-1                      all about one
  weft bgp rib --in rr-1 --family evpn         what it sent
  weft bgp explain 10.0.0.9                    where an address is, and why there
  weft bgp clear rr-1 --soft                   exchange routes anew without a new session";

/// Show BGP peers and routes, explain where an address is, and restart sessions
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Bgp {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every peer at a glance
    Summary,
    /// Show all about every peer, or about one
    #[command(visible_alias = "neighbours")]
    Neighbors {
        /// Only this peer
        name: Option<String>,
    },
    /// Show routes with the paths of all peers, or what one peer sent or was sent
    Rib(Rib),
    /// Show who says where an address, a prefix or a MAC is, who is believed, and why
    Explain {
        /// Such as 10.0.0.9, 10.9.0.0/16 or 02:00:00:00:00:09
        #[arg(value_name = "ADDRESS|PREFIX|MAC")]
        subject: String,

        /// Only in this network
        #[arg(long)]
        network: Option<String>,
    },
    /// End sessions, which then begin anew; or only exchange routes anew
    Clear {
        /// Only this peer; all unless given
        peer: Option<String>,

        /// Keep the session, send all routes again and ask for all of them
        #[arg(long)]
        soft: bool,
    },
}

#[derive(Debug, Args)]
struct Rib {
    /// Only what this peer sent, as it is kept
    #[arg(long = "in", value_name = "PEER", conflicts_with = "to")]
    from: Option<String>,

    /// Only what this peer was sent
    #[arg(long = "out", value_name = "PEER")]
    to: Option<String>,

    /// Only of this family
    #[arg(long, value_enum)]
    family: Option<Family>,

    /// Only what this network and its subnets use
    #[arg(long)]
    network: Option<String>,
}

/// A family, as in resources.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Family {
    Evpn,
    Ipv4Unicast,
    Ipv6Unicast,
    RouteTargets,
}

impl Bgp {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        match &self.action {
            Action::Summary => output.print(&client.bgp_summary()?, summary::render),
            Action::Neighbors { name: None } => {
                output.print(&client.bgp_neighbors()?, |all| neighbor::render_all(all))
            }
            Action::Neighbors { name: Some(name) } => {
                output.print(&client.bgp_neighbor(name)?, neighbor::render)
            }
            Action::Rib(rib) => output.print(&client.bgp_rib(&rib.wanted())?, |routes| rib::render(routes)),
            Action::Explain { subject, network } => {
                let explanations = client.bgp_explain(subject, network.as_deref())?;
                output.print(&explanations, |explanations| explain::render(explanations))
            }
            Action::Clear { peer, soft } => {
                let clear = Clear { peer: peer.clone(), soft: *soft };
                output.print(&client.bgp_clear(&clear)?, |names| cleared(names, *soft))
            }
        }
    }
}

impl Rib {
    fn wanted(&self) -> client::Rib<'_> {
        let table = match (&self.from, &self.to) {
            (Some(peer), _) => RibTable::In(peer),
            (None, Some(peer)) => RibTable::Out(peer),
            (None, None) => RibTable::Local,
        };
        let family = self.family.map(|family| match family {
            Family::Evpn => "evpn",
            Family::Ipv4Unicast => "ipv4-unicast",
            Family::Ipv6Unicast => "ipv6-unicast",
            Family::RouteTargets => "route-targets",
        });
        client::Rib { table, family, network: self.network.as_deref() }
    }
}

fn cleared(names: &[String], soft: bool) -> String {
    let what = if soft { "routes are exchanged anew" } else { "the session begins anew" };
    if names.is_empty() {
        let none = if soft { "there is no session\n" } else { "there is no peer\n" };
        return none.to_owned();
    }
    names.iter().map(|name| format!("{name}: {what}\n")).collect()
}
