//! The maps in the kernel: written in full, refused when they do not fit.

use std::net::IpAddr;

use weft_dataplane::desired::{Path, Paths};
use weft_dataplane::{Change, Dataplane, Operation, Options, Sizes};
use weft_dataplane_abi::maps;
use weft_vxlan::Vtep;

use crate::host::{Pod, SIZES, desired, on_host, owner, port, reconcile, vni};
use crate::next_hops::remote;

fn operations(changes: &[Change], map: &str) -> Vec<(Operation, String)> {
    let of_map = changes.iter().filter_map(|change| {
        let Change::Table { map: changed, operation, entry } = change else { return None };
        (*changed == map).then(|| (*operation, entry.clone()))
    });
    of_map.collect()
}

#[test]
fn entries_come_move_and_go() {
    on_host("entries", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired();
        desired.remote_hosts = remote("192.0.2.2");
        let prefix = "10.7.0.0/16".parse().unwrap();
        let path = Path {
            vtep: "192.0.2.2".parse().unwrap(),
            vni: vni(300),
            mac: "02:00:c0:00:02:02".parse().unwrap(),
        };
        desired.remote_prefixes.insert((vni(100), prefix), path.into());
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        let remote_address = "address 10.9.0.1 in network 100".to_owned();
        assert!(operations(&changes, maps::HOSTS).contains(&(Operation::Insert, remote_address.clone())));
        let inserted = |entry: &str| vec![(Operation::Insert, entry.to_owned())];
        assert_eq!(operations(&changes, maps::PREFIXES), inserted("prefix 10.7.0.0/16 in network 100"));
        assert_eq!(operations(&changes, maps::VTEP_VNIS), inserted("VTEP 192.0.2.2 in VNI 100"));

        desired.remote_hosts = remote("198.51.100.7");
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        assert_eq!(operations(&changes, maps::HOSTS), [(Operation::Replace, remote_address.clone())]);

        desired.remote_hosts.clear();
        desired.remote_prefixes.clear();
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        assert_eq!(operations(&changes, maps::HOSTS), [(Operation::Remove, remote_address)]);
        assert_eq!(operations(&changes, maps::PREFIXES)[0].0, Operation::Remove);
        assert_eq!(operations(&changes, maps::VTEP_VNIS).len(), 2);
    });
}

#[test]
fn what_does_not_fit_is_refused_and_the_old_stays() {
    on_host("full", async |host| {
        let options = Options { sizes: Sizes { addresses: 4, ..SIZES }, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let mut desired = desired();
        let (key, template) = remote("192.0.2.2").pop_first().unwrap();
        let address = |last| (key.0, IpAddr::from([10, 9, 0, last]));
        desired.remote_hosts = (1..=2).map(|last| (address(last), template.clone())).collect();
        reconcile(&mut dataplane, &desired).await;

        // Another set of the same size fits only if the old one goes first.
        desired.remote_hosts = (3..=4).map(|last| (address(last), template.clone())).collect();
        reconcile(&mut dataplane, &desired).await;

        desired.remote_hosts = (1..=3).map(|last| (address(last), template.clone())).collect();
        let report = dataplane.reconcile(&desired).await;
        assert_eq!(report.failures.len(), 1, "{:#?}", report.failures);
        let failure = report.failures[0].to_string();
        assert!(failure.starts_with("map HOSTS: 5 entries are wanted but 4 fit"), "{failure}");
        assert_eq!(operations(&report.changes, maps::HOSTS), []);
    });
}

#[test]
fn a_port_keeps_its_slot_and_its_counters_when_others_come() {
    on_host("slots", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired();
        desired.ports.insert("m".to_owned(), port(10, &first.path));
        reconcile(&mut dataplane, &desired).await;
        desired.ports.insert("a".to_owned(), port(11, &second.path));
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        assert_eq!(operations(&changes, maps::ENDPOINTS), [(Operation::Insert, "port a".to_owned())]);
        let counters = dataplane.counters().unwrap();
        assert_eq!(counters.keys().collect::<Vec<_>>(), ["", "a", "m"]);
    });
}

/// In: two prefixes with two ways each, and room for two ways. Out: both are there, and lead to their first ways, until there
/// is room for the others.
#[test]
fn without_room_for_all_ways_prefixes_lead_to_the_first() {
    on_host("ways", async |host| {
        let options = Options { sizes: Sizes { prefixes: 2, ..SIZES }, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let mut desired = desired();
        let path = |last: u8| Path {
            vtep: Vtep::new([192, 0, 2, last].into()).unwrap(),
            vni: vni(300),
            mac: "02:00:c0:00:02:02".parse().unwrap(),
        };
        let prefix = |second: u8| (vni(100), format!("10.{second}.0.0/16").parse().unwrap());
        for (second, other) in [(1, 3), (2, 4)] {
            let ways = Paths { first: path(2), others: Box::new([path(other)]) };
            desired.remote_prefixes.insert(prefix(second), ways);
        }
        let report = dataplane.reconcile(&desired).await;
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        let [failure] = failures.as_slice() else { panic!("{failures:#?}") };
        assert!(failure.starts_with("map PATHS: 4 entries are wanted but 2 fit"), "{failure}");
        assert!(failure.contains("sizes.prefixes"), "{failure}");
        assert_eq!(operations(&report.changes, maps::PREFIXES).len(), 2);

        desired.remote_prefixes.remove(&prefix(2));
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        assert_eq!(operations(&changes, maps::PATHS).len(), 2);
    });
}
