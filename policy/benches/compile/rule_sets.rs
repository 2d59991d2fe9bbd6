//! The sets of 100,000 rules that are measured: the same ones at each run.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};
use weft_policy::{Action, Direction, GroupId, GroupSet, Identity, Packet, Peer, Protocol, Rule, RuleSpec};

pub const RULES: u32 = 100_000;
const GROUPS: u32 = 10_000;

/// Rules, and the identities of the peers that there are.
pub struct RuleSet {
    pub name: &'static str,
    pub rules: Vec<Rule>,
    pub identities: BTreeMap<Identity, GroupSet>,
    /// What a user adds to it.
    pub one_more: Vec<(&'static str, Rule)>,
}

/// A packet, with what of it a [`Packet`] borrows.
pub struct Sample {
    pub peer: IpAddr,
    pub identity: Option<Identity>,
    pub groups: GroupSet,
    pub port: u16,
}

impl Sample {
    pub fn packet(&self) -> Packet<'_> {
        Packet { peer: self.peer, groups: &self.groups, protocol: 6, detail: self.port }
    }
}

pub fn all() -> Vec<RuleSet> {
    vec![disjoint(), grid(), groups(), memberships(), mixed()]
}

/// (a) Each rule has a /24 and a port of its own.
fn disjoint() -> RuleSet {
    let mut random = Random::new();
    let rules = (0..RULES).map(|number| {
        let port = random.port();
        rule(&mut random, prefix(number), port..=port)
    });
    prefixes("a: 100,000 prefixes, a port each", rules.collect())
}

/// (b) Each of 1,000 prefixes may reach each of 100 ports.
fn grid() -> RuleSet {
    let mut random = Random::new();
    let rules = (0..RULES).map(|number| {
        let port = 8_000 + u16::try_from(number % 100).unwrap();
        rule(&mut random, prefix(number / 100), port..=port)
    });
    prefixes("b: 1,000 prefixes, 100 ports each", rules.collect())
}

/// (c) Each group may reach ten ranges of ports, of any length. Each peer is in one group.
fn groups() -> RuleSet {
    let identities = (0..GROUPS).map(|group| (Identity(group), GroupSet::from_iter([GroupId(group)])));
    of_groups("c: 10,000 groups, 10 ranges each", identities.collect())
}

/// (d) The same rules, and each of 10,000 identities is in three groups.
fn memberships() -> RuleSet {
    let mut random = Random::new();
    let identities = (0..GROUPS).map(|identity| {
        (Identity(identity), [0; 3].map(|_| GroupId(random.below(GROUPS))).into_iter().collect())
    });
    of_groups("d: as c, peers in 3 groups", identities.collect())
}

/// (e) Of all kinds: prefixes of all lengths from /16 on, many within each other, 1,000 groups, and any peer; single ports,
/// ranges, and all ports.
fn mixed() -> RuleSet {
    let mut random = Random::new();
    let rules = (0..RULES).map(|_| {
        let peer = match random.below(100) {
            0..60 => net(random.below(1 << 18) << 8 | random.below(256), 16 + random.length()),
            60..99 => Peer::Group(GroupId(random.below(1_000))),
            _ => Peer::Any,
        };
        let (one, two) = (random.port(), random.port());
        let ports = match random.below(4) {
            0 | 1 => one..=one,
            2 => one.min(two)..=one.max(two),
            _ => 0..=u16::MAX,
        };
        rule(&mut random, peer, ports)
    });
    let rules = rules.collect();
    let mut random = Random::new();
    let mut groups = || (0..=random.below(4)).map(|_| GroupId(random.below(1_000))).collect();
    let identities = (0..GROUPS).map(|identity| (Identity(identity), groups())).collect();
    let mut random = Random::new();
    let one_more = vec![
        ("a group that is there", rule(&mut random, Peer::Group(GroupId(77)), 4_000..=4_999)),
        ("a new prefix", rule(&mut random, net(77, 32), 443..=443)),
        ("a prefix around 1,024", rule(&mut random, net(0, 14), 443..=443)),
        ("a prefix around all", rule(&mut random, net(0, 7), 443..=443)),
        ("any peer", rule(&mut random, Peer::Any, 443..=443)),
    ];
    RuleSet { name: "e: mixed", rules, identities, one_more }
}

