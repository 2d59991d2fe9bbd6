//! A data plane that opens again with what is pinned: routes stay until they are confirmed, taken back or swept, and no
//! entry is missing for a moment meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use weft_dataplane::desired::{Neighbour, Path, Paths, RemoteHost, RouteDelta, Update};
use weft_dataplane::{Change, Dataplane, Options, Report, Sizes};
use weft_dataplane_abi::{FloodKey, FloodMember, HostRoute, IpKey, MacKey, NextHop, VtepVniKey, maps};
use weft_policy::GroupSet;
use weft_vxlan::{MacAddr, Vtep};

use crate::host::{TestHost, desired, desired_with_port, on_host, owner, vni};

fn vtep(last: u8) -> Vtep {
    Vtep::new([192, 0, 2, last].into()).unwrap()
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

/// All that can be learned: two addresses with MACs, a MAC without, a prefix, two VTEPs that take part.
fn learned() -> RouteDelta {
    let host = |last: u8, at| {
        let neighbour = Some(Neighbour { subnet: vni(200), vni: vni(902), mac: mac(last) });
        let path = Path { vtep: vtep(at), vni: vni(901), mac: mac(0xf0) };
        let host = RemoteHost { paths: path.into(), neighbour, groups: GroupSet::empty() };
        ((vni(100), [10, 0, 0, last].into()), Some(host))
    };
    let with_mac = |last, at| ((vni(200), mac(last)), Some(Path::switched(vtep(at), vni(902)).into()));
    let behind = Path { vtep: vtep(3), vni: vni(901), mac: mac(0xf3) }.into();
    RouteDelta {
        hosts: vec![host(20, 2), host(21, 3)],
        prefixes: vec![((vni(100), "10.9.0.0/16".parse().unwrap()), Some(behind))],
        macs: vec![with_mac(20, 2), with_mac(21, 3), with_mac(22, 3)],
        flood: [2, 3].map(|at| ((vni(200), vtep(at)), Some(vni(902)))).into(),
    }
}

fn routes(routes: RouteDelta) -> Update {
    Update { local: None, routes }
}

fn local() -> Update {
    Update { local: Some(Box::new(desired())), routes: RouteDelta::default() }
}

fn pinned<K: Pod, V: Pod>(host: &TestHost, map: &str) -> HashMap<MapData, K, V> {
    let map = MapData::from_pin(host.options.pin_folder.join("maps").join(map)).unwrap();
    HashMap::try_from(Map::from_map_data(map).unwrap()).unwrap()
}

fn keys<K: Pod + Ord, V: Pod>(host: &TestHost, map: &str) -> BTreeSet<K> {
    pinned::<K, V>(host, map).keys().map(Result::unwrap).collect()
}

/// Every key in the maps that grow with routes, but for prefixes.
#[derive(Debug, PartialEq, Eq)]
struct Keys {
    hosts: BTreeSet<[u8; size_of::<IpKey>()]>,
    fdb: BTreeSet<[u8; size_of::<MacKey>()]>,
    members: BTreeSet<[u8; size_of::<VtepVniKey>()]>,
    flood: BTreeSet<[u8; size_of::<FloodKey>()]>,
}

impl Keys {
    fn of(host: &TestHost) -> Self {
        Self {
            hosts: keys::<_, [u8; size_of::<HostRoute>()]>(host, maps::HOSTS),
            fdb: keys::<_, [u8; size_of::<NextHop>()]>(host, maps::FDB),
            members: keys::<_, u8>(host, maps::VTEP_VNIS),
            flood: keys::<_, [u8; size_of::<FloodMember>()]>(host, maps::FLOOD),
        }
    }

    fn counts(&self) -> (usize, usize, usize, usize) {
        (self.hosts.len(), self.fdb.len(), self.members.len(), self.flood.len())
    }
}

fn keeping(host: &TestHost) -> Options {
    Options { keep_routes: true, ..host.options.clone() }
}

async fn make(dataplane: &mut Dataplane, update: Update) -> Report {
    let report = dataplane.update(update).await;
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    report
}

#[test]
fn what_is_learned_comes_and_goes_by_itself() {
    on_host("learned", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        // Two gateways, and nothing else.
        assert_eq!(Keys::of(&host).counts(), (2, 0, 0, 0));
        let report = make(&mut dataplane, routes(learned())).await;
        assert!(!report.is_whole);
        assert_eq!(Keys::of(&host).counts(), (4, 3, 4, 2));
        // A VTEP that takes part no more: the last place of the list is the first again.
        make(
            &mut dataplane,
            routes(RouteDelta { flood: vec![((vni(200), vtep(2)), None)], ..RouteDelta::default() }),
        )
        .await;
        assert_eq!(Keys::of(&host).counts(), (4, 3, 4, 1));
        // A MAC without an address moves, then goes.
        let to = Some(Path::switched(vtep(4), vni(902)).into());
        let moved = RouteDelta { macs: vec![((vni(200), mac(22)), to)], ..RouteDelta::default() };
        make(&mut dataplane, routes(moved)).await;
        assert_eq!(Keys::of(&host).counts(), (4, 3, 5, 1));
        let gone = RouteDelta { macs: vec![((vni(200), mac(22)), None)], ..RouteDelta::default() };
        make(&mut dataplane, routes(gone)).await;
        assert_eq!(Keys::of(&host).counts(), (4, 2, 4, 1));
        // The whole is as the parts were: what is left to do is to resolve VTEPs.
        let report = dataplane.resync().await;
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        let touched = report
            .changes
            .iter()
            .filter_map(|change| if let Change::Table { map, .. } = change { Some(*map) } else { None });
        assert_eq!(touched.filter(|map| *map != maps::VTEPS).count(), 0, "{:#?}", report.changes);
    });
}

