//! What changes to a good intent come to.

use super::*;
use crate::model::tests::bgp::{good, speaking_host};
use crate::model::tests::security::{self, WITH_GROUPS};
use crate::model::tests::{GOOD, host, intent, resource};

fn stored() -> Intent {
    Model::build(&intent(GOOD), &host(), &[]).unwrap().to_intent()
}

fn build(changes: &[Change]) -> Result<Candidate, Refused> {
    Candidate::build(&stored(), &Model::default(), &host(), changes)
}

fn messages(refused: Refused) -> Vec<String> {
    match refused {
        Refused::Invalid(problems) | Refused::Needed(problems) | Refused::Elsewhere(problems) => {
            problems.into_iter().map(|problem| format!("{}: {}", problem.object, problem.message)).collect()
        }
        Refused::Missing(ids) | Refused::Exists(ids) => ids.iter().map(ToString::to_string).collect(),
    }
}

fn delete(ids: &[&str]) -> Vec<Change> {
    let ids = ids.iter().map(|id| id.split_once('/').unwrap());
    ids.map(|(kind, name)| Change::Delete(reference(kind.parse().unwrap(), name))).collect()
}

#[test]
fn a_port_without_addresses_keeps_those_it_has() {
    let apply = Change::Apply(resource(r#"{"kind":"port","name":"red-1","subnet":"red-a"}"#));
    let candidate = build(&[apply]).unwrap();
    assert_eq!(candidate.changes[0].action, Action::Unchanged);
    assert_eq!(candidate.writes, []);
    assert_eq!(candidate.intent, stored());
    // One given address leaves the other family's alone.
    let apply = Change::Apply(resource(
        r#"{"kind":"port","name":"red-1","subnet":"red-a","addresses":["10.0.0.77"]}"#,
    ));
    let candidate = build(&[apply]).unwrap();
    let addresses = &candidate.intent.ports["red-1"].addresses;
    assert_eq!(addresses, &["10.0.0.77".parse::<IpAddr>().unwrap(), "fd00:1::5".parse().unwrap()]);
}

#[test]
fn a_port_that_moves_to_another_subnet_gets_new_addresses() {
    let apply = Change::Apply(resource(r#"{"kind":"port","name":"red-1","subnet":"blue-a"}"#));
    let candidate = build(&[apply]).unwrap();
    assert_eq!(candidate.intent.ports["red-1"].addresses, ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    assert!(candidate.intent.ports["red-1"].attachment.is_some());
}

#[test]
fn a_family_that_a_subnet_gains_reaches_its_ports() {
    let apply = Change::Apply(resource(
        r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.0.0.0/24","ipv6":"fd00::/64"}"#,
    ));
    let candidate = build(&[apply]).unwrap();
    let told: Vec<_> = candidate.changes.iter().map(|change| change.resource.as_str()).collect();
    assert_eq!(told, ["subnet/blue-a", "port/blue-1"]);
    assert_eq!(candidate.intent.ports["blue-1"].addresses[1], "fd00::2".parse::<IpAddr>().unwrap());
}

#[test]
fn a_prefix_that_leaves_a_port_outside_is_refused() {
    let apply = Change::Apply(resource(
        r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.1.0.0/24"}"#,
    ));
    assert_eq!(
        messages(build(&[apply]).unwrap_err()),
        [
            "port/blue-1: address 10.0.0.5 is outside 10.1.0.0/24 in subnet/blue-a; choose one inside it, or leave it out \
          to get a free one"
        ]
    );
}

#[test]
fn deletions_leave_no_orphans() {
    assert_eq!(
        messages(build(&delete(&["network/red"])).unwrap_err()),
        ["network/red: subnet/red-a, remote/host2 would be left without it; delete them first, or together"]
    );
    assert_eq!(
        messages(build(&delete(&["subnet/red-a"])).unwrap_err()),
        ["subnet/red-a: port/red-1, remote/host2 would be left without it; delete them first, or together"]
    );
    let together = build(&delete(&["network/red", "subnet/red-a", "remote/host2", "port/red-1"])).unwrap();
    assert_eq!(together.writes.len(), 4);
    assert!(together.changes.iter().all(|change| change.action == Action::Delete));
}

#[test]
fn presence_is_checked() {
    let network = r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#;
    let create = build(&[Change::Create(resource(network))]).unwrap_err();
    assert_eq!(create, Refused::Exists(vec![reference(Kind::Network, "red")]));
    let replace = build(&[Change::Replace(resource(&network.replace("\"red\"", "\"green\"")))]).unwrap_err();
    assert_eq!(replace, Refused::Missing(vec![reference(Kind::Network, "green")]));
    let missing = build(&delete(&["port/none"])).unwrap_err();
    assert_eq!(missing, Refused::Missing(vec![reference(Kind::Port, "none")]));
    let detach = build(&[Change::Detach { port: "none".into() }]).unwrap_err();
    assert_eq!(detach, Refused::Missing(vec![reference(Kind::Port, "none")]));
    let twice = build(&[Change::Apply(resource(network)), Change::Apply(resource(network))]).unwrap_err();
    assert_eq!(messages(twice), ["network/red: it is in the input more than once; keep one of them"]);
}

#[test]
fn a_port_in_use_is_moved_only_if_that_is_meant() {
    let attach = |netns: &str, may_move| {
        let attachment = Attachment { netns: netns.into(), device: "eth0".into() };
        build(&[Change::Attach { port: "red-1".into(), attachment, may_move }])
    };
    assert_eq!(
        messages(attach("/run/netns/other", false).unwrap_err()),
        [
            "port/red-1: it is attached to /run/netns/red-1 as eth0; detach it first, or attach with --move (in the API: \
          move=true), which takes it away from there"
        ]
    );
    assert_eq!(attach("/run/netns/red-1", false).unwrap().writes, []);
    assert_eq!(attach("/run/netns/other", true).unwrap().writes.len(), 1);
}

#[test]
fn attaching_and_detaching() {
    let attachment: Attachment = serde_json::from_str(r#"{"netns":"/run/netns/blue-1"}"#).unwrap();
    let current = stored();
    let attach = Change::Attach { port: "blue-1".into(), attachment: attachment.clone(), may_move: false };
    let candidate = Candidate::build(&current, &Model::default(), &host(), &[attach]).unwrap();
    assert_eq!(candidate.new_attachments(&current).collect::<Vec<_>>(), [("blue-1", &attachment)]);
    let detach = Change::Detach { port: "red-1".into() };
    let candidate = Candidate::build(&current, &Model::default(), &host(), &[detach]).unwrap();
    assert_eq!(candidate.new_attachments(&current).count(), 0);
    assert_eq!(candidate.intent.ports["red-1"].attachment, None);
    assert_eq!(candidate.changes[0].action, Action::Replace);
}

const GROUP: &str = r#"{"kind":"peer-group","name":"rr","asn":"internal","password":"of-group"}"#;
const PEER: &str =
    r#"{"kind":"peer","name":"rr-1","address":"192.0.2.254","group":"rr","password":"of-peer"}"#;

#[test]
fn a_masked_password_is_the_stored_one() {
    let host = speaking_host();
    let stored = Model::build(&intent(&[GROUP, PEER]), &host, &[]).unwrap().to_intent();
    let apply = |document: &str| Change::Apply(resource(document));
    let shown: Vec<_> = stored.ids().filter_map(|id| stored.get(&id)).map(Resource::masked).collect();
    assert!(!serde_json::to_string(&shown).unwrap().contains("of-"));
    let again: Vec<_> = shown.into_iter().map(Change::Apply).collect();
    let candidate = Candidate::build(&stored, &Model::default(), &host, &again).unwrap();
    assert_eq!((candidate.writes.as_slice(), &candidate.intent), ([].as_slice(), &stored));
    // Other fields change beside it, and another password is another password.
    let changed =
        [PEER.replace("of-peer", "********").replace("254", "253"), GROUP.replace("of-group", "new")];
    let candidate =
        Candidate::build(&stored, &Model::default(), &host, &changed.each_ref().map(|text| apply(text)))
            .unwrap();
    let peer = &candidate.intent.peers["rr-1"];
    assert_eq!(peer.address, "192.0.2.253".parse::<IpAddr>().unwrap());
    assert_eq!(peer.password.as_ref().unwrap().reveal(), "of-peer");
    assert_eq!(candidate.intent.peer_groups["rr"].password.as_ref().unwrap().reveal(), "new");
    // Without a stored one the mask is no password; left out, it goes.
    let fresh = apply(&PEER.replace("of-peer", "********").replace("rr-1", "rr-2").replace("254", "253"));
    let refused = messages(Candidate::build(&stored, &Model::default(), &host, &[fresh]).unwrap_err());
    assert!(
        refused[0].starts_with("peer/rr-2: this is what weft shows in place of a password"),
        "{refused:?}"
    );
    let without = apply(&PEER.replace(r#","password":"of-peer""#, ""));
    let candidate = Candidate::build(&stored, &Model::default(), &host, &[without]).unwrap();
    assert_eq!(candidate.intent.peers["rr-1"].password, None);
}

#[test]
fn what_bgp_needs_is_not_deleted() {
    let host = speaking_host();
    let stored = Model::build(&good(), &host, &[]).unwrap().to_intent();
    let refused = |ids: &[&str]| {
        messages(Candidate::build(&stored, &Model::default(), &host, &delete(ids)).unwrap_err())
    };
    assert_eq!(
        refused(&["peer-group/rr"]),
        ["peer-group/rr: peer/rr-1 would be left without it; delete them first, or together"]
    );
    assert_eq!(
        refused(&["network/green"]),
        [
            "network/green: subnet/green-a, peering/red-green would be left without it; delete them first, or together"
        ]
    );
    for ids in
        [&["peer/rr-1", "peer-group/rr"][..], &["peering/red-green", "subnet/green-a", "network/green"]]
    {
        assert!(Candidate::build(&stored, &Model::default(), &host, &delete(ids)).is_ok(), "{ids:?}");
    }
}

#[test]
fn a_group_stays_while_ports_or_rules_name_it() {
    let stored = Model::build(&security::good(), &host(), &[]).unwrap().to_intent();
    let build = |ids: &[&str]| Candidate::build(&stored, &Model::default(), &host(), &delete(ids));
    assert_eq!(
        messages(build(&["security-group/lb"]).unwrap_err()),
        [
            "security-group/lb: port/web-1, port/web-2, security-group/web would be left without it; delete them first, \
             or together"
        ]
    );
    let all = ["security-group/lb", "security-group/web", "port/web-1", "port/web-2", "port/open-1"];
    assert!(build(&all).is_ok());
    assert!(build(&["security-group/other"]).is_ok());
    // Whoever takes the ports out of it may delete it in one go.
    let mut changes = delete(&["security-group/lb"]);
    for document in [&WITH_GROUPS[5], &WITH_GROUPS[6]] {
        let port = document.replace(r#"["web","lb"]"#, "[]").replace(r#"["lb","web"]"#, "[]");
        changes.push(Change::Apply(resource(&port)));
    }
    changes.push(Change::Apply(resource(r#"{"kind":"security-group","name":"web","tenant":"red","id":2}"#)));
    let candidate = Candidate::build(&stored, &Model::default(), &host(), &changes).unwrap();
    assert!(candidate.model.ports["web-1"].security.groups.is_empty());
    assert_eq!(candidate.writes.len(), 4);
}
