//! A million addresses and a million prefixes, 4,096 VTEPs and 10,000 VNIs: what is loaded is in the kernel, a change
//! of 1,000 routes changes these and nothing else, and what somebody else does to a large map is repaired.
//!
//! The figures are printed (`cargo test --release -p weft-dataplane --test kernel scale -- --nocapture`), not judged:
//! the machine may be busy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use aya::maps::{MapData, MapInfo};
use weft_dataplane::desired::{Desired, Neighbour, RemoteHost, RemotePrefix, RouteDelta, Update};
use weft_dataplane::{Change, Dataplane, Operation, Options, Report, Sizes};
use weft_dataplane_abi::maps;
use weft_vxlan::{MacAddr, Vtep};

use crate::host::{TestHost, desired, on_host, owner, vni};

const MILLION: u32 = 1_000_000;
const VTEPS: u32 = 4096;
/// With the room that the host's own entries take.
const SIZES: Sizes = Sizes { ports: 16, vnis: 16_384, vteps: 4096, addresses: 1 << 20, prefixes: 1 << 20 };

fn vtep(number: u32) -> Vtep {
    Vtep::new(Ipv4Addr::from(0x0a80_0001 + number % VTEPS).into()).unwrap()
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr::new([2, 0, a, b, c, d])
}

/// Address `number` of network 100, on host `vtep`.
fn address(number: u32, at: u32) -> ((weft_vxlan::Vni, IpAddr), Option<RemoteHost>) {
    let neighbour = Neighbour { subnet: vni(200), vni: vni(200), mac: mac(number) };
    let host = RemoteHost { vtep: vtep(at), router_mac: mac(at), vni: vni(100), neighbour: Some(neighbour) };
    ((vni(100), Ipv4Addr::from(0x0b00_0000 + number).into()), Some(host))
}

/// Prefix `number` of network 100: half of them IPv4 /28, half IPv6 /64.
fn prefix(number: u32, at: u32) -> ((weft_vxlan::Vni, ipnet::IpNet), Option<RemotePrefix>) {
    let address = if number % 2 == 0 {
        ipnet::IpNet::new(Ipv4Addr::from(0x1400_0000 + number * 8).into(), 28)
    } else {
        let subnet = u128::from(number) << 64;
        ipnet::IpNet::new(Ipv6Addr::from((0xfd00_u128 << 112) + subnet).into(), 64)
    };
    let behind = RemotePrefix { vtep: vtep(at), router_mac: mac(at), vni: vni(100) };
    ((vni(100), address.unwrap()), Some(behind))
}

fn options(host: &TestHost) -> Options {
    Options { sizes: SIZES, ..host.options.clone() }
}

/// Counts the entries of a pinned map by asking for each.
fn entries(host: &TestHost, map: &str) -> usize {
    let path = host.options.pin_folder.join("maps").join(map);
    let info = MapInfo::from_pin(&path).unwrap();
    let map = MapData::from_pin(&path).unwrap();
    keys(map, info.key_size())
}

fn keys(map: MapData, key_size: u32) -> usize {
    use aya::maps::{HashMap, Map};
    match key_size {
        12 => HashMap::<_, [u8; 12], [u8; 40]>::try_from(Map::from_map_data(map).unwrap())
            .unwrap()
            .keys()
            .count(),
        20 => HashMap::<_, [u8; 20], u8>::try_from(Map::from_map_data(map).unwrap()).unwrap().keys().count(),
        24 => HashMap::<_, [u8; 24], [u8; 52]>::try_from(Map::from_map_data(map).unwrap())
            .unwrap()
            .keys()
            .count(),
        size => panic!("no hash map with keys of {size} bytes"),
    }
}

fn count(report: &Report, of: &str, done: Operation) -> usize {
    let counts = report.changes.iter().map(|change| match change {
        Change::Entries { map, operation, count } if *map == of && *operation == done => *count,
        Change::Table { map, operation, .. } if *map == of && *operation == done => 1,
        _ => 0,
    });
    counts.sum()
}

