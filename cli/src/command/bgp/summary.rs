//! Every peer at a glance: a line for each of its families, for a table can be searched.

use weft_api::view::bgp::{PeerSummary, RouteCounts, Summary};

use crate::command::status::duration;
use crate::output::table::{Table, or_dash};

pub(super) fn render(summary: &Summary) -> String {
    let mut table = Table::new([
        "PEER",
        "ADDRESS",
        "AS",
        "STATE",
        "SINCE",
        "FAMILY",
        "RECEIVED",
        "ACCEPTED",
        "SENT",
        "LAST ERROR",
    ]);
    for peer in &summary.peers {
        if peer.routes.is_empty() {
            table.row(row(peer, None));
        }
        for (family, counts) in &peer.routes {
            table.row(row(peer, Some((family, counts))));
        }
    }
    let head = format!("AS {}, router id {}\n\n", summary.asn, summary.router_id);
    if summary.peers.is_empty() { head + "there is no peer\n" } else { head + &table.to_string() }
}

fn row(peer: &PeerSummary, family: Option<(&String, &RouteCounts)>) -> [String; 10] {
    let counts = family.map(|(_, counts)| counts);
    [
        peer.name.clone(),
        peer.address.to_string(),
        or_dash(peer.asn),
        peer.state.to_string(),
        duration(peer.since_seconds),
        or_dash(family.map(|(family, _)| family)),
        or_dash(counts.map(|counts| counts.received)),
        or_dash(counts.map(|counts| counts.accepted)),
        or_dash(counts.map(|counts| counts.sent)),
        or_dash(peer.last_error.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_family() {
        let summary: Summary = serde_json::from_str(
            r#"{"asn":65000,"router_id":"192.0.2.1","peers":[
                {"name":"rr-1","address":"192.0.2.254","dynamic":false,"asn":65000,"state":"established",
                 "since_seconds":7260,"routes":{"evpn":{"received":10,"accepted":9,"sent":3},
                 "route-targets":{"received":1,"accepted":1,"sent":2}}},
                {"name":"leaf/192.0.2.7","address":"192.0.2.7","dynamic":true,"group":"leaf","state":"open-sent","since_seconds":4,
                 "routes":{},"last_error":"hold timer expired (4/0)"}]}"#,
        )
        .unwrap();
        assert_eq!(
            render(&summary),
            "AS 65000, router id 192.0.2.1\n\
             \n\
             PEER            ADDRESS      AS     STATE        SINCE  FAMILY         RECEIVED  ACCEPTED  SENT  LAST ERROR\n\
             rr-1            192.0.2.254  65000  established  2h 1m  evpn           10        9         3     -\n\
             rr-1            192.0.2.254  65000  established  2h 1m  route-targets  1         1         2     -\n\
             leaf/192.0.2.7  192.0.2.7    -      open-sent    4s     -              -         -         -     hold timer \
             expired (4/0)\n"
        );
        let none = Summary { peers: vec![], ..summary };
        assert_eq!(render(&none), "AS 65000, router id 192.0.2.1\n\nthere is no peer\n");
    }
}
