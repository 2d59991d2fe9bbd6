//! A million addresses and a million prefixes, 4,096 VTEPs and 10,000 VNIs: what is loaded is in the kernel, a change
//! of 1,000 routes changes these and nothing else, and what somebody else does to a large map is repaired.
//!
//! The figures are printed (`cargo test --release -p weft-dataplane --test kernel scale -- --nocapture`), not judged:
//! the machine may be busy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use ipnet::IpNet;
use weft_dataplane::desired::{
    Desired, Neighbour, Network, Path, Paths, RemoteHost, RouteDelta, Subnet, Update,
};
use weft_dataplane::{Change, Dataplane, Operation, Options, Report, Sizes};
use weft_dataplane_abi::{HostRoute, IpKey, MacKey, NextHop, VniEntry, VtepAddr, VtepEntry, maps};
use weft_policy::GroupSet;
use weft_vxlan::{MacAddr, Vni, Vtep};

use crate::host::{TestHost, desired, on_host, owner, vni};

const MILLION: u32 = 1_000_000;
const VTEPS: u32 = 4096;
/// With the room that the host's own entries take.
const SIZES: Sizes = Sizes {
    ports: 16,
    vnis: 16_384,
    vteps: 4096,
    addresses: 1 << 20,
    prefixes: 1 << 20,
    flows: 1024,
    half_open: 256,
    rules: 1024,
    events: 1 << 16,
};

fn vtep(number: u32) -> Vtep {
    Vtep::new(Ipv4Addr::from(0x0a80_0001 + number % VTEPS).into()).unwrap()
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr::new([2, 0, a, b, c, d])
}

/// Address `number` of network 100, on host `vtep`.
fn address(number: u32, at: u32) -> ((Vni, IpAddr), Option<RemoteHost>) {
    let neighbour = Neighbour { subnet: vni(200), vni: vni(200), mac: mac(number) };
    let path = Path { vtep: vtep(at), vni: vni(100), mac: mac(at) };
    let host = RemoteHost { paths: path.into(), neighbour: Some(neighbour), groups: GroupSet::empty() };
    ((vni(100), Ipv4Addr::from(0x0b00_0000 + number).into()), Some(host))
}

/// Prefix `number` of network 100: half of them IPv4 /28, half IPv6 /64.
fn prefix(number: u32, at: u32) -> ((Vni, IpNet), Option<Paths>) {
    let address = if number.is_multiple_of(2) {
        IpNet::new(Ipv4Addr::from(0x1400_0000 + number * 8).into(), 28)
    } else {
        let subnet = u128::from(number) << 64;
        IpNet::new(Ipv6Addr::from((0xfd00_u128 << 112) + subnet).into(), 64)
    };
    let behind = Path { vtep: vtep(at), vni: vni(100), mac: mac(at) }.into();
    ((vni(100), address.unwrap()), Some(behind))
}

fn options(host: &TestHost) -> Options {
    Options { sizes: SIZES, ..host.options.clone() }
}

/// Counts the entries of a pinned hash map by asking for each.
fn entries<K: Pod, V: Pod>(host: &TestHost, map: &str) -> usize {
    let map = MapData::from_pin(host.options.pin_folder.join("maps").join(map)).unwrap();
    HashMap::<_, K, V>::try_from(Map::from_map_data(map).unwrap()).unwrap().keys().count()
}

fn hosts(host: &TestHost) -> usize {
    entries::<[u8; size_of::<IpKey>()], [u8; size_of::<HostRoute>()]>(host, maps::HOSTS)
}

fn fdb(host: &TestHost) -> usize {
    entries::<[u8; size_of::<MacKey>()], [u8; size_of::<NextHop>()]>(host, maps::FDB)
}

