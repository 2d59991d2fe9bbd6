//! Ports with security groups: what the maps hold of them, how it changes, and what outlives the daemon.

use std::collections::{BTreeMap, BTreeSet};

use aya::Pod as Plain;
use aya::maps::{Array, HashMap, Map, MapData, lpm_trie::LpmTrie};
use weft_dataplane::desired::{Desired, Path, RemoteHost, RouteDelta, Security, Update};
use weft_dataplane::{Change, Dataplane, Operation, Options, Report, Sizes};
use weft_dataplane_abi::{
    Endpoint, HostRoute, IdentityKey, IpKey, MembershipKey, PolicyClass, PolicyRule, PortSecurity, maps,
    port_flags,
};
use weft_policy::{Action, Direction, GroupId, GroupSet, Peer, Policy, Protocol, Rule, RuleSpec};
use weft_vxlan::Vni;

use crate::host::{Pod, TestHost, desired, eventually, on_host, owner, port, reconcile, vni};

/// A value of a map, as its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Bytes<T>(pub T);

// SAFETY: the types are `repr(C)` without padding, and any bytes are a value of them: zerocopy has proved it.
unsafe impl<T: Copy + Proved + 'static> Plain for Bytes<T> {}

pub use proved::Proved;

mod proved {
    use weft_dataplane_abi as abi;

    /// What zerocopy has proved it of.
    pub trait Proved {}
    impl Proved for u64 {}
    impl Proved for abi::Endpoint {}
    impl Proved for abi::HostRoute {}
    impl Proved for abi::IdentityKey {}
    impl Proved for abi::IpKey {}
    impl Proved for abi::MembershipKey {}
    impl Proved for abi::PolicyClass {}
    impl Proved for abi::PolicyRule {}
    impl Proved for abi::ServiceKey {}
    impl Proved for abi::AllowedPair {}
    impl Proved for abi::FlowKey {}
    impl Proved for abi::Flow {}
    impl Proved for abi::HalfOpenKey {}
    impl Proved for abi::FlowCounts {}
    impl Proved for abi::RuleKey {}
}

pub fn pinned(host: &TestHost, map: &str) -> Map {
    let path = host.options.pin_folder.join("maps").join(map);
    Map::from_map_data(MapData::from_pin(path).unwrap()).unwrap()
}

pub fn entries<K, V>(host: &TestHost, map: &str) -> BTreeMap<K, V>
where
    K: Ord + Copy + Proved + 'static,
    V: Copy + Proved + 'static,
{
    let map = HashMap::<_, Bytes<K>, Bytes<V>>::try_from(pinned(host, map)).unwrap();
    map.iter().map(Result::unwrap).map(|(key, value)| (key.0, value.0)).collect()
}

/// How many entries each policy has in its three tables.
fn sizes(host: &TestHost) -> BTreeMap<u32, [usize; 3]> {
    let mut sizes: BTreeMap<u32, [usize; 3]> = BTreeMap::new();
    let peers = LpmTrie::<_, Bytes<IpKey>, Bytes<PolicyClass>>::try_from(pinned(host, maps::PEERS)).unwrap();
    for key in peers.keys() {
        sizes.entry(key.unwrap().data().0.network()).or_default()[0] += 1;
    }
    for key in entries::<IdentityKey, PolicyClass>(host, maps::IDENTITIES).keys() {
        sizes.entry(key.policy).or_default()[1] += 1;
    }
    let services = LpmTrie::<_, Bytes<weft_dataplane_abi::ServiceKey>, Bytes<PolicyRule>>::try_from(pinned(
        host,
        maps::SERVICES,
    ));
    for key in services.unwrap().keys() {
        sizes.entry(key.unwrap().data().0.policy()).or_default()[2] += 1;
    }
    sizes
}

fn generation(host: &TestHost) -> u32 {
    let map = Array::<_, u32>::try_from(pinned(host, maps::GENERATION)).unwrap();
    map.get(&0, 0).unwrap()
}

pub fn endpoint(host: &TestHost, report: &Report, port: &str) -> PortSecurity {
    let ifindex = report.ports[port].ifindex;
    let map = HashMap::<_, u32, Bytes<Endpoint>>::try_from(pinned(host, maps::ENDPOINTS)).unwrap();
    *map.get(&ifindex, 0).unwrap().0.security()
}

fn identity(host: &TestHost, address: [u8; 4]) -> u32 {
    entries::<IpKey, HostRoute>(host, maps::HOSTS)[&IpKey::new(vni(100), address.into())].identity()
}

