//! `weft routes`: where each network's packets go.

use anyhow::Result;
use clap::Args;
use weft_api::client::Client;
use weft_api::view::{Route, RouteSource, Via};

use crate::output::Output;
use crate::output::table::{Table, or_dash};

/// Show the routes of the networks on this host
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  weft routes --network red")]
pub(crate) struct Routes {
    /// Only this network's
    #[arg(long)]
    network: Option<String>,
}

impl Routes {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let routes = client.routes(self.network.as_deref())?;
        output.print(&routes, |routes| render(routes))
    }
}

fn render(routes: &[Route]) -> String {
    let mut table = Table::new(["NETWORK", "DESTINATION", "VIA", "VNI", "MAC", "FROM"]);
    for route in routes {
        let source = match &route.source {
            RouteSource::Port(port) => format!("port/{port}"),
            RouteSource::Gateway(subnet) => format!("gateway of subnet/{subnet}"),
            RouteSource::Remote(remote) => format!("remote/{remote}"),
            RouteSource::Peer(peer) => format!("peer/{peer}"),
        };
        for (via, vni) in std::iter::once(&route.via).chain(&route.others).map(place) {
            let (network, destination) = (route.network.clone(), route.destination.to_string());
            table.row([network, destination, via, or_dash(vni), or_dash(route.mac), source.clone()]);
        }
    }
    table.to_string()
}

/// Where a route leads, and the VNI.
fn place(via: &Via) -> (String, Option<String>) {
    match via {
        Via::Port(port) => (format!("port/{port}"), None),
        Via::Gateway => ("this host".to_owned(), None),
        Via::Vtep { vtep, vni } => (format!("vtep {vtep}"), Some(vni.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_route() {
        let routes: Vec<Route> = serde_json::from_str(
            r#"[{"network":"red","destination":"10.0.0.2/32","source":{"port":"web"},"via":{"port":"web"},
                 "mac":"02:00:00:00:00:01"},
                {"network":"red","destination":"10.0.0.1/32","source":{"gateway":"red-a"},"via":"gateway"},
                {"network":"red","destination":"10.9.0.0/16","source":{"remote":"h2"},
                 "via":{"vtep":{"vtep":"192.0.2.2","vni":5000}}},
                {"network":"red","destination":"10.0.0.7/32","source":{"peer":"rr"},
                 "via":{"vtep":{"vtep":"192.0.2.3","vni":5000}},"mac":"02:00:00:00:00:07"},
                {"network":"red","destination":"10.8.0.0/16","source":{"peer":"rr"},
                 "via":{"vtep":{"vtep":"192.0.2.2","vni":5000}},
                 "others":[{"vtep":{"vtep":"192.0.2.3","vni":5003}}]}]"#,
        )
        .unwrap();
        assert_eq!(
            render(&routes),
            "NETWORK  DESTINATION  VIA             VNI   MAC                FROM\n\
             red      10.0.0.2/32  port/web        -     02:00:00:00:00:01  port/web\n\
             red      10.0.0.1/32  this host       -     -                  gateway of subnet/red-a\n\
             red      10.9.0.0/16  vtep 192.0.2.2  5000  -                  remote/h2\n\
             red      10.0.0.7/32  vtep 192.0.2.3  5000  02:00:00:00:00:07  peer/rr\n\
             red      10.8.0.0/16  vtep 192.0.2.2  5000  -                  peer/rr\n\
             red      10.8.0.0/16  vtep 192.0.2.3  5003  -                  peer/rr\n"
        );
    }
}