fn count(report: &Report, of: &str, done: Operation) -> usize {
    let counts = report.changes.iter().map(|change| {
        if let Change::Entries { map, operation, count } = change {
            return if (*map, *operation) == (of, done) { *count } else { 0 };
        }
        usize::from(
            matches!(change, Change::Table { map, operation, .. } if (*map, *operation) == (of, done)),
        )
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

fn addresses(hosts: impl Iterator<Item = ((Vni, IpAddr), Option<RemoteHost>)>) -> Update {
    routes(RouteDelta { hosts: hosts.collect(), ..RouteDelta::default() })
}

fn prefixes(prefixes: impl Iterator<Item = ((Vni, IpNet), Option<Paths>)>) -> Update {
    routes(RouteDelta { prefixes: prefixes.collect(), ..RouteDelta::default() })
}

#[test]
fn a_million_addresses() {
    on_host("million-hosts", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        update(&mut dataplane, "first reconciliation", local(desired())).await;
        let million = addresses((0..MILLION).map(|number| address(number, number)));
        let report = update(&mut dataplane, "1,000,000 addresses, with their MACs, loaded", million).await;
        assert_eq!(count(&report, maps::HOSTS, Operation::Insert), 1_000_000);
        assert_eq!(count(&report, maps::FDB, Operation::Insert), 1_000_000);
        // And two gateways.
        assert_eq!((fill(&report, maps::HOSTS), hosts(&host)), (1_000_002, 1_000_002));
        assert_eq!((fill(&report, maps::FDB), fdb(&host)), (1_000_000, 1_000_000));

        let moved = addresses((5000..6000).map(|number| address(number, number + 1)));
        let report = update(&mut dataplane, "1,000 of them moved", moved).await;
        assert_eq!(report.changes.len(), 2, "nothing else: {:?}", report.changes);
        assert_eq!(count(&report, maps::HOSTS, Operation::Replace), 1000);
        assert_eq!(count(&report, maps::FDB, Operation::Replace), 1000);
        let gone = addresses((7000..8000).map(|number| (address(number, 0).0, None)));
        let report = update(&mut dataplane, "1,000 of them removed", gone).await;
        assert_eq!(count(&report, maps::HOSTS, Operation::Remove), 1000);
        assert_eq!((hosts(&host), fdb(&host)), (999_002, 999_000));

        resync(&mut dataplane, "all compared with the kernel, one large map read").await;
        drop(dataplane);
        // A new weftd finds the maps as they should be, and touches none of them.
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        let kept =
            (0..MILLION).filter(|number| !(5000..6000).contains(number) && !(7000..8000).contains(number));
        let moved = (5000..6000).map(|number| address(number, number + 1));
        let all = addresses(kept.map(|number| address(number, number)).chain(moved));
        let all = Update { local: Some(Box::new(desired())), ..all };
        let report = update(&mut dataplane, "maps of 999,000 addresses adopted", all).await;
        assert_eq!(report.changes, []);
    });
}

#[test]
fn a_million_prefixes() {
    on_host("million-prefixes", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        update(&mut dataplane, "first reconciliation", local(desired())).await;
        let million = prefixes((0..MILLION).map(|number| prefix(number, number)));
        let report = update(&mut dataplane, "1,000,000 prefixes loaded", million).await;
        assert_eq!(count(&report, maps::PREFIXES, Operation::Insert), 1_000_000);
        assert_eq!(fill(&report, maps::PREFIXES), 1_000_000);
        let moved = prefixes((5000..6000).map(|number| prefix(number, number + 1)));
        let report = update(&mut dataplane, "1,000 of them moved", moved).await;
        assert_eq!(report.changes.len(), 1, "nothing else: {:?}", report.changes);
        assert_eq!(count(&report, maps::PREFIXES, Operation::Replace), 1000);
        let gone = prefixes((7000..8000).map(|number| (prefix(number, 0).0, None)));
        let report = update(&mut dataplane, "1,000 of them removed", gone).await;
        assert_eq!(count(&report, maps::PREFIXES, Operation::Remove), 1000);
        // Every one that is left is in the trie: the reconciliation reads it.
        let report = resync(&mut dataplane, "all compared with the kernel, one large map read").await;
        assert_eq!(report.changes, []);
        assert_eq!(fill(&report, maps::PREFIXES), 999_000);
    });
}

#[test]
fn a_large_map_is_repaired_and_nothing_else_is_touched() {
    const ADDRESSES: u32 = 20_000;
    on_host("large-repair", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        update(&mut dataplane, "first reconciliation", local(desired())).await;
        let all = addresses((0..ADDRESSES).map(|number| address(number, 1)));
        update(&mut dataplane, "20,000 addresses loaded", all).await;
        let pin = host.options.pin_folder.join("maps").join(maps::HOSTS);
        let map = Map::from_map_data(MapData::from_pin(pin).unwrap()).unwrap();
        let mut map =
            HashMap::<_, [u8; size_of::<IpKey>()], [u8; size_of::<HostRoute>()]>::try_from(map).unwrap();
        let keys: Vec<_> = map.keys().take(3).map(Result::unwrap).collect();
        map.remove(&keys[0]).unwrap();
        map.insert(keys[1], [0; _], 0).unwrap();
        map.insert([9; _], [0; _], 0).unwrap();
        // Of the two large maps, it is the turn of this one.
        let report = resync(&mut dataplane, "20,000 addresses compared").await;
        for operation in [Operation::Insert, Operation::Replace, Operation::Remove] {
            assert_eq!(count(&report, maps::HOSTS, operation), 1, "{operation}: {:?}", report.changes);
        }
        assert_eq!(report.changes.len(), 3, "{:?}", report.changes);
        assert_eq!(hosts(&host), 20_002);
    });
}