#[test]
fn a_route_to_an_address_of_a_port_wins_until_it_goes() {
    on_host("learned-here", async |host| {
        let pod = crate::host::Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        let neighbour = Some(Neighbour { subnet: vni(200), vni: vni(200), mac: mac(10) });
        let path = Path { vtep: vtep(2), vni: vni(100), mac: mac(0xf0) };
        let there = RemoteHost { paths: path.into(), neighbour, groups: GroupSet::empty() };
        let address = (vni(100), [10, 0, 0, 10].into());
        let at = Paths::from(Path::switched(vtep(2), vni(200)));
        let comes = RouteDelta {
            hosts: vec![(address, Some(there))],
            macs: vec![((vni(200), mac(10)), Some(at))],
            ..RouteDelta::default()
        };
        make(&mut dataplane, routes(comes.clone())).await;
        let value = || {
            let fdb = pinned::<[u8; size_of::<MacKey>()], [u8; size_of::<NextHop>()]>(&host, maps::FDB);
            fdb.iter().map(Result::unwrap).map(|(_, value)| value).collect::<Vec<_>>()
        };
        let remote = value();
        let here = Update { local: Some(Box::new(desired_with_port(&pod))), routes: RouteDelta::default() };
        make(&mut dataplane, here).await;
        // Whoever knows the route says whether the address is here: another host may have taken it over.
        assert_eq!(value(), remote);
        let goes = RouteDelta {
            hosts: vec![(address, None)],
            macs: vec![((vni(200), mac(10)), None)],
            ..RouteDelta::default()
        };
        make(&mut dataplane, routes(goes)).await;
        let own = value();
        assert!(own.len() == 1 && own != remote, "the port is here");
        // And back: the route comes before the port goes.
        make(&mut dataplane, routes(comes)).await;
        assert_eq!(value(), remote);
        make(&mut dataplane, local()).await;
        assert_eq!(value(), remote);
    });
}

