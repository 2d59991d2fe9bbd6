//! Tables of BGP neighbours, their groups, and peerings of networks.

use weft_api::resource::bgp::PeerFamily;
use weft_api::resource::{PeerAs, Resource};
use weft_api::view::Stored;

use crate::output::table::{Table, joined, or_dash};

pub(super) fn peerings(stored: &[Stored]) -> Table<4> {
    let mut table = Table::new(["NAME", "NETWORKS", "ORDER", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Peering(peering) = resource {
            table.row([
                peering.name.clone(),
                joined(&peering.networks),
                or_dash(peering.order),
                revision.to_string(),
            ]);
        }
    }
    table
}

/// What a group leaves out is a dash: its peers have it, or the default.
pub(super) fn groups(stored: &[Stored]) -> Table<6> {
    let mut table = Table::new(["NAME", "AS", "RANGES", "FAMILIES", "DESCRIPTION", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::PeerGroup(group) = resource {
            table.row([
                group.name.clone(),
                or_dash(group.asn.map(asn)),
                joined(&group.ranges),
                families(group.families.as_deref()),
                or_dash(group.description.as_ref()),
                revision.to_string(),
            ]);
        }
    }
    table
}

/// What a peer leaves out is a dash: its group has it, or the default.
pub(super) fn peers(stored: &[Stored]) -> Table<8> {
    let mut table =
        Table::new(["NAME", "ADDRESS", "AS", "GROUP", "FAMILIES", "SHUTDOWN", "DESCRIPTION", "REVISION"]);
    for Stored { resource, revision } in stored {
        if let Resource::Peer(peer) = resource {
            table.row([
                peer.name.clone(),
                peer.address.to_string(),
                or_dash(peer.asn.map(asn)),
                or_dash(peer.group.as_ref()),
                families(peer.families.as_deref()),
                or_dash(peer.shutdown.as_ref().map(|text| if text.is_empty() { "yes" } else { text })),
                or_dash(peer.description.as_ref()),
                revision.to_string(),
            ]);
        }
    }
    table
}

fn asn(asn: PeerAs) -> String {
    match asn {
        PeerAs::Number(number) => number.to_string(),
        PeerAs::Internal => "internal".to_owned(),
        PeerAs::External => "external".to_owned(),
    }
}

fn families(families: Option<&[PeerFamily]>) -> String {
    let words = families.unwrap_or_default().iter().map(|family| match family {
        PeerFamily::Evpn => "evpn",
        PeerFamily::Ipv4Unicast => "ipv4-unicast",
        PeerFamily::Ipv6Unicast => "ipv6-unicast",
    });
    joined(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> [Stored; 1] {
        [serde_json::from_str(json).unwrap()]
    }

    #[test]
    fn a_table_for_each_kind() {
        let peering = stored(
            r#"{"kind":"peering","name":"shared","networks":["red","shared"],"order":7,"revision":1}"#,
        );
        let text = "NAME    NETWORKS     ORDER  REVISION\nshared  red, shared  7      1\n";
        assert_eq!(peerings(&peering).to_string(), text);
        let group = stored(
            r#"{"kind":"peer-group","name":"leaf","asn":"external","ranges":["10.250.0.0/16"],"revision":2}"#,
        );
        assert_eq!(
            groups(&group).to_string(),
            "NAME  AS        RANGES         FAMILIES  DESCRIPTION  REVISION\n\
             leaf  external  10.250.0.0/16  -         -            2\n"
        );
        let peer = stored(
            r#"{"kind":"peer","name":"tor-1","address":"192.0.2.254","asn":65001,"families":["evpn","ipv4-unicast"],
                "shutdown":"","description":"rack 7","password":"********","revision":3}"#,
        );
        assert_eq!(
            peers(&peer).to_string(),
            "NAME   ADDRESS      AS     GROUP  FAMILIES            SHUTDOWN  DESCRIPTION  REVISION\n\
             tor-1  192.0.2.254  65001  -      evpn, ipv4-unicast  yes       rack 7       3\n"
        );
    }
}
