//! Rules about what comes to a port.
//!
//! ```text
//! red-2 (friend), red-4, red-3 (friend, on h2), red-5 (on h2) ── SYN, datagrams, pings, … ──► red-1
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::{PATIENCE, wait_closely};

use super::Probe::{Echo, Icmp, Protocol, Sctp, Tcp, Udp};
use super::{Fate, OPEN, OTHERS, Probe, Round, between, family, intent, is_denied_by_policy, tell};

/// Whom a rule is about.
type Whom = fn(&Pod, &'static str) -> bool;

/// A table: what it is about, the rules, what they let in and from whom, and what of everybody they do not.
struct Case {
    what: &'static str,
    rules: &'static str,
    whom: Whom,
    passes: &'static [Probe],
    denied: &'static [Probe],
}

fn everybody(_: &Pod, _: &'static str) -> bool {
    true
}

fn friends(pod: &Pod, _: &'static str) -> bool {
    ["red-2", "red-3"].contains(&pod.name.as_str())
}

fn third(pod: &Pod, _: &'static str) -> bool {
    pod.name == "red-3"
}

fn over_ipv4(_: &Pod, family: &'static str) -> bool {
    family == "IPv4"
}

const GRE: u8 = 47;
const ESP: u8 = 50;
/// Timestamp and node information queries, which no kernel here answers wrongly: ICMP that is neither ping nor error.
const QUERY: [u8; 2] = [13, 139];
const OTHER_QUERY: [u8; 2] = [15, 140];

const CASES: &[Case] = &[
    Case {
        what: "no rule",
        rules: "[]",
        whom: everybody,
        passes: &[],
        denied: &[Tcp(80), Udp(53), Sctp(9), Echo, Icmp(QUERY, 0), Protocol(GRE)],
    },
    Case {
        what: "a rule about anything",
        rules: OPEN,
        whom: everybody,
        passes: &[Tcp(80), Udp(53), Sctp(9), Echo, Icmp(QUERY, 0), Protocol(GRE)],
        denied: &[],
    },
    Case {
        what: "TCP to a port",
        rules: r#"[{"direction":"ingress","protocol":"tcp","ports":80}]"#,
        whom: everybody,
        passes: &[Tcp(80)],
        denied: &[Tcp(79), Tcp(81), Udp(80), Sctp(80), Echo, Protocol(GRE)],
    },
    Case {
        what: "UDP to a port",
        rules: r#"[{"direction":"ingress","protocol":"udp","ports":53}]"#,
        whom: everybody,
        passes: &[Udp(53)],
        denied: &[Udp(52), Udp(54), Tcp(53), Echo, Protocol(GRE)],
    },
    Case {
        what: "a range of ports",
        rules: r#"[{"direction":"ingress","protocol":"udp","ports":"8003-8011"},
                   {"direction":"ingress","protocol":"tcp","ports":"0-65535"}]"#,
        whom: everybody,
        passes: &[Udp(8003), Udp(8007), Udp(8008), Udp(8011), Tcp(1), Tcp(65_535)],
        denied: &[Udp(8002), Udp(8012), Sctp(8007)],
    },
    Case {
        what: "pings",
        rules: r#"[{"direction":"ingress","protocol":"icmp","icmp":{"type":8}},
                   {"direction":"ingress","protocol":"icmpv6","icmp":{"type":128}}]"#,
        whom: everybody,
        passes: &[Echo],
        denied: &[Icmp(QUERY, 0), Tcp(8), Udp(8)],
    },
    Case {
        what: "a type and code of ICMP",
        rules: r#"[{"direction":"ingress","protocol":"icmp","icmp":{"type":13,"code":1}},
                   {"direction":"ingress","protocol":"icmpv6","icmp":{"type":139,"code":1}}]"#,
        whom: everybody,
        passes: &[Icmp(QUERY, 1)],
        denied: &[Icmp(QUERY, 0), Icmp(QUERY, 2), Icmp(OTHER_QUERY, 1), Echo],
    },
    Case {
        what: "a peer's prefix",
        rules: r#"[{"direction":"ingress","protocol":"udp","prefix":"10.0.0.13/32"},
                   {"direction":"ingress","protocol":"udp","prefix":"fd00:a::d/128"}]"#,
        whom: third,
        passes: &[Udp(53)],
        denied: &[Tcp(53), Echo],
    },
    Case {
        what: "a family",
        rules: r#"[{"direction":"ingress","protocol":"udp","prefix":"0.0.0.0/0"}]"#,
        whom: over_ipv4,
        passes: &[Udp(53)],
        denied: &[Tcp(53)],
    },
    Case {
        what: "a peer's group",
        rules: r#"[{"direction":"ingress","protocol":"tcp","ports":80,"group":"friends"}]"#,
        whom: friends,
        passes: &[Tcp(80)],
        denied: &[Tcp(81), Udp(80)],
    },
    Case {
        what: "a denial with a lower priority before an allowance",
        rules: r#"[{"direction":"ingress","protocol":"tcp"},
                   {"direction":"ingress","action":"deny","priority":10,"protocol":"tcp","ports":22}]"#,
        whom: everybody,
        passes: &[Tcp(21), Tcp(23)],
        denied: &[Tcp(22)],
    },
    Case {
        what: "a denial of the same priority, and an allowance before a denial",
        rules: r#"[{"direction":"ingress","protocol":"udp"},
                   {"direction":"ingress","action":"deny","protocol":"udp","ports":"100-200"},
                   {"direction":"ingress","priority":10,"protocol":"udp","ports":150}]"#,
        whom: everybody,
        passes: &[Udp(99), Udp(150), Udp(201)],
        denied: &[Udp(100), Udp(149), Udp(151), Udp(200)],
    },
    Case {
        what: "a group that is denied what all others may",
        rules: r#"[{"direction":"ingress","protocol":"tcp"},
                   {"direction":"ingress","action":"deny","priority":1,"group":"others"},
                   {"direction":"ingress","priority":0,"protocol":"tcp","ports":443,"group":"friends"}]"#,
        whom: friends,
        passes: &[Tcp(443)],
        denied: &[Tcp(444)],
    },
    Case {
        what: "another protocol",
        rules: r#"[{"direction":"ingress","protocol":47},
                   {"direction":"ingress","protocol":"sctp","ports":9}]"#,
        whom: everybody,
        passes: &[Protocol(GRE), Sctp(9)],
        denied: &[Protocol(ESP), Sctp(10), Tcp(9), Echo],
    },
];

