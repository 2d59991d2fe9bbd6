//! Rules and packets from a world so small that they meet: prefixes within each other, ranges that overlap and touch,
//! few priorities.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use weft_policy::{
    Action, Direction, GroupId, GroupSet, Icmp, Identity, Packet, Peer, Protocol, Rule, RuleSpec, Size,
};

pub const NO_LIMIT: Size = Size { peers: usize::MAX, identities: usize::MAX, services: usize::MAX };

const PREFIXES: [&str; 11] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "192.0.2.0/24",
    "::/0",
    "fd00::/8",
    "fd00::/64",
    "fd00::1/128",
];
const ADDRESSES: [&str; 9] = [
    "10.1.2.3",
    "10.1.2.4",
    "10.1.9.9",
    "10.200.0.1",
    "192.0.2.255",
    "8.8.8.8",
    "fd00::1",
    "fd00::2",
    "2001:db8::1",
];
const PORTS: [u16; 11] = [0, 1, 22, 79, 80, 81, 1023, 1024, 0x0800, 65534, 65535];
const NUMBERS: [u8; 7] = [1, 6, 17, 47, 58, 132, 0];
/// Of these, rules name the first four.
const GROUPS: u32 = 5;

/// A packet, with what of it a [`Packet`] borrows.
#[derive(Debug, Clone)]
pub struct Case {
    pub peer: IpAddr,
    pub identity: Option<Identity>,
    pub groups: GroupSet,
    pub protocol: u8,
    pub detail: u16,
}

impl Case {
    pub fn packet(&self) -> Packet<'_> {
        Packet { peer: self.peer, groups: &self.groups, protocol: self.protocol, detail: self.detail }
    }
}

/// The sets of groups that the tables know: the bits of an identity's number are its groups.
pub fn identities() -> BTreeMap<Identity, GroupSet> {
    [1u32, 2, 3, 5, 6, 12, 15, 16, 17].map(|bits| (Identity(bits), groups_of(bits))).into()
}

/// Some of the identities.
pub fn some_identities() -> impl Strategy<Value = BTreeMap<Identity, GroupSet>> {
    any::<u32>().prop_map(|mask| {
        let mut some = identities();
        some.retain(|identity, _| mask >> identity.0 & 1 == 0);
        some
    })
}

fn groups_of(bits: u32) -> GroupSet {
    (0..GROUPS).filter(|group| bits >> group & 1 == 1).map(GroupId).collect()
}

pub fn packet() -> impl Strategy<Value = Case> {
    let identities: Vec<_> = identities().into_keys().collect();
    (select(&ADDRESSES[..]), option::of(select(identities)), select(&NUMBERS[..]), select(&PORTS[..]))
        .prop_map(|(peer, identity, protocol, detail)| Case {
            peer: peer.parse().unwrap(),
            identity,
            groups: groups_of(identity.map_or(0, |identity| identity.0)),
            protocol,
            detail,
        })
}

pub fn packets() -> impl Strategy<Value = Vec<Case>> {
    vec(packet(), 24)
}

pub fn rules() -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 0..14)
}

/// A rule; what makes no sense is left out of it.
pub fn rule() -> impl Strategy<Value = Rule> {
    let direction = prop_oneof![9 => Just(Direction::Ingress), 1 => Just(Direction::Egress)];
    let action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
    let service = (option::of(select(&NUMBERS[..])), select(&PORTS[..]), select(&PORTS[..]), any::<bool>());
    (direction, action, 0u16..3, service, peer(), any::<bool>()).prop_map(
        |(direction, action, priority, (number, one, two, detailed), peer, stateless)| {
            let protocol = number.map_or(Protocol::Any, Protocol::Number);
            let [kind, code] = one.to_be_bytes();
            let detailed = detailed.then_some(());
            let spec = RuleSpec {
                direction,
                action,
                priority,
                protocol,
                ports: detailed
                    .filter(|()| matches!(number, Some(6 | 17 | 132)))
                    .map(|()| one.min(two)..=one.max(two)),
                icmp: detailed
                    .filter(|()| matches!(number, Some(1 | 58)))
                    .map(|()| Icmp { kind, code: (code != 0).then_some(code) }),
                peer,
                stateless,
            };
            or_any_peer(spec)
        },
    )
}

/// The same rule about other peers.
pub fn with_peer(rule: &Rule, peer: Peer) -> Rule {
    or_any_peer(RuleSpec {
        direction: rule.direction(),
        action: rule.action(),
        priority: rule.priority(),
        protocol: rule.protocol(),
        ports: rule.ports(),
        icmp: rule.icmp(),
        peer,
        stateless: rule.stateless(),
    })
}

/// ICMP with the other family's prefix makes no sense.
fn or_any_peer(spec: RuleSpec) -> Rule {
    Rule::new(spec.clone()).or_else(|_| Rule::new(RuleSpec { peer: Peer::Any, ..spec })).unwrap()
}

pub fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        1 => Just(Peer::Any),
        3 => select(&PREFIXES[..]).prop_map(|prefix| Peer::Prefix(prefix.parse().unwrap())),
        2 => (0..GROUPS - 1).prop_map(|group| Peer::Group(GroupId(group))),
    ]
}
