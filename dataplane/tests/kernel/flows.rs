//! Connections in the kernel's maps: listed, removed when they are over, and counted. No program takes part: tests write the
//! entries.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap};
use nix::time::{ClockId, clock_gettime};
use weft_dataplane::{Dataplane, DecidedBy, Options, Phase, RuleHits, RuleId, Side, Sizes};
use weft_dataplane_abi::{
    Flow, FlowCounts, FlowKey, HalfOpenKey, Judged, RuleKey, Ruling, Signal, flow_address, maps,
};
use weft_policy::{Direction, Peer};

use crate::groups::{Bytes, Proved, allow, endpoint, entries, guarded, pinned};
use crate::host::{Pod, TestHost, desired_with_port, eventually, on_host, owner, reconcile};

fn now() -> u32 {
    u32::try_from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().tv_sec()).unwrap()
}

/// UDP of the port behind `ifindex`, from its port `number`.
fn key(ifindex: u32, number: u16) -> FlowKey {
    let address = |last: u8| flow_address([10, 0, 0, last].into());
    FlowKey::new(ifindex, (4, 17), (address(10), number.to_be_bytes()), (address(11), 53_u16.to_be_bytes()))
}

/// It asked `ago` seconds ago, and nobody has answered.
fn asked(ifindex: u32, ago: u32) -> Flow {
    let judged = Judged { generation: 0, rule: 0 };
    Flow::start(ifindex, Signal::Request, Side::Own, now().wrapping_sub(ago), judged).unwrap()
}

fn insert<K, V>(host: &TestHost, map: &str, all: impl IntoIterator<Item = (K, V)>)
where
    K: Copy + Proved + 'static,
    V: Copy + Proved + 'static,
{
    let mut map = HashMap::<_, Bytes<K>, Bytes<V>>::try_from(pinned(host, map)).unwrap();
    for (key, value) in all {
        map.insert(Bytes(key), Bytes(value), 0).unwrap();
    }
}

/// Transport ports of the connections in a map.
fn numbers(host: &TestHost, map: &str) -> BTreeSet<u16> {
    let entries = entries::<FlowKey, Flow>(host, map);
    entries.keys().map(|key| u16::from_be_bytes(key.own_port)).collect()
}

fn open(host: &TestHost, index: u32, opened: u64) {
    let mut counts = Array::<_, Bytes<FlowCounts>>::try_from(pinned(host, maps::FLOW_COUNTS)).unwrap();
    counts.set(index, Bytes(FlowCounts { opened, ..FlowCounts::default() }), 0).unwrap();
}

fn opened(host: &TestHost, index: u32) -> u64 {
    let counts = Array::<_, Bytes<FlowCounts>>::try_from(pinned(host, maps::FLOW_COUNTS)).unwrap();
    counts.get(&index, 0).unwrap().0.opened
}

fn over(host: &TestHost, index: u32) -> u64 {
    Array::<_, u64>::try_from(pinned(host, maps::FLOWS_OVER)).unwrap().get(&index, 0).unwrap()
}

