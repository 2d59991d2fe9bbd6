//! What the number of live connections costs an established one: the same two hosts, several times over, each with another
//! number of connections open on both, that test runs of their packets opened.
//!
//! Once with traffic of one connection, whose entry is in the processor's caches, and once with packets of connections at
//! random, whose entries are not.

use anyhow::{Context as _, Result, ensure};
use aya::maps::{HashMap, Map, MapData};
use weft_dataplane_abi::{Flow, FlowKey, maps};
use weft_tests::Lab;
use weft_tests::cloud::Cloud;

use super::frames::{Kind, Pair, pair};
use super::hosts::{Host, pin};
use super::{first_beside_all, nanoseconds};
use crate::load::Load;
use crate::plan::{Plan, Results, Test};
use crate::report::Row;
use crate::subject::Place;
use crate::subject::secured::{self, Shape};

/// How many connections are live.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    connections: u32,
    name: &'static str,
}

/// The most first: the others are compared with it.
const COUNTS: [Count; 3] = [
    Count { connections: 1_000_000, name: "1000000-live" },
    Count { connections: 100_000, name: "100000-live" },
    Count { connections: 1000, name: "1000-live" },
];
/// Room on each host, for those and for what is measured.
const FLOWS: u32 = 1_310_720;
/// Rules of each port.
const RULES: u32 = 10;
/// Source ports of the connections, the first and how many; then the next destination port has as many.
const FIRST_PORT: u16 = 2000;
const PORTS: u32 = 60_000;
/// Packets of connections at random, and how often they are measured in a round.
const SAMPLE: u32 = 512;
const TIMES: usize = 4;

/// Those of a run.
pub(super) fn counts(quick: bool) -> &'static [Count] {
    if quick { &COUNTS[1..] } else { &COUNTS }
}

/// Brings all of them up, opens connections, and measures.
pub(super) fn measure(plan: &Plan, counts: &[Count]) -> Result<Vec<Row>> {
    let labs = counts.iter().map(|_| Lab::new()).collect::<Result<Vec<_>>>()?;
    let mut clouds = Vec::new();
    for (lab, count) in labs.iter().zip(counts) {
        let cloud = secured::start(lab, Shape { rules: Some(RULES), flows: FLOWS }).context(count.name)?;
        open(&cloud, count.connections).context(count.name)?;
        clouds.push(cloud);
    }
    let named = counts.iter().map(|count| count.name);
    let subjects: Vec<_> =
        clouds.iter().zip(named).map(|(cloud, name)| secured::subject(cloud, name, "weft")).collect();
    let mut rows = Vec::new();
    for load in [Load::TcpTransactions, Load::Connections] {
        let name = format!("policy/live/{}", load.name());
        let test = Test { place: Place::TwoHosts, load };
        let results = Results::measure(&name, test, &subjects, plan).with_context(|| name.clone())?;
        rows.extend(first_beside_all(results.rows()));
    }
    rows.extend(programs(&clouds, counts, plan)?);
    for (cloud, count) in clouds.iter().zip(counts) {
        ensure!(live(cloud)? >= count.connections, "of {} connections some are gone", count.connections);
    }
    Ok(rows)
}

/// Opens so many connections: a datagram of the client, and one back.
fn open(cloud: &Cloud<'_>, connections: u32) -> Result<()> {
    for number in [0, 1] {
        let host = Host::of(cloud, number)?;
        let mut asks = pair(cloud, 0, Kind::Datagram, (0, 0))?;
        let mut answers = pair(cloud, 1, Kind::Datagram, (0, 0))?;
        host.inside(|| {
            for connection in 0..connections {
                let (from, to) = ports(connection)?;
                asks.set_ports((from, to));
                answers.set_ports((to, from));
                if number == 0 {
                    host.from_pod.run(&asks.sent)?;
                    host.from_underlay.run(&answers.received)?;
                } else {
                    host.from_underlay.run(&asks.received)?;
                    host.from_pod.run(&answers.sent)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The transport ports of the connection with this number.
fn ports(connection: u32) -> Result<(u16, u16)> {
    let port = |number: u32| Ok::<_, anyhow::Error>(FIRST_PORT + u16::try_from(number)?);
    Ok((port(connection % PORTS)?, port(connection / PORTS)?))
}

/// What the client's host takes to send a packet of a connection, and the far pod's to receive it: of any of them, and of
/// one again and again.
fn programs(clouds: &[Cloud<'_>], counts: &[Count], plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, any) in [("any", true), ("one", false)] {
        let none: Vec<_> = counts.iter().map(|count| (count.name, Vec::new())).collect();
        let mut figures = [none.clone(), none];
        for round in 0..plan.rounds {
            for turn in 0..clouds.len() {
                let number = (turn + round as usize) % clouds.len();
                let cloud = &clouds[number];
                let sample = scattered(if any { counts[number].connections } else { 1 });
                let frames = sample.map(|connection| pair(cloud, 0, Kind::Datagram, ports(connection)?));
                let frames = frames.collect::<Result<Vec<Pair>>>()?;
                let runs = frames.len() * TIMES;
                let [client, far] = [Host::of(cloud, 0)?, Host::of(cloud, 1)?];
                let sent = frames.iter().map(|pair| &*pair.sent).cycle().take(runs);
                figures[0][number].1.push(client.meet(&client.from_pod, sent)?);
                let received = frames.iter().map(|pair| &*pair.received).cycle().take(runs);
                figures[1][number].1.push(far.meet(&far.from_underlay, received)?);
            }
        }
        let [sent, received] = &figures;
        rows.extend(nanoseconds(&format!("policy/live/from_pod/{name}"), sent));
        rows.extend(nanoseconds(&format!("policy/live/from_underlay/{name}"), received));
    }
    Ok(rows)
}

/// Numbers below `count` far apart from each other, in no order that a processor could guess.
fn scattered(count: u32) -> impl Iterator<Item = u32> {
    // An odd multiplier that scatters the bits (Knuth, The Art of Computer Programming, section 6.4).
    (1..=SAMPLE).map(move |number| number.wrapping_mul(2_654_435_769) % count)
}

/// Entries of open connections on the host that has fewer of them.
fn live(cloud: &Cloud<'_>) -> Result<u32> {
    let count = |host| {
        let data = MapData::from_pin(pin(cloud, host, maps::FLOWS))?;
        let flows: HashMap<_, [u8; size_of::<FlowKey>()], [u8; size_of::<Flow>()]> =
            HashMap::try_from(Map::HashMap(data))?;
        let mut count = 0;
        for key in flows.keys() {
            key?;
            count += 1;
        }
        Ok::<u32, anyhow::Error>(count)
    };
    Ok(count(0)?.min(count(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_ports_of_their_own() {
        let all = (0..1_000_000).map(|connection| ports(connection).unwrap());
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 1_000_000);
    }
}
