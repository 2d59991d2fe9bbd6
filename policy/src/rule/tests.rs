//! What is refused, what is the same, and the ends of every range.

use super::*;
use crate::{GroupId, GroupSet};

fn spec(protocol: Protocol, peer: Peer) -> RuleSpec {
    RuleSpec {
        direction: Direction::Ingress,
        action: Action::Allow,
        priority: 100,
        protocol,
        ports: None,
        icmp: None,
        peer,
        stateless: false,
    }
}

fn prefix(text: &str) -> Peer {
    Peer::Prefix(text.parse().unwrap())
}

fn with_ports(protocol: Protocol, first: u16, last: u16) -> RuleSpec {
    RuleSpec { ports: Some(RangeInclusive::new(first, last)), ..spec(protocol, Peer::Any) }
}

fn with_icmp(protocol: Protocol, kind: u8, code: Option<u8>) -> RuleSpec {
    RuleSpec { icmp: Some(Icmp { kind, code }), ..spec(protocol, Peer::Any) }
}

fn packet<'a>(peer: &str, groups: &'a GroupSet, protocol: u8, detail: u16) -> Packet<'a> {
    Packet { peer: peer.parse().unwrap(), groups, protocol, detail }
}

#[test]
fn errors_name_what_is_wrong() {
    let table = [
        (
            with_ports(Protocol::Icmp, 80, 90),
            "ports 80-90 with protocol icmp: only tcp, udp and sctp (132) have ports; name one of them, or no ports",
        ),
        (
            with_ports(Protocol::Any, 0, 65535),
            "ports 0-65535 with protocol any: only tcp, udp and sctp (132) have ports; name one of them, or no ports",
        ),
        (
            with_ports(Protocol::Number(47), 1, 1),
            "ports 1-1 with protocol 47: only tcp, udp and sctp (132) have ports; name one of them, or no ports",
        ),
        (with_ports(Protocol::Tcp, 90, 80), "ports 90-80 are none: the first is above the last"),
        (with_icmp(Protocol::Tcp, 8, None), "icmp type 8 with protocol tcp: only icmp and icmpv6 have types"),
        (
            with_icmp(Protocol::Any, 8, Some(0)),
            "icmp type 8 with protocol any: only icmp and icmpv6 have types",
        ),
        (
            spec(Protocol::Any, prefix("10.0.0.1/24")),
            "prefix 10.0.0.1/24 has bits set behind its length; it may be meant as 10.0.0.0/24",
        ),
        (
            spec(Protocol::Tcp, prefix("fd00::1/64")),
            "prefix fd00::1/64 has bits set behind its length; it may be meant as fd00::/64",
        ),
        (
            spec(Protocol::Icmp, prefix("fd00::/64")),
            "protocol icmp with prefix fd00::/64 never matches: icmp is of IPv4, icmpv6 of IPv6",
        ),
        (
            spec(Protocol::Number(58), prefix("0.0.0.0/0")),
            "protocol icmpv6 with prefix 0.0.0.0/0 never matches: icmp is of IPv4, icmpv6 of IPv6",
        ),
    ];
    for (spec, message) in table {
        assert_eq!(Rule::new(spec).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_means_the_same_is_the_same() {
    let table = [
        (spec(Protocol::Number(6), Peer::Any), spec(Protocol::Tcp, Peer::Any)),
        (spec(Protocol::Number(58), Peer::Any), spec(Protocol::Icmpv6, Peer::Any)),
        (with_ports(Protocol::Udp, 0, 65535), spec(Protocol::Udp, Peer::Any)),
        (with_ports(Protocol::Number(132), 5, 5), with_ports(Protocol::SCTP, 5, 5)),
    ];
    for (one, other) in table {
        assert_eq!(Rule::new(one).unwrap(), Rule::new(other).unwrap());
    }
    let all_but_one = Rule::new(with_ports(Protocol::Udp, 1, 65535)).unwrap();
    assert_ne!(all_but_one, Rule::new(spec(Protocol::Udp, Peer::Any)).unwrap());
}

#[test]
fn ports_from_end_to_end() {
    let none = GroupSet::empty();
    let table = [
        (with_ports(Protocol::Tcp, 0, 0), vec![0], vec![1, 65535]),
        (with_ports(Protocol::Tcp, 65535, 65535), vec![65535], vec![0, 65534]),
        (with_ports(Protocol::Tcp, 1, 65534), vec![1, 65534], vec![0, 65535]),
        (with_ports(Protocol::Tcp, 0, 65535), vec![0, 1, 65535], vec![]),
        (spec(Protocol::Tcp, Peer::Any), vec![0, 1, 65535], vec![]),
    ];
    for (spec, inside, outside) in table {
        let rule = Rule::new(spec).unwrap();
        assert!(inside.iter().all(|port| rule.matches(&packet("10.0.0.1", &none, 6, *port))), "{rule}");
        assert!(!outside.iter().any(|port| rule.matches(&packet("10.0.0.1", &none, 6, *port))), "{rule}");
        assert!(!rule.matches(&packet("10.0.0.1", &none, 17, inside[0])), "{rule}");
    }
}

#[test]
fn icmp_by_type_code_and_family() {
    let none = GroupSet::empty();
    let any_code = Rule::new(with_icmp(Protocol::Icmp, 3, None)).unwrap();
    let one_code = Rule::new(with_icmp(Protocol::Icmp, 3, Some(4))).unwrap();
    let table = [
        ("10.0.0.1", 1, 3, 4, true, true),
        ("10.0.0.1", 1, 3, 0, true, false),
        ("10.0.0.1", 1, 3, 255, true, false),
        ("10.0.0.1", 1, 4, 4, false, false),
        ("10.0.0.1", 58, 3, 4, false, false),
        ("fd00::1", 1, 3, 4, false, false),
    ];
    for (peer, protocol, kind, code, any, one) in table {
        let packet = packet(peer, &none, protocol, Packet::icmp(kind, code));
        assert_eq!((any_code.matches(&packet), one_code.matches(&packet)), (any, one), "{packet:?}");
    }
}

#[test]
fn peers_by_prefix_and_group() {
    let groups: GroupSet = [GroupId(7), GroupId(3), GroupId(7)].into_iter().collect();
    let table = [
        (Peer::Any, "fd00::1", true),
        (prefix("0.0.0.0/0"), "255.255.255.255", true),
        (prefix("0.0.0.0/0"), "fd00::1", false),
        (prefix("::/0"), "10.0.0.1", false),
        (prefix("10.0.0.1/32"), "10.0.0.1", true),
        (prefix("10.0.0.1/32"), "10.0.0.0", false),
        (prefix("fd00::1/128"), "fd00::1", true),
        (prefix("fd00::1/128"), "fd00::2", false),
        (Peer::Group(GroupId(3)), "10.0.0.1", true),
        (Peer::Group(GroupId(4)), "10.0.0.1", false),
    ];
    for (peer, address, matches) in table {
        let rule = Rule::new(spec(Protocol::Any, peer)).unwrap();
        assert_eq!(rule.matches(&packet(address, &groups, 47, 0)), matches, "{rule} and {address}");
    }
}

#[test]
fn in_words() {
    let table = [
        (spec(Protocol::Any, Peer::Any), "allow any from any, priority 100"),
        (with_ports(Protocol::Tcp, 80, 90), "allow tcp 80-90 from any, priority 100"),
        (
            RuleSpec {
                direction: Direction::Egress,
                action: Action::Deny,
                ..with_ports(Protocol::SCTP, 9, 9)
            },
            "deny sctp 9 to any, priority 100",
        ),
        (
            RuleSpec { peer: prefix("10.0.0.0/8"), stateless: true, ..with_icmp(Protocol::Icmp, 3, Some(4)) },
            "allow icmp type 3 code 4 from 10.0.0.0/8, priority 100, stateless",
        ),
        (
            RuleSpec { peer: Peer::Group(GroupId(5)), ..with_icmp(Protocol::Icmpv6, 128, None) },
            "allow icmpv6 type 128 from group 5, priority 100",
        ),
    ];
    for (spec, text) in table {
        assert_eq!(Rule::new(spec).unwrap().to_string(), text);
    }
}