/// In: connections of which some are over time, in both maps. Out: these go, and are told of; the others stay and are listed;
/// and how many are over is what is missing of those that were opened.
#[test]
fn only_what_is_over_is_removed_and_counted() {
    on_host("flows-over", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut ended = dataplane.ended_flows().unwrap();
        assert!(dataplane.ended_flows().is_none(), "one listens");
        let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        let ifindex = report.ports["a"].ifindex;
        let (slot, tenant) = (1, endpoint(&host, &report, "a").tenant);
        open(&host, slot, 7);
        open(&host, tenant, 7);
        // UDP that nobody answers is over after 30 seconds, and left for two more.
        let flows = [(1, 0), (2, 20), (3, 40), (4, 9000)];
        let flows = || flows.map(|(number, ago)| (key(ifindex, number), asked(ifindex, ago)));
        insert(&host, maps::FLOWS, flows());
        insert(&host, maps::HALF_OPEN, flows());
        insert(&host, maps::FLOWS, [(key(9999, 5), asked(9999, 0))]);

        let left = BTreeSet::from([1, 2]);
        let settled = async || {
            let maps = [maps::FLOWS, maps::HALF_OPEN];
            maps.iter().all(|map| numbers(&host, map) == left).then_some(())
        };
        eventually("what is over to go", settled).await;
        eventually("it to be counted", async || (over(&host, slot) == 5).then_some(())).await;
        assert_eq!(over(&host, tenant), 5);
        let mut told = Vec::new();
        while told.len() < 5 {
            told.extend(ended.recv().await.unwrap());
        }
        let told: BTreeSet<_> =
            told.iter().map(|flow| (flow.port.as_str(), flow.own.port(), flow.half_open)).collect();
        let expected = [("", 5, false), ("a", 3, false), ("a", 3, true), ("a", 4, false), ("a", 4, true)];
        assert_eq!(told, BTreeSet::from(expected));

        let mut listed = Vec::new();
        dataplane.flows().for_each(|flow| listed.push(flow)).unwrap();
        listed.sort_by_key(|flow| (flow.half_open, flow.own));
        assert_eq!(listed.len(), 4);
        let flow = &listed[1];
        assert_eq!((flow.port.as_str(), flow.protocol, flow.half_open), ("a", 17, false));
        assert_eq!((flow.own, flow.peer), ("10.0.0.10:2".parse().unwrap(), "10.0.0.11:53".parse().unwrap()));
        assert_eq!((flow.phase, flow.starter, flow.rule), (Phase::Single, Side::Own, None));
        assert!(flow.idle >= Duration::from_secs(20) && flow.idle == flow.age, "{flow:?}");
        drop(dataplane);
    });
}

/// In: a port with connections goes, and another one comes to its slot. Out: the connections have gone, and the new port
/// begins at zero.
#[test]
fn a_port_takes_its_connections_along() {
    on_host("flows-port", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired_with_port(&pod);
        let report = reconcile(&mut dataplane, &desired).await;
        let ifindex = report.ports["a"].ifindex;
        open(&host, 1, 3);
        open(&host, 17, 3);
        insert(&host, maps::FLOWS, [(key(ifindex, 1), asked(ifindex, 0))]);
        insert(&host, maps::HALF_OPEN, [(key(ifindex, 2), asked(ifindex, 0))]);
        insert(&host, maps::ASKED, [(HalfOpenKey { ifindex, place: 0 }, key(ifindex, 2))]);
        let port = desired.ports.remove("a").unwrap();
        reconcile(&mut dataplane, &desired).await;
        let gone = async || {
            let flows = [maps::FLOWS, maps::HALF_OPEN].iter().all(|map| numbers(&host, map).is_empty());
            (flows && entries::<HalfOpenKey, FlowKey>(&host, maps::ASKED).is_empty()).then_some(())
        };
        eventually("its connections to go", gone).await;
        desired.ports.insert("b".to_owned(), port);
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(endpoint(&host, &report, "b").tenant, 17);
        assert_eq!([1, 17].map(|index| (opened(&host, index), over(&host, index))), [(0, 0); 2]);
    });
}

/// In: a data plane that opens with room for more, and then for fewer, connections. Out: they go on, as far as there is room;
/// how many there are is known again, though all counts began anew.
#[test]
fn connections_outlive_another_size() {
    on_host("flows-size", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let desired = desired_with_port(&pod);
        let report = reconcile(&mut dataplane, &desired).await;
        let ifindex = report.ports["a"].ifindex;
        insert(&host, maps::FLOWS, (0..20).map(|number| (key(ifindex, number), asked(ifindex, 0))));
        insert(&host, maps::HALF_OPEN, [(key(ifindex, 50), asked(ifindex, 0))]);
        let sizes = |ports, flows| Sizes { ports, flows, half_open: flows / 2, ..host.options.sizes };
        for (sizes, expected) in [(sizes(32, 2048), 20), (sizes(16, 16), 16)] {
            drop(dataplane);
            let options = Options { sizes, ..host.options.clone() };
            dataplane = Dataplane::open(options, owner()).await.unwrap();
            assert_eq!(
                (numbers(&host, maps::FLOWS).len(), numbers(&host, maps::HALF_OPEN).len()),
                (expected, 1)
            );
            reconcile(&mut dataplane, &desired).await;
            let live = u64::try_from(expected).unwrap();
            let known = async || (opened(&host, 1).wrapping_sub(over(&host, 1)) == live).then_some(());
            eventually("how many there are to be known", known).await;
        }
    });
}