#[test]
fn routes_stay_until_somebody_says_otherwise() {
    on_host("kept", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        make(&mut dataplane, routes(learned())).await;
        let before = Keys::of(&host);
        drop(dataplane);

        let mut dataplane = Dataplane::open(keeping(&host), owner()).await.unwrap();
        let report = make(&mut dataplane, local()).await;
        assert_eq!(Keys::of(&host), before);
        // Two addresses, three MACs, a prefix, two members.
        assert_eq!(report.unconfirmed, 8);
        // One address is confirmed, with its MAC, one is confirmed at another place, one MAC is taken back.
        let mut again = learned();
        again.hosts.truncate(1);
        again.macs = vec![again.macs[0].clone(), ((vni(200), mac(21)), None)];
        again.prefixes.clear();
        again.flood.truncate(1);
        let report = make(&mut dataplane, routes(again)).await;
        assert_eq!(report.unconfirmed, 4);
        assert_eq!(Keys::of(&host).counts(), (4, 3, 4, 2), "the address of the MAC has it still");

        let report = dataplane.sweep().await;
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert_eq!(report.unconfirmed, 0);
        // Gateways and the one address; its MAC; network and subnet of its VTEP; that VTEP's place.
        assert_eq!(Keys::of(&host).counts(), (3, 1, 2, 1));
        assert_eq!(dataplane.sweep().await.changes, []);
        drop(dataplane);

        // Without being asked to, nothing is kept.
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        assert_eq!(Keys::of(&host).counts(), (2, 0, 0, 0));
    });
}

#[test]
fn a_change_that_is_only_looked_at_confirms_nothing() {
    on_host("kept-preview", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        make(&mut dataplane, routes(learned())).await;
        drop(dataplane);

        let mut dataplane = Dataplane::open(keeping(&host), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        dataplane.preview(routes(learned())).await.unwrap();
        assert_eq!(dataplane.resync().await.unconfirmed, 8);
        let report = dataplane.sweep().await;
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert_eq!(Keys::of(&host).counts(), (2, 0, 0, 0));
    });
}

