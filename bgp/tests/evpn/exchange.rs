//! Hosts that tell each other, with delays, while ports move between them at random.
//!
//! ```text
//!   host 1 <---> host 2      each arrow a queue: in order from one host to another,
//!      ^ \      / ^          in any order between different pairs
//!       \  v  v  /
//!        host 3
//! ```
//!
//! In: ports appear and go, their announcements cross. Out: when all is delivered, every MAC and IP address is
//! announced by one host that has its port, and all others forward to that one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::support::{Remote, Table, apply, config, host, ip, mac, vtep};
use proptest::prelude::*;
use weft_bgp::evpn::{DuplicateDetection, Instances, LearnedPath, LocalPort, Origination, RouteChange};
use weft_bgp::peer::PeerId;
use weft_bgp::rib::Key;
use weft_bgp::wire::{EvpnRoute, Route};

/// An address that goes from port to port.
const FLOATING: u8 = 99;

#[derive(Debug, Clone)]
enum Step {
    /// Adds the port of a MAC address to a host, whether another one has it or not.
    Set(usize, u8),
    /// Removes it.
    Remove(usize, u8),
    /// Adds it to one host and removes it from all others, in either order.
    Move(usize, u8, bool),
    /// The floating address goes to the ports of this MAC address.
    Float(u8),
    /// Delivers a change from one host to another, if one waits.
    Deliver(usize, usize),
}

struct Fabric {
    hosts: Vec<Instances>,
    tables: Vec<Table>,
    announced: Vec<HashMap<Key, EvpnRoute>>,
    queues: BTreeMap<(usize, usize), VecDeque<RouteChange<'static>>>,
    ports: BTreeSet<(usize, u8)>,
    floating: u8,
    now: Instant,
}

impl Fabric {
    fn new(count: usize) -> Self {
        let mut fabric = Self {
            hosts: vec![],
            tables: vec![Table::new(); count],
            announced: vec![HashMap::new(); count],
            queues: BTreeMap::new(),
            ports: BTreeSet::new(),
            floating: 0,
            now: Instant::now(),
        };
        let mut config = config();
        config.duplicates = DuplicateDetection { moves: usize::MAX, ..DuplicateDetection::default() };
        for number in 0..count {
            let mut instances = Instances::new(host(u8::try_from(number + 1).unwrap()));
            instances.set_config(&config, fabric.now).unwrap();
            fabric.hosts.push(instances);
        }
        fabric
    }

    fn set(&mut self, host: usize, number: u8) {
        let mut ips = BTreeSet::from([ip(number)]);
        if self.floating == number {
            ips.insert(ip(FLOATING));
        }
        let (subnet, groups) = ("web".to_owned(), BTreeSet::new());
        let port = LocalPort { subnet, mac: mac(number), ips, groups, sticky: false };
        self.hosts[host].set_port(&format!("port-{number}"), port, self.now).unwrap();
        self.ports.insert((host, number));
    }

    fn remove(&mut self, host: usize, number: u8) {
        self.hosts[host].remove_port(&format!("port-{number}"), self.now);
        self.ports.remove(&(host, number));
    }

    fn step(&mut self, step: &Step) {
        self.now += Duration::from_millis(10);
        match *step {
            Step::Set(host, number) => self.set(host, number),
            Step::Remove(host, number) => self.remove(host, number),
            Step::Move(host, number, first) => {
                if first {
                    self.set(host, number);
                }
                for other in (0..self.hosts.len()).filter(|other| *other != host) {
                    self.remove(other, number);
                }
                if !first {
                    self.set(host, number);
                }
            }
            Step::Float(number) => {
                let before = std::mem::replace(&mut self.floating, number);
                // The port that had it gives it up first: a host refuses it on two ports of one subnet.
                for number in [before, number] {
                    for host in 0..self.hosts.len() {
                        if self.ports.contains(&(host, number)) {
                            self.set(host, number);
                        }
                    }
                }
            }
            Step::Deliver(from, to) => {
                let change = self.queues.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                if let Some(change) = change {
                    self.hosts[to].handle_route(change, self.now);
                }
            }
        }
        self.take();
    }

