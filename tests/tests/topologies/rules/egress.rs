//! Rules about what a port sends.
//!
//! ```text
//! red-1 ── SYN, datagrams, pings, … ──► red-2 (friend), red-4, red-3 (friend, on h2), red-5 (on h2)
//! ```

use anyhow::{Context as _, Result};
use weft_tests::cloud::Cloud;

use super::Probe::{Echo, Protocol, Tcp, Udp};
use super::{Fate, OPEN, OTHERS, Probe, Round, between, intent, is_denied_by_policy, tell};

/// A table: what it is about, the rules, whom they let red-1 reach, what, and what nobody.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [Probe], &'static [Probe]);

/// A protocol without ports of which nobody has had connections yet: these are known by their addresses alone.
const L2TP: u8 = 115;
const EVERYBODY: &[&str] = &["red-2", "red-3", "red-4", "red-5"];
const CASES: &[Case] = &[
    ("no rule", "[]", EVERYBODY, &[Tcp(25), Udp(53), Echo, Protocol(L2TP)], &[]),
    (
        "a denial",
        r#"[{"direction":"egress","action":"deny","priority":10,"protocol":"tcp","ports":25}]"#,
        EVERYBODY,
        &[Tcp(24), Tcp(26), Udp(25), Echo, Protocol(L2TP)],
        &[Tcp(25)],
    ),
    (
        "a denial of everything behind an allowance",
        r#"[{"direction":"egress","action":"deny","priority":2000},
            {"direction":"egress","protocol":"udp","ports":"50-53"}]"#,
        EVERYBODY,
        &[Udp(50), Udp(53)],
        &[Udp(49), Udp(54), Tcp(53), Echo, Protocol(L2TP)],
    ),
    (
        "a group that may be reached",
        r#"[{"direction":"egress","action":"deny","priority":2000},
            {"direction":"egress","protocol":"tcp","group":"friends"}]"#,
        &["red-2", "red-3"],
        &[Tcp(80)],
        &[Udp(80), Echo],
    ),
    (
        "a prefix that may not be reached",
        r#"[{"direction":"egress","action":"deny","priority":1,"prefix":"10.0.0.14/31"},
            {"direction":"egress","action":"deny","priority":1,"prefix":"fd00:a::e/127"}]"#,
        &["red-2", "red-3"],
        &[Tcp(80), Echo, Protocol(L2TP)],
        &[],
    ),
];

/// In: for each table, from red-1 to every other pod over both families, packets that its rules let out and packets that they
/// do not. Out: the first arrive, and the others are denied by the host of red-1, also for a pod of the other host.
pub fn let_out_what_they_are_about(cloud: &Cloud<'_>) -> Result<()> {
    let from = cloud.pod("red-1");
    for (what, rules, whom, passes, denied) in CASES {
        tell(cloud, &intent(rules, OPEN)?)?;
        let mut round = Round::begin(cloud, EVERYBODY)?;
        for (name, _) in OTHERS {
            for way in between(from, cloud.pod(name)) {
                let fates = passes.iter().map(|probe| (probe, whom.contains(&name)));
                for (probe, passes) in fates.chain(denied.iter().map(|probe| (probe, false))) {
                    let fate = if passes { Fate::Arrives } else { is_denied_by_policy(from.host) };
                    round.send(&format!("{probe:?}"), from, &probe.frame(way)?, fate)?;
                }
            }
        }
        let (passed, denied) = round.end().with_context(|| *what)?;
        println!("{what}: {passed} arrived, {denied} were denied");
    }
    Ok(())
}