/// In: for each kind of rule, from every other pod over both families, packets that match it and packets that do not. Out:
/// those that match arrive, and the others are denied by the host of red-1.
pub fn let_in_what_they_are_about(cloud: &Cloud<'_>) -> Result<()> {
    let to = cloud.pod("red-1");
    for case in CASES {
        tell(cloud, &intent(case.rules, OPEN)?)?;
        let mut round = Round::begin(cloud, &["red-1"])?;
        for from in OTHERS.map(|(name, _)| cloud.pod(name)) {
            for way in between(from, to) {
                let met = (case.whom)(from, family(way.source));
                let fates = case.passes.iter().map(|probe| (probe, met));
                for (probe, passes) in fates.chain(case.denied.iter().map(|probe| (probe, false))) {
                    let fate = if passes { Fate::Arrives } else { is_denied_by_policy(to.host) };
                    round.send(&format!("{probe:?}"), from, &probe.frame(way)?, fate)?;
                }
            }
        }
        let (passed, denied) = round.end().with_context(|| case.what)?;
        println!("{}: {passed} arrived, {denied} were denied", case.what);
    }
    Ok(())
}

/// In: a group whose one rule names itself; red-1, and in turn nobody else, a pod of its own host and one of the other, are
/// members. Out: packets of those arrive that are members then, and of no others.
pub fn members_of_a_group_that_names_itself(cloud: &Cloud<'_>) -> Result<()> {
    let to = cloud.pod("red-1");
    for members in [&[][..], &["red-2"], &["red-3"], &["red-2", "red-3"]] {
        let rules = r#"[{"direction":"ingress","group":"mesh"}]"#;
        let mut intent = intent("[]", OPEN)?.security_group("mesh", "red", 4, rules)?;
        for name in members.iter().chain(&["red-1"]) {
            intent = intent.member(name, &["mesh"]);
        }
        tell(cloud, &intent)?;
        // Membership of a pod of the other host comes, and goes, with its route.
        let far = cloud.pod("red-3");
        wait_closely(PATIENCE, "the groups of red-3", || {
            let answered = far.namespace.ping_sized(to.v4.into(), 56, Duration::from_millis(200))?.is_ok();
            Ok(answered == members.contains(&"red-3"))
        })?;
        let mut round = Round::begin(cloud, &["red-1"])?;
        for (name, _) in OTHERS {
            for way in between(cloud.pod(name), to) {
                let fate = if members.contains(&name) { Fate::Arrives } else { is_denied_by_policy(to.host) };
                for probe in [Tcp(80), Udp(53), Echo, Protocol(GRE)] {
                    round.send(&format!("{probe:?}"), cloud.pod(name), &probe.frame(way)?, fate)?;
                }
            }
        }
        let (passed, denied) = round.end().with_context(|| format!("{members:?}"))?;
        println!("members {members:?}: {passed} arrived, {denied} were denied");
    }
    Ok(())
}