fn fill(report: &Report, of: &str) -> usize {
    report.tables.iter().find(|table| table.map == of).unwrap().entries
}

fn told(what: &str, since: Instant) {
    println!("{what}: {:?}", since.elapsed());
}

async fn update(dataplane: &mut Dataplane, what: &str, update: Update) -> Report {
    let start = Instant::now();
    let report = dataplane.update(update).await;
    told(what, start);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    report
}

fn routes(routes: RouteDelta) -> Update {
    Update { local: None, routes }
}

fn local(desired: Desired) -> Update {
    Update { local: Some(Box::new(desired)), routes: RouteDelta::default() }
}

#[test]
fn a_million_addresses() {
    on_host("million-hosts", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        let delta = RouteDelta {
            hosts: (0..MILLION).map(|number| address(number, number)).collect(),
            prefixes: vec![],
        };
        update(&mut dataplane, "first reconciliation", local(desired())).await;
        let report = update(&mut dataplane, "1,000,000 addresses loaded", routes(delta)).await;
        assert_eq!(count(&report, maps::HOSTS, Operation::Insert), 1_000_000);
        assert_eq!(count(&report, maps::FDB, Operation::Insert), 1_000_000);
        // And two gateways.
        assert_eq!((fill(&report, maps::HOSTS), entries(&host, maps::HOSTS)), (1_000_002, 1_000_002));
        assert_eq!((fill(&report, maps::FDB), entries(&host, maps::FDB)), (1_000_000, 1_000_000));

        let delta = RouteDelta {
            hosts: (5000..6000).map(|number| address(number, number + 1)).collect(),
            prefixes: vec![],
        };
        let report = update(&mut dataplane, "1,000 addresses moved", routes(delta)).await;
        assert_eq!(report.changes.len(), 2, "nothing else: {:?}", report.changes);
        assert_eq!(count(&report, maps::HOSTS, Operation::Replace), 1000);
        assert_eq!(count(&report, maps::FDB, Operation::Replace), 1000);
        let gone = (7000..8000).map(|number| (address(number, 0).0, None));
        let delta = RouteDelta { hosts: gone.collect(), prefixes: vec![] };
        let report = update(&mut dataplane, "1,000 addresses removed", routes(delta)).await;
        assert_eq!(count(&report, maps::HOSTS, Operation::Remove), 1000);
        assert_eq!(entries(&host, maps::HOSTS), 999_002);

        let start = Instant::now();
        let report = dataplane.resync().await;
        told("reconciliation of all", start);
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        let start = Instant::now();
        let report = dataplane.resync().await;
        told("reconciliation of all, again", start);
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
    });
}

#[test]
fn a_million_prefixes() {
    on_host("million-prefixes", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        let delta = RouteDelta {
            hosts: vec![],
            prefixes: (0..MILLION).map(|number| prefix(number, number)).collect(),
        };
        update(&mut dataplane, "first reconciliation", local(desired())).await;
        let report = update(&mut dataplane, "1,000,000 prefixes loaded", routes(delta)).await;
        assert_eq!(count(&report, maps::PREFIXES, Operation::Insert), 1_000_000);
        assert_eq!(fill(&report, maps::PREFIXES), 1_000_000);
        let delta = RouteDelta {
            hosts: vec![],
            prefixes: (5000..6000).map(|number| prefix(number, number + 1)).collect(),
        };
        let report = update(&mut dataplane, "1,000 prefixes moved", routes(delta)).await;
        assert_eq!(report.changes.len(), 1, "nothing else: {:?}", report.changes);
        assert_eq!(count(&report, maps::PREFIXES, Operation::Replace), 1000);
        let start = Instant::now();
        dataplane.resync().await;
        told("reconciliation of all", start);
        let start = Instant::now();
        dataplane.resync().await;
        told("reconciliation of all, again", start);
    });
}