    /// Puts what the hosts say into the queues and the tables.
    fn take(&mut self) {
        for from in 0..self.hosts.len() {
            while let Some(origination) = self.hosts[from].poll_originate() {
                let peer = PeerId(u32::try_from(from).unwrap());
                let change = match origination {
                    Origination::Announce { route, attributes, next_hop } => {
                        self.announced[from].insert(key(&route), route.clone());
                        let attributes = Cow::Owned(*attributes);
                        let best = LearnedPath { attributes, next_hop, from: peer, long_lived_stale: false };
                        RouteChange { route, best: Some(best), others: vec![] }
                    }
                    Origination::Withdraw(route) => {
                        let announced = self.announced[from].remove(&key(&route));
                        assert!(announced.is_some(), "{route:?} withdrawn and not announced");
                        RouteChange { route, best: None, others: vec![] }
                    }
                };
                for to in (0..self.hosts.len()).filter(|to| *to != from) {
                    self.queues.entry((from, to)).or_default().push_back(change.clone());
                }
            }
            apply(&mut self.hosts[from], &mut self.tables[from]);
            while self.hosts[from].poll_event().is_some() {}
        }
    }

    /// Delivers until nothing waits.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let waiting = self.queues.iter().find(|(_, queue)| !queue.is_empty()).map(|(pair, _)| *pair);
            let Some((from, to)) = waiting else { return };
            self.step(&Step::Deliver(from, to));
        }
        panic!("the hosts go on telling each other");
    }

    fn announces(&self, host: usize, wanted: impl Fn(u8, Option<IpAddr>) -> bool) -> bool {
        self.announced[host].values().any(|route| {
            let EvpnRoute::MacIp(route) = route else { return false };
            wanted(route.mac.bytes()[5], route.ip)
        })
    }

    /// One host with a port announces it, and the others forward there.
    fn check(
        &self,
        subject: &str,
        holders: &BTreeSet<usize>,
        wanted: impl Fn(u8, Option<IpAddr>) -> bool + Copy,
    ) {
        let announcers: Vec<_> = (0..self.hosts.len()).filter(|host| self.announces(*host, wanted)).collect();
        if holders.is_empty() {
            assert_eq!(announcers, [], "{subject}");
            assert!(self.tables.iter().all(|table| !table.contains_key(subject)), "{subject}");
            return;
        }
        let [one] = announcers.as_slice() else {
            panic!("{subject} is announced by {announcers:?} of {holders:?}")
        };
        assert!(holders.contains(one), "{subject}");
        let place = format!("{} ", vtep(u8::try_from(one + 1).unwrap()));
        for (host, table) in self.tables.iter().enumerate() {
            let to = table.get(subject);
            if host == *one {
                assert_eq!(to, None, "{subject} on its own host");
            } else {
                assert!(
                    to.is_some_and(|to| to.starts_with(&place)),
                    "{subject} on {host}: {to:?}, not {place}"
                );
            }
        }
    }

    fn check_all(&self, macs: u8) {
        for number in 0..macs {
            let holders =
                self.ports.iter().filter(|(_, held)| *held == number).map(|(host, _)| *host).collect();
            self.check(&format!("mac 100 {}", mac(number)), &holders, |of, ip| of == number && ip.is_none());
            let address = ip(number);
            self.check(&format!("host 5000 {address}"), &holders, |_, ip| ip == Some(address));
        }
        let floating = self.floating;
        let holders =
            self.ports.iter().filter(|(_, held)| *held == floating).map(|(host, _)| *host).collect();
        self.check(&format!("host 5000 {}", ip(FLOATING)), &holders, |_, at| at == Some(ip(FLOATING)));
    }
}

