//! What the borders of ASes do to routes: roles, graceful shutdown, MED, next hops, policies.

use std::time::Instant;

use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Change, Key, Match, NextHopPolicy, Policy, Rib, Rule, Verdict};
use weft_bgp::wire::{
    Asn, Attributes, Community, Dialect, Frame, Message, Nlri, Received, Role, Route, Update,
};

use super::support::*;

const PREFIX: &str = "192.0.2.0/24";

fn key_v4() -> Key {
    Key::split(Route::Ipv4(PREFIX.parse().expect("a prefix"))).0
}

fn prefix(attributes: Attributes) -> Update {
    let next_hop = Some([10, 0, 0, 77].into());
    let announced = vec![Nlri { path_id: None, route: PREFIX.parse().expect("a prefix") }];
    Update { attributes: Attributes { next_hop, ..attributes }, announced, ..Update::default() }
}

fn join(rib: &mut Rib, last: u8, role: Option<Role>) -> PeerId {
    let mut facts = facts(PeerKind::External, last);
    facts.role = role;
    rib.handle_up(PeerId(last.into()), facts, Instant::now());
    PeerId(last.into())
}

/// The IPv4 route that `peer` is told of.
fn told(rib: &mut Rib, peer: PeerId) -> Option<Attributes> {
    let (mut bytes, mut told) = (Vec::new(), None);
    while rib.poll_transmit(peer, 4096, &mut bytes) {}
    let mut left = &bytes[..];
    let dialect = Dialect { four_octet_as: true, ..Dialect::plain() };
    while let Some(frame) = Frame::next(left, false).expect("a good header") {
        let len = frame.len();
        if let Message::Update(update) = Received::decode(frame, &dialect).expect("a good message").message
            && !update.announced.is_empty()
        {
            told = Some(update.attributes);
        }
        left = &left[len..];
    }
    told
}

#[test]
fn what_comes_from_above_goes_only_below() {
    for (from, marked, to, goes) in [
        (Role::Provider, None, Role::Customer, true),
        (Role::Provider, None, Role::Peer, false),
        (Role::Peer, None, Role::Provider, false),
        (Role::Peer, Some(65101), Role::Customer, true),
        (Role::Peer, Some(1), Role::Customer, false),
        (Role::Customer, None, Role::Provider, true),
        (Role::Customer, Some(1), Role::Customer, false),
    ] {
        let mut rib = rib();
        let (source, target) = (join(&mut rib, 101, Some(from)), join(&mut rib, 102, Some(to)));
        let only_to_customer = marked.map(Asn::new);
        rib.handle_update(source, prefix(Attributes { only_to_customer, ..attributes(&[65101]) }));
        let told = told(&mut rib, target);
        assert_eq!(told.is_some(), goes, "{from:?} {marked:?} {to:?}");
        if let Some(told) = told.filter(|_| to == Role::Customer) {
            assert_eq!(told.only_to_customer, Some(Asn::new(65101)));
        }
    }
}

#[test]
fn a_border_changes_next_hop_path_and_med() {
    let mut rib = rib();
    let (source, target) = (join(&mut rib, 101, None), join(&mut rib, 102, None));
    let communities = vec![Community::GRACEFUL_SHUTDOWN];
    let local_pref = Some(500);
    let sent = Attributes { med: Some(5), local_pref, communities, ..attributes(&[65101]) };
    rib.handle_update(source, prefix(sent));
    let kept = rib.explain(&key_v4())[0].path.shared.attributes.local_pref;
    assert_eq!(kept, Some(0), "graceful shutdown");
    let got = told(&mut rib, target).expect("announced");
    assert_eq!(got.next_hop, Some(id(250).get()));
    assert_eq!((got.med, got.local_pref), (None, None));
    assert_eq!(got.as_path.expect("a path").to_string(), "65000 65101");
    let mut facts = facts(PeerKind::External, 103);
    facts.next_hop = NextHopPolicy::Unchanged;
    rib.handle_up(PeerId(103), facts, Instant::now());
    let unchanged = told(&mut rib, PeerId(103)).expect("announced").next_hop;
    assert_eq!(unchanged, Some([10, 0, 0, 77].into()));
}

#[test]
fn policies_on_the_way_in_and_out() {
    let mut rib = rib();
    let within = "192.0.2.0/24".parse().expect("a prefix");
    let matches = vec![Match::Prefix { within, least: 24, most: 32 }];
    let change = Change::AddCommunity(Community(9));
    let mark = Policy { rules: vec![Rule { matches, changes: vec![change], verdict: Verdict::Accept }] };
    let matches = vec![Match::Community(Community(9))];
    let drop = Policy { rules: vec![Rule { matches, changes: vec![], verdict: Verdict::Reject }] };
    for (last, import, export) in [
        (101, mark.clone(), Policy::default()),
        (102, Policy::default(), drop.clone()),
        (103, Policy::default(), mark),
        (104, drop, Policy::default()),
    ] {
        let mut facts = facts(PeerKind::External, last);
        (facts.import, facts.export) = (import, export);
        rib.handle_up(PeerId(last.into()), facts, Instant::now());
    }
    rib.handle_update(PeerId(101), prefix(attributes(&[65101])));
    assert_eq!(told(&mut rib, PeerId(102)), None);
    assert_eq!(told(&mut rib, PeerId(103)).expect("announced").communities, [Community(9)]);
    let communities = vec![Community(9)];
    let refused = prefix(Attributes { communities, ..attributes(&[65104]) });
    assert_eq!(rib.handle_update(PeerId(104), refused).rejected, 1);
    assert_eq!(rib.explain(&key_v4()).iter().filter(|path| path.path.rejected).count(), 1);
}