fn memberships(host: &TestHost) -> BTreeSet<(u32, u32)> {
    let map = HashMap::<_, Bytes<MembershipKey>, u8>::try_from(pinned(host, maps::MEMBERSHIPS)).unwrap();
    map.keys().map(|key| key.unwrap().0).map(|key| (key.identity, key.group)).collect()
}

pub fn groups(groups: &[u32]) -> GroupSet {
    groups.iter().map(|group| GroupId(*group)).collect()
}

pub fn allow(service: u16, peer: Peer) -> Rule {
    let spec = RuleSpec {
        direction: Direction::Ingress,
        action: Action::Allow,
        priority: 100,
        protocol: Protocol::Tcp,
        ports: Some(service..=service),
        icmp: None,
        peer,
        stateless: false,
    };
    Rule::new(spec).unwrap()
}

/// A member of `of` that lets in what `rules` say.
pub fn guarded(of: &[u32], rules: impl IntoIterator<Item = Rule>) -> Security {
    Security { ingress: Policy::new(Direction::Ingress, rules), groups: groups(of), ..Security::open() }
}

pub fn remote(last: u8, of: &[u32]) -> ((Vni, std::net::IpAddr), Option<RemoteHost>) {
    let path =
        Path { vtep: "192.0.2.2".parse().unwrap(), vni: vni(300), mac: "02:00:c0:00:02:02".parse().unwrap() };
    let host = RemoteHost { paths: path.into(), neighbour: None, groups: groups(of) };
    ((vni(100), [10, 0, 0, last].into()), Some(host))
}

pub fn two_ports(a: &Pod, b: &Pod) -> Desired {
    let mut desired = desired();
    for (name, number, pod) in [("a", 10, a), ("b", 11, b)] {
        let mut port = port(number, &pod.path);
        port.security = guarded(&[7], [allow(80, Peer::Group(GroupId(7))), allow(22, Peer::Any)]);
        desired.ports.insert(name.to_owned(), port);
    }
    desired
}

/// Entries that were written in, and removed from, maps of policies.
fn policy_changes(report: &Report) -> BTreeMap<(&'static str, &'static str), usize> {
    let of_policies = report.changes.iter().filter_map(|change| {
        let Change::Entries { map, operation, count } = change else { return None };
        let operation = match operation {
            Operation::Insert => "insert",
            Operation::Replace => "replace",
            Operation::Remove => "remove",
        };
        Some(((*map, operation), *count))
    });
    of_policies.collect()
}