#[test]
fn four_thousand_hosts_and_ten_thousand_networks() {
    on_host("many-vteps", async |host| {
        let mut dataplane = Dataplane::open(options(&host), owner()).await.unwrap();
        let mut all = desired();
        for number in 0..5000 {
            all.networks.insert(
                vni(10_000 + number),
                Network { name: format!("network-{number}"), sees: Vec::new() },
            );
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            let prefix = ipnet::Ipv4Net::new([10, high, low, 0].into(), 24).unwrap();
            let subnet = Subnet {
                name: format!("subnet-{number}"),
                network: vni(10_000 + number),
                ipv4: Some((prefix, [10, high, low, 1].into())),
                ipv6: None,
            };
            all.subnets.insert(vni(20_000 + number), subnet);
        }
        let report = update(&mut dataplane, "10,000 VNIs loaded", local(all)).await;
        assert_eq!(fill(&report, maps::VNIS), 10_002);
        // Every host has an address in one network, and all networks have one on some host.
        let remote = (0..5000).map(|number| {
            let ((_, address), host) = address(number, number);
            ((vni(10_000 + number), address), host.map(|host| RemoteHost { neighbour: None, ..host }))
        });
        let report = update(&mut dataplane, "addresses on 4,096 hosts loaded", addresses(remote)).await;
        assert!(report.is_unsettled);
        let report = resync(&mut dataplane, "4,096 hosts compared").await;
        assert_eq!(fill(&report, maps::VTEPS), 4096);
        assert_eq!((fill(&report, maps::VTEP_VNIS), fill(&report, maps::HOSTS)), (5000, 10_002));
        assert_eq!(
            entries::<[u8; size_of::<VtepAddr>()], [u8; size_of::<VtepEntry>()]>(&host, maps::VTEPS),
            4096
        );
        assert_eq!(entries::<u32, [u8; size_of::<VniEntry>()]>(&host, maps::VNIS), 10_002);
        // One whose routes have gone goes with the next reconciliation.
        let gone = (0..5000)
            .filter(|number| number % VTEPS == 7)
            .map(|number| ((vni(10_000 + number), address(number, 0).0.1), None));
        let report = update(&mut dataplane, "the routes to one host removed", addresses(gone)).await;
        assert!(report.is_unsettled);
        assert_eq!(fill(&resync(&mut dataplane, "compared").await, maps::VTEPS), 4095);
    });
}

async fn resync(dataplane: &mut Dataplane, what: &str) -> Report {
    let start = Instant::now();
    let report = dataplane.resync().await;
    told(what, start);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    report
}