/// In: hits of rules and of a default. Out: they are told by what they are of; a rule's go on when it gets another number,
/// or goes.
#[test]
fn hits_are_those_of_rules() {
    on_host("flows-hits", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired_with_port(&pod);
        let with = |services: &[u16]| guarded(&[], services.iter().map(|service| allow(*service, Peer::Any)));
        desired.ports.get_mut("a").unwrap().security = with(&[22, 80]);
        reconcile(&mut dataplane, &desired).await;
        let hit = |policy: u32, rule: u32, count: u64| {
            let mut map = HashMap::<_, Bytes<RuleKey>, u64>::try_from(pinned(&host, maps::HITS)).unwrap();
            map.insert(Bytes(RuleKey { policy, rule }), count, 0).unwrap();
        };
        for (rule, count) in [(0, 5), (1, 6), (Ruling::DEFAULT, 7), (77, 8)] {
            hit(1, rule, count);
        }
        let hits = |counts: &[(Option<u16>, u64)]| {
            let hits = counts.iter().map(|(service, hits)| {
                let rule = service.map(|service| allow(service, Peer::Any));
                RuleHits { by: DecidedBy { direction: Direction::Ingress, rule }, hits: *hits }
            });
            hits.collect::<Vec<_>>()
        };
        let expected = hits(&[(None, 7), (Some(22), 5), (Some(80), 6)]);
        assert_eq!(dataplane.rule_hits().await.unwrap(), expected);
        let ids = [(1, Some(1)), (1, None), (1, Some(9)), (4, None)];
        let told = dataplane.rules(ids.map(|(policy, rule)| RuleId { policy, rule }).to_vec()).await;
        assert_eq!(told, [Some(expected[2].by), Some(expected[0].by), None, None]);

        // One rule goes, and its number to another.
        desired.ports.get_mut("a").unwrap().security = with(&[22, 443]);
        reconcile(&mut dataplane, &desired).await;
        assert_eq!(dataplane.rule_hits().await.unwrap(), expected);
        // The policy goes, and comes back under another number.
        desired.ports.get_mut("a").unwrap().security = with(&[]);
        reconcile(&mut dataplane, &desired).await;
        assert!(entries::<RuleKey, u64>(&host, maps::HITS).is_empty());
        desired.ports.get_mut("a").unwrap().security = with(&[22]);
        reconcile(&mut dataplane, &desired).await;
        hit(2, 0, 10);
        let expected = hits(&[(None, 7), (Some(22), 15), (Some(80), 6)]);
        assert_eq!(dataplane.rule_hits().await.unwrap(), expected);
    });
}

/// The figures are printed, not judged.
#[test]
fn a_million_connections_are_swept_in_parts() {
    on_host("flows-many", async |host| {
        let count: u32 = std::env::var("WEFT_TEST_FLOWS").ok().map_or(50_000, |count| count.parse().unwrap());
        let pod = Pod::new();
        let sizes = Sizes { flows: count.next_power_of_two(), ..host.options.sizes };
        let options = Options { sizes, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let mut ended = dataplane.ended_flows().unwrap();
        let report = reconcile(&mut dataplane, &desired_with_port(&pod)).await;
        let ifindex = report.ports["a"].ifindex;
        open(&host, 1, u64::from(count));
        // One in ten is over.
        let flows = (0..count).map(|number| {
            let (own, peer) = ([10; 4], [number, 0, 0, 0]);
            let key = FlowKey::new(ifindex, (4, 6), (own, [1, 1]), (peer, [2, 2]));
            (key, asked(ifindex, if number % 10 == 0 { 9000 } else { 0 }))
        });
        insert(&host, maps::FLOWS, flows);
        let start = Instant::now();
        let mut told = 0;
        let tenth = usize::try_from(count / 10).unwrap();
        while told < tenth * 9 / 10 {
            told += ended.recv().await.unwrap().len();
        }
        println!("{count} connections, of which {told} are over: removed in {:?}", start.elapsed());
        let start = Instant::now();
        let mut listed = 0;
        dataplane.flows().for_each(|_| listed += 1).unwrap();
        println!("{listed} listed in {:?}", start.elapsed());
    });
}