fn prefixes(name: &'static str, rules: Vec<Rule>) -> RuleSet {
    let mut random = Random::new();
    let one_more = vec![
        ("a prefix that is there", rule(&mut random, prefix(77), 4_000..=4_999)),
        ("a new prefix", rule(&mut random, prefix(RULES + 7), 443..=443)),
        ("a prefix around 1,024", rule(&mut random, net(0, 14), 443..=443)),
        ("a prefix around all", rule(&mut random, net(0, 7), 443..=443)),
        ("any peer", rule(&mut random, Peer::Any, 443..=443)),
    ];
    RuleSet { name, rules, identities: BTreeMap::new(), one_more }
}

fn of_groups(name: &'static str, identities: BTreeMap<Identity, GroupSet>) -> RuleSet {
    let mut random = Random::new();
    let rules = (0..RULES).map(|number| {
        let (one, two) = (random.port(), random.port());
        rule(&mut random, Peer::Group(GroupId(number % GROUPS)), one.min(two)..=one.max(two))
    });
    let rules = rules.collect();
    let one_more = vec![
        ("a group that is there", rule(&mut random, Peer::Group(GroupId(77)), 4_000..=4_999)),
        ("any peer", rule(&mut random, Peer::Any, 443..=443)),
    ];
    RuleSet { name, rules, identities, one_more }
}

/// Packets from peers that rules name, every second one to a port that a rule begins with.
pub fn samples(set: &RuleSet, count: usize) -> Vec<Sample> {
    let mut random = Random::new();
    let mut sample = |_| {
        let rule = set.rules[random.below(RULES) as usize];
        let first = rule.ports().map_or(0, |ports| *ports.start());
        let port = if random.below(2) == 0 { first } else { random.port() };
        let anywhere = random.next();
        let peer = match rule.peer() {
            Peer::Prefix(IpNet::V4(net)) => u32::from(net.network()) | anywhere & u32::from(net.hostmask()),
            Peer::Group(_) | Peer::Any => anywhere,
            Peer::Prefix(IpNet::V6(_)) => unreachable!("the sets have no such rules"),
        };
        let identity = Identity(random.below(GROUPS));
        let groups = set.identities.get(&identity);
        Sample {
            peer: Ipv4Addr::from_bits(peer).into(),
            identity: groups.map(|_| identity),
            groups: groups.cloned().unwrap_or_else(GroupSet::empty),
            port,
        }
    };
    (0..count).map(&mut sample).collect()
}

/// The `number`th /24 from 16.0.0.0 on.
fn prefix(number: u32) -> Peer {
    net(number << 8, 24)
}

/// The prefix of a length that the `number`th address from 16.0.0.0 on is in.
fn net(number: u32, len: u8) -> Peer {
    let address = Ipv4Addr::from_bits((16 << 24) + number);
    Peer::Prefix(Ipv4Net::new(address, len).unwrap().trunc().into())
}

fn rule(random: &mut Random, peer: Peer, ports: RangeInclusive<u16>) -> Rule {
    let action = if random.below(8) == 0 { Action::Deny } else { Action::Allow };
    // Rules about any peer come last, or there would be nothing to look for.
    let priority = if peer == Peer::Any { 1_600 } else { u16::try_from(random.below(16)).unwrap() * 100 };
    let protocol = Protocol::Tcp;
    Rule::new(RuleSpec {
        direction: Direction::Ingress,
        action,
        priority,
        protocol,
        ports: Some(ports),
        icmp: None,
        peer,
        stateless: false,
    })
    .unwrap()
}

/// Xorshift: the same numbers everywhere.
struct Random(u32);

impl Random {
    const fn new() -> Self {
        Self(0x9e37_79b9)
    }

    const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from((u64::from(self.next()) * u64::from(end)) >> 32).unwrap()
    }

    /// 0 to 16.
    fn length(&mut self) -> u8 {
        u8::try_from(self.below(17)).unwrap()
    }

    fn port(&mut self) -> u16 {
        u16::try_from(self.below(65_535) + 1).unwrap()
    }
}