fn key(route: &EvpnRoute) -> Key {
    Key::split(Route::Evpn(route.clone())).0
}

fn step(hosts: usize, macs: u8) -> impl Strategy<Value = Step> {
    let (host, number) = (0..hosts, 0..macs);
    prop_oneof![
        4 => (host.clone(), number.clone(), any::<bool>()).prop_map(|(a, b, c)| Step::Move(a, b, c)),
        1 => (host.clone(), number.clone()).prop_map(|(a, b)| Step::Set(a, b)),
        1 => (host.clone(), number.clone()).prop_map(|(a, b)| Step::Remove(a, b)),
        1 => number.prop_map(Step::Float),
        9 => (host.clone(), host).prop_map(|(a, b)| Step::Deliver(a, b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn two_hosts_agree_after_a_thousand_moves(steps in prop::collection::vec(step(2, 4), 4000)) {
        run(2, 4, &steps);
    }

    #[test]
    fn three_hosts_agree(steps in prop::collection::vec(step(3, 3), 2000)) {
        run(3, 3, &steps);
    }

    /// Short runs find more, and shrink well.
    #[test]
    fn a_few_moves(runs in prop::collection::vec(prop::collection::vec(step(3, 2), 0..20), 40)) {
        for steps in &runs {
            run(3, 2, steps);
        }
    }

    #[test]
    fn the_order_of_routes_does_not_matter(
        mut routes in prop::collection::vec(route(), 1..40),
        seed in any::<u64>(),
        gone in prop::collection::vec(any::<bool>(), 40),
    ) {
        // One path for each route, as from the RIB.
        let mut seen = BTreeSet::new();
        routes.retain(|remote| seen.insert(format!("{:?}", key(&remote.route))));
        let one = table(&routes, &gone);
        let mut indexed: Vec<_> = routes.into_iter().zip(gone).enumerate().collect();
        indexed.sort_by_key(|(index, _)| (*index as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let (routes, gone): (Vec<_>, Vec<_>) = indexed.into_iter().map(|(_, pair)| pair).unzip();
        prop_assert_eq!(one, table(&routes, &gone));
    }
}

/// The table of a host with ports 0 and 1 after all routes came and some went.
fn table(routes: &[Remote], gone: &[bool]) -> Table {
    let mut fabric = Fabric::new(1);
    fabric.set(0, 0);
    fabric.set(0, 1);
    for remote in routes {
        fabric.hosts[0].handle_route(remote.comes(), fabric.now);
        apply(&mut fabric.hosts[0], &mut fabric.tables[0]);
    }
    for (remote, _) in routes.iter().zip(gone).filter(|(_, gone)| **gone) {
        fabric.hosts[0].handle_route(remote.goes(), fabric.now);
    }
    apply(&mut fabric.hosts[0], &mut fabric.tables[0]);
    fabric.tables.remove(0)
}

fn route() -> impl Strategy<Value = Remote> {
    let address = prop::option::of(0..3_u8);
    let mac_ip = (2..5_u8, 0..4_u8, address, 0..3_u32, any::<bool>()).prop_map(
        |(at, number, address, sequence, own)| {
            let route = Remote::mac_ip(at, number, address.map(ip)).with(crate::support::mobility(sequence));
            if own { route } else { route.edit(|route| route.rd = crate::support::rd(at, 7)) }
        },
    );
    let prefix = (2..5_u8, 0..3_u8).prop_map(|(at, net)| Remote::prefix(at, &format!("10.{net}.0.0/16")));
    prop_oneof![4 => mac_ip, 1 => prefix, 1 => (2..5_u8).prop_map(Remote::flood)]
}

fn run(hosts: usize, macs: u8, steps: &[Step]) {
    let mut fabric = Fabric::new(hosts);
    for step in steps {
        fabric.step(step);
    }
    fabric.settle();
    fabric.check_all(macs);
}