/// In: two ports with the same rules, one of them about their own group. Out: one policy, which both name; the set of groups
/// recorded and on their addresses. A rule more: its entries, and a generation more. Nothing: nothing.
#[test]
fn a_port_s_groups_are_entries_and_a_rule_is_a_few() {
    on_host("groups", async |host| {
        let (a, b) = (Pod::new(), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = two_ports(&a, &b);
        let report = reconcile(&mut dataplane, &desired).await;
        let flags = port_flags::FIREWALL | port_flags::EGRESS_ALLOWED;
        let expected = PortSecurity { ingress: 1, egress: 0, tenant: 17, flags };
        assert_eq!(["a", "b"].map(|port| endpoint(&host, &report, port)), [expected; 2]);
        // Both families' classes have a rule, that of the group both.
        assert_eq!(sizes(&host), BTreeMap::from([(1, [0, 1, 3])]));
        assert_eq!(memberships(&host), BTreeSet::from([(1, 7)]));
        assert_eq!([[10, 0, 0, 10], [10, 0, 0, 11]].map(|address| identity(&host, address)), [1, 1]);
        let local =
            entries::<IpKey, HostRoute>(&host, maps::HOSTS)[&IpKey::new(vni(100), [10, 0, 0, 10].into())];
        assert!(local.next_hop().is_firewalled());
        let before = generation(&host);
        assert!(before > 0, "the first reconciliation has all judged again");

        let report = reconcile(&mut dataplane, &desired).await;
        assert!(report.changes.is_empty() && generation(&host) == before, "{:#?}", report.changes);

        for port in desired.ports.values_mut() {
            let rules = [(80, Peer::Group(GroupId(7))), (22, Peer::Any), (443, Peer::Any)];
            port.security = guarded(&[7], rules.map(|(service, peer)| allow(service, peer)));
        }
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(policy_changes(&report), BTreeMap::from([((maps::SERVICES, "replace"), 2)]));
        assert_eq!(sizes(&host), BTreeMap::from([(1, [0, 1, 5])]));
        assert_eq!(generation(&host), before + 1);

        // One port alone: a policy of its own, and back to that of the other.
        let alone = guarded(&[7, 8], [allow(25, Peer::Any)]);
        let both = std::mem::replace(&mut desired.ports.get_mut("a").unwrap().security, alone);
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(endpoint(&host, &report, "a").ingress, 2);
        assert_eq!(sizes(&host), BTreeMap::from([(1, [0, 2, 5]), (2, [0, 0, 2])]));
        assert_eq!(memberships(&host), BTreeSet::from([(1, 7), (2, 7), (2, 8)]));
        desired.ports.get_mut("a").unwrap().security = both;
        let report = reconcile(&mut dataplane, &desired).await;
        assert_eq!(endpoint(&host, &report, "a").ingress, 1);
        assert_eq!(sizes(&host), BTreeMap::from([(1, [0, 1, 5])]));
        assert_eq!(memberships(&host), BTreeSet::from([(1, 7)]), "nobody has the other set any more");
    });
}

/// In: addresses on other hosts that are members of groups. Out: they have numbers, which the policy knows, and connections
/// are judged again whenever one changes, and at no other route.
#[test]
fn addresses_elsewhere_have_groups() {
    on_host("groups-elsewhere", async |host| {
        let (a, b) = (Pod::new(), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &two_ports(&a, &b)).await;
        let mut before = generation(&host);
        let mut learn = async |hosts: Vec<_>| {
            let routes = RouteDelta { hosts, ..RouteDelta::default() };
            let report = dataplane.update(Update { local: None, routes }).await;
            assert!(report.failures.is_empty() && !report.is_whole, "{:#?}", report.failures);
            let raised = generation(&host) - before;
            before += raised;
            raised
        };
        assert_eq!(learn(vec![remote(20, &[]), remote(21, &[])]).await, 0);
        assert_eq!(learn(vec![remote(20, &[7, 9]), remote(22, &[9])]).await, 1);
        assert_eq!([20, 21, 22].map(|last| identity(&host, [10, 0, 0, last])), [2, 0, 3]);
        // The group that no rule names is in no table.
        assert_eq!(sizes(&host), BTreeMap::from([(1, [0, 2, 3])]));
        assert_eq!(memberships(&host), BTreeSet::from([(1, 7), (2, 7), (2, 9), (3, 9)]));
        assert_eq!(learn(vec![remote(20, &[7, 9])]).await, 0);
        assert_eq!(learn(vec![(remote(22, &[]).0, None)]).await, 1);
        assert_eq!(learn(vec![(remote(21, &[]).0, None)]).await, 0);
    });
}

/// In: a data plane that opens again with what is pinned, and keeps routes. Out: sets of groups keep their numbers; the ports
/// go over to a policy of a new number, and of the old one nothing is left.
#[test]
fn numbers_of_sets_outlive_the_daemon_and_policies_are_filled_anew() {
    on_host("groups-again", async |host| {
        let (a, b) = (Pod::new(), Pod::new());
        let options = Options { keep_routes: true, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options.clone(), owner()).await.unwrap();
        let desired = two_ports(&a, &b);
        let local = || Update { local: Some(Box::new(desired.clone())), routes: RouteDelta::default() };
        dataplane.update(local()).await;
        let routes = RouteDelta { hosts: vec![remote(20, &[9, 7])], ..RouteDelta::default() };
        dataplane.update(Update { local: None, routes: routes.clone() }).await;
        let (sets, before) = (memberships(&host), generation(&host));
        assert_eq!(identity(&host, [10, 0, 0, 20]), 2);
        drop(dataplane);

        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let report = dataplane.update(local()).await;
        assert!(report.failures.is_empty(), "{:#?}", report.failures);
        assert_eq!(report.unconfirmed, 1);
        let replaced = |change: &&Change| matches!(change, Change::Table { map: maps::HOSTS, .. });
        assert_eq!(report.changes.iter().filter(replaced).count(), 0, "no address has changed");
        assert_eq!(sizes(&host), BTreeMap::from([(2, [0, 2, 3])]));
        assert_eq!(["a", "b"].map(|port| endpoint(&host, &report, port).ingress), [2, 2]);
        assert_eq!(endpoint(&host, &report, "a").tenant, 17);
        assert_eq!((memberships(&host), identity(&host, [10, 0, 0, 20])), (sets, 2));
        assert_eq!(generation(&host), before + 1);
        let report = dataplane.update(Update { local: None, routes }).await;
        assert_eq!((report.unconfirmed, report.changes.len(), generation(&host)), (0, 0, before + 1));
    });
}

/// In: more rules than fit, for a port that is there and one that is not. Out: the one goes by what it had, the other gets
/// nothing through, and both are told of.
#[test]
fn rules_that_do_not_fit_change_nothing() {
    on_host("groups-full", async |host| {
        let (a, b) = (Pod::new(), Pod::new());
        let options = Options { sizes: Sizes { rules: 16, ..host.options.sizes }, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let mut desired = two_ports(&a, &b);
        let mut late = desired.ports.remove("b").unwrap();
        reconcile(&mut dataplane, &desired).await;
        let before = sizes(&host);
        let many: Vec<_> = (0..40).map(|port| allow(1 + 2 * port, Peer::Any)).collect();
        late.security = guarded(&[7], many.clone());
        desired.ports.insert("b".to_owned(), late);
        desired.ports.get_mut("a").unwrap().security = guarded(&[7], many);
        let report = dataplane.reconcile(&desired).await;
        let failed: Vec<_> = report.failures.iter().map(|failure| failure.port.as_deref()).collect();
        assert_eq!(failed, [Some("a"), Some("b")], "{:#?}", report.failures);
        assert_eq!(sizes(&host), before);
        assert_eq!(endpoint(&host, &report, "a").ingress, 1);
        let closed = PortSecurity { flags: port_flags::FIREWALL, tenant: 17, ..PortSecurity::default() };
        assert_eq!(endpoint(&host, &report, "b"), closed);
    });
}

/// In: a port that may send for others. Out: what it may send is in the map under its device, and goes with it.
#[test]
fn pairs_come_and_go_with_their_port() {
    on_host("groups-pairs", async |host| {
        let pod = Pod::new();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        let mut desired = desired();
        let mut with_pair = port(10, &pod.path);
        let mac = "02:00:00:00:00:99".parse().unwrap();
        with_pair.security.pairs = BTreeMap::from([("10.0.0.128/25".parse().unwrap(), mac)]);
        desired.ports.insert("a".to_owned(), with_pair);
        let report = reconcile(&mut dataplane, &desired).await;
        let flags = endpoint(&host, &report, "a").flags;
        assert_eq!(flags & (port_flags::FIREWALL | port_flags::PAIRS), port_flags::PAIRS);
        let pairs = || {
            let map = LpmTrie::<_, Bytes<IpKey>, Bytes<weft_dataplane_abi::AllowedPair>>::try_from(pinned(
                &host,
                maps::PAIRS,
            ));
            let keys = map.unwrap().keys().map(Result::unwrap).collect::<Vec<_>>();
            keys.iter().map(|key| (key.prefix_len(), key.data().0.network())).collect::<Vec<_>>()
        };
        assert_eq!(pairs(), [(64 + 25, report.ports["a"].ifindex)]);
        desired.ports.clear();
        reconcile(&mut dataplane, &desired).await;
        eventually("the pair to go", async || pairs().is_empty().then_some(())).await;
    });
}

/// The figures are printed, not judged.
#[test]
fn one_rule_of_a_hundred_thousand_changes_in_no_time() {
    on_host("groups-many", async |host| {
        let pod = Pod::new();
        let sizes = Sizes { rules: 1 << 18, ..host.options.sizes };
        let options = Options { sizes, ..host.options.clone() };
        let mut dataplane = Dataplane::open(options, owner()).await.unwrap();
        let rule = |number: u32| {
            let [_, b, c, d] = number.to_be_bytes();
            let peer = std::net::IpAddr::from([11, b, c, d]);
            allow(1 + u16::try_from(number % 60_000).unwrap(), Peer::Prefix(peer.into()))
        };
        let mut desired = desired();
        let mut port = port(10, &pod.path);
        port.security = guarded(&[], (0..100_000).map(rule));
        desired.ports.insert("a".to_owned(), port);
        let start = std::time::Instant::now();
        reconcile(&mut dataplane, &desired).await;
        println!("100,000 rules: {:?}", start.elapsed());
        let start = std::time::Instant::now();
        reconcile(&mut dataplane, &desired).await;
        println!("nothing new: {:?}", start.elapsed());
        desired.ports.get_mut("a").unwrap().security = guarded(&[], (1..100_001).map(rule));
        let start = std::time::Instant::now();
        let report = reconcile(&mut dataplane, &desired).await;
        println!("one rule instead of another: {:?}", start.elapsed());
        println!("{:?}", policy_changes(&report));
    });
}