/// A workload comes here from another host while nobody tells routes: what was kept of its address does not lead its
/// packets back there. What was a port's when the data plane opened stays where it was found.
#[test]
fn a_port_that_is_new_has_its_address_whatever_was_kept() {
    on_host("kept-new", async |host| {
        let pod = crate::host::Pod::new();
        let neighbour = Some(Neighbour { subnet: vni(200), vni: vni(200), mac: mac(10) });
        let path = Path { vtep: vtep(2), vni: vni(100), mac: mac(0xf0) };
        let there = RemoteHost { paths: path.into(), neighbour, groups: GroupSet::empty() };
        let at = Paths::from(Path::switched(vtep(2), vni(200)));
        let comes = RouteDelta {
            hosts: vec![((vni(100), [10, 0, 0, 10].into()), Some(there))],
            macs: vec![((vni(200), mac(10)), Some(at))],
            ..RouteDelta::default()
        };
        let value = || {
            let fdb = pinned::<[u8; size_of::<MacKey>()], [u8; size_of::<NextHop>()]>(&host, maps::FDB);
            fdb.iter().map(Result::unwrap).map(|(_, value)| value).collect::<Vec<_>>()
        };
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        make(&mut dataplane, routes(comes)).await;
        let remote = value();
        drop(dataplane);

        let here =
            || Update { local: Some(Box::new(desired_with_port(&pod))), routes: RouteDelta::default() };
        let mut dataplane = Dataplane::open(keeping(&host), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        assert_eq!(value(), remote);
        let report = make(&mut dataplane, here()).await;
        assert_eq!(report.unconfirmed, 0);
        let own = value();
        assert!(own.len() == 1 && own != remote, "the port is here");
        drop(dataplane);

        // With the port intended from the start, and its address elsewhere then.
        let mut dataplane = Dataplane::open(keeping(&host), owner()).await.unwrap();
        make(&mut dataplane, here()).await;
        assert_eq!(value(), own);
    });
}

/// A thread that looks, again and again, until it is stopped or dropped.
struct Watcher {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watcher {
    fn start(look: impl Fn() + Send + 'static) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            let mut looks = 0;
            // The last one is after the stop: there is always one.
            loop {
                let last = stop.load(Ordering::Relaxed);
                look();
                looks += 1;
                if last || Arc::strong_count(&stop) == 1 {
                    return looks;
                }
            }
        });
        Self { stopped, thread }
    }

    /// How often it has looked.
    fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Somebody looks at every entry all the time while the data plane opens again, ten times.
#[test]
fn no_entry_is_missing_for_a_moment() {
    on_host("kept-always", async |host| {
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        make(&mut dataplane, routes(learned())).await;
        let (before, keys) = (Keys::of(&host), Keys::of(&host));
        let flood = pinned::<[u8; size_of::<FloodKey>()], [u8; size_of::<FloodMember>()]>(&host, maps::FLOOD);
        let hosts = pinned::<[u8; size_of::<IpKey>()], [u8; size_of::<HostRoute>()]>(&host, maps::HOSTS);
        let fdb = pinned::<[u8; size_of::<MacKey>()], [u8; size_of::<NextHop>()]>(&host, maps::FDB);
        let watcher = Watcher::start(move || {
            assert!(keys.hosts.iter().all(|key| hosts.get(key, 0).is_ok()), "an entry is missing");
            assert!(keys.fdb.iter().all(|key| fdb.get(key, 0).is_ok()), "an entry is missing");
            assert!(keys.flood.iter().all(|key| flood.get(key, 0).is_ok()), "an entry is missing");
        });
        drop(dataplane);
        for _ in 0..10 {
            let mut dataplane = Dataplane::open(keeping(&host), owner()).await.unwrap();
            make(&mut dataplane, local()).await;
        }
        println!("every entry was there in {} looks", watcher.stop());
        assert_eq!(Keys::of(&host), before);
    });
}

/// The figure is printed, not judged.
#[test]
fn a_hundred_thousand_are_kept_in_no_time() {
    on_host("kept-many", async |host| {
        let sizes = Sizes { addresses: 1 << 18, vteps: 64, ..host.options.sizes };
        let options = Options { sizes, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options.clone(), owner()).await.unwrap();
        make(&mut dataplane, local()).await;
        let address = |number: u32| {
            let [_, b, c, d] = number.to_be_bytes();
            let mac = MacAddr::new([2, 0, 1, b, c, d]);
            let neighbour = Some(Neighbour { subnet: vni(200), vni: vni(200), mac });
            let vtep = vtep(2 + u8::try_from(number % 8).unwrap());
            let host = RemoteHost {
                paths: Path { vtep, vni: vni(100), mac }.into(),
                neighbour,
                groups: GroupSet::empty(),
            };
            ((vni(100), [11, b, c, d].into()), Some(host))
        };
        let hosts = (0..100_000).map(address).collect();
        make(&mut dataplane, routes(RouteDelta { hosts, ..RouteDelta::default() })).await;
        drop(dataplane);
        let start = Instant::now();
        let mut dataplane = Dataplane::open(Options { keep_routes: true, ..options }, owner()).await.unwrap();
        let report = make(&mut dataplane, local()).await;
        println!("100,000 addresses kept at a start: {:?}", start.elapsed());
        assert_eq!(report.unconfirmed, 200_000);
        let start = Instant::now();
        let hosts = (0..100_000).map(address).collect();
        let report = make(&mut dataplane, routes(RouteDelta { hosts, ..RouteDelta::default() })).await;
        println!("confirmed: {:?}", start.elapsed());
        assert_eq!((report.unconfirmed, report.changes.len()), (100_000, 0));
        let report = dataplane.sweep().await;
        assert_eq!((report.unconfirmed, report.changes.len()), (0, 0), "the MACs are those of the addresses");
    });
}
