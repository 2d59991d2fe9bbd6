//! Speakers, and connections between them, in simulated time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use weft_bgp::evpn::{self, Forwarding, LocalPort};
use weft_bgp::rib::Local;
use weft_bgp::session::{self, ConnectionId, Expected, Restart};
use weft_bgp::speaker::{
    Distance, Event, GroupConfig, Neighbours, Output, Path, PeerConfig, Routing, Speaker, SpeakerConfig,
};
use weft_bgp::wire::{Asn, Family, RouterId};
use weft_vxlan::{MacAddr, Vni, Vtep};

pub const ASN: u32 = 65000;
pub const NETWORK: u32 = 5000;
pub const SUBNET: u32 = 100;

pub fn vni(value: u32) -> Vni {
    Vni::new(value).unwrap()
}

pub fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 250, 0, host])
}

pub fn mac(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 1, number])
}

pub fn ip(number: u8) -> IpAddr {
    IpAddr::from([192, 168, 100, number])
}

pub fn port(number: u8) -> LocalPort {
    let (ips, groups) = (BTreeSet::from([ip(number)]), BTreeSet::new());
    LocalPort { subnet: "web".to_owned(), mac: mac(number), ips, groups, sticky: false }
}

/// Network `red` (5000) with the subnet `web` (100).
pub fn instances() -> evpn::Config {
    let auto = || evpn::Targets::Auto;
    let network = evpn::Network {
        name: "red".to_owned(),
        vni: vni(NETWORK),
        route_distinguisher: None,
        import: auto(),
        export: auto(),
        import_any_as: false,
    };
    let subnet = evpn::Subnet {
        name: "web".to_owned(),
        network: "red".to_owned(),
        vni: vni(SUBNET),
        route_distinguisher: None,
        import: auto(),
        export: auto(),
        import_any_as: false,
        prefixes: vec!["192.168.100.0/24".parse().unwrap()],
        gateways: BTreeSet::from([ip(254)]),
    };
    evpn::Config { networks: vec![network], subnets: vec![subnet], ..evpn::Config::default() }
}

/// How a speaker speaks with `remote`, both in the same AS.
pub fn peer(own: u8, remote: u8) -> PeerConfig {
    let router_id = RouterId::new([10, 250, 0, own].into()).unwrap();
    let restart = Restart {
        time: Duration::from_secs(120),
        restarted: false,
        forwarding: true,
        longest: Duration::from_secs(600),
        long_lived: Duration::ZERO,
    };
    PeerConfig {
        path: Path {
            remote: SocketAddr::new(address(remote), 179),
            local: None,
            distance: Distance::Within(NonZeroU8::MIN),
            password: None,
        },
        session: session::Config {
            families: vec![Family::EVPN, Family::ROUTE_TARGETS],
            restart: Some(restart),
            ..session::Config::new(Asn::new(ASN), router_id, Expected::Internal)
        },
        routing: Routing::default(),
        bfd: None,
    }
}

/// A reflector's: all of 10.250.0.0/24 are clients.
pub fn clients(own: u8) -> Neighbours {
    let mut template = peer(own, 0);
    template.session.client = true;
    let group = GroupConfig { ranges: vec!["10.250.0.0/24".parse().unwrap()], most: 100, template };
    Neighbours { groups: BTreeMap::from([("hosts".to_owned(), group)]), ..Neighbours::default() }
}

/// A host's: the reflector.
pub fn reflector(own: u8, reflector: u8) -> Neighbours {
    let peers = BTreeMap::from([("rr".to_owned(), peer(own, reflector))]);
    Neighbours { peers, ..Neighbours::default() }
}

/// A speaker, and what it told its data plane.
pub struct Host {
    pub speaker: Speaker,
    pub hosts: BTreeMap<IpAddr, Vtep>,
    pub macs: BTreeMap<MacAddr, Vtep>,
    pub floods: BTreeSet<Vtep>,
    /// By BFD.
    pub watched: BTreeSet<IpAddr>,
    pub events: Vec<Event>,
}

type Name = (u8, ConnectionId);

/// Speakers by the last byte of their addresses.
pub struct Fabric {
    pub hosts: BTreeMap<u8, Host>,
    pub now: Instant,
    other: BTreeMap<Name, Name>,
    /// Under way; without bytes, the end.
    bytes: VecDeque<(Name, Vec<u8>)>,
}

impl Fabric {
    pub fn new() -> Self {
        Self { hosts: BTreeMap::new(), now: Instant::now(), other: BTreeMap::new(), bytes: VecDeque::new() }
    }

    /// Starts a speaker. One with a `deferral` has restarted.
    pub fn start(&mut self, number: u8, neighbours: Neighbours, deferral: Option<Duration>) {
        let router_id = RouterId::new([10, 250, 0, number].into()).unwrap();
        let local = Local { asn: Asn::new(ASN), router_id, cluster_id: router_id.get() };
        let vtep = Vtep::new(address(number)).unwrap();
        let host = evpn::Host { vtep, router_mac: vtep.default_router_mac(), asn: Asn::new(ASN), router_id };
        let config = SpeakerConfig { local, deferral, learns_unicast: false };
        let mut speaker = Speaker::new(&config, host, number.into(), self.now);
        speaker.set_instances(&instances(), self.now).unwrap();
        speaker.set_neighbours(neighbours, self.now);
        let (hosts, macs, floods) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let watched = BTreeSet::new();
        self.hosts.insert(number, Host { speaker, hosts, macs, floods, watched, events: Vec::new() });
        self.settle();
    }

    /// Stops a speaker without a word; its connections break.
    pub fn kill(&mut self, number: u8) {
        self.hosts.remove(&number);
        let broken: Vec<_> = self.other.keys().copied().filter(|(host, _)| *host == number).collect();
        for name in broken {
            self.close(name);
        }
        self.settle();
    }

    pub fn speaker(&mut self, number: u8) -> &mut Speaker {
        &mut self.hosts.get_mut(&number).unwrap().speaker
    }

    pub fn add_port(&mut self, host: u8, number: u8) {
        let now = self.now;
        self.speaker(host).set_port(&format!("p{number}"), port(number), now).unwrap();
        self.settle();
    }

    pub fn remove_port(&mut self, host: u8, number: u8) {
        let now = self.now;
        self.speaker(host).remove_port(&format!("p{number}"), now);
        self.settle();
    }

    fn close(&mut self, name: Name) {
        if let Some(other) = self.other.remove(&name) {
            self.other.remove(&other);
            self.bytes.push_back((other, Vec::new()));
        }
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut moved = false;
            let numbers: Vec<_> = self.hosts.keys().copied().collect();
            for number in numbers {
                moved |= self.turn(number);
            }
            while let Some(((host, connection), bytes)) = self.bytes.pop_front() {
                moved = true;
                let Some(host) = self.hosts.get_mut(&host) else { continue };
                if bytes.is_empty() {
                    host.speaker.handle_closed(connection, "closed".to_owned(), self.now);
                } else {
                    host.speaker.handle_received(connection, &bytes, self.now);
                }
            }
            if !moved {
                return;
            }
        }
        panic!("the fabric never comes to rest");
    }

    fn turn(&mut self, number: u8) -> bool {
        let mut moved = false;
        while let Some(output) = self.hosts.get_mut(&number).and_then(|host| host.speaker.poll_output()) {
            moved = true;
            match output {
                Output::Connect { connection, path } => self.connect((number, connection), &path),
                Output::Send { connection, bytes } => self.send((number, connection), bytes),
                Output::Close(connection) => self.close((number, connection)),
                Output::Watch { path, config } => {
                    let watched = &mut self.hosts.get_mut(&number).unwrap().watched;
                    match config {
                        Some(_) => watched.insert(path.remote.ip()),
                        None => watched.remove(&path.remote.ip()),
                    };
                }
                Output::Event(event) => self.hosts.get_mut(&number).unwrap().events.push(event),
            }
        }
        let names: Vec<_> = self.other.keys().copied().filter(|(host, _)| *host == number).collect();
        for name in names {
            let mut out = Vec::new();
            moved |= self.speaker(number).poll_transmit(name.1, 4096, &mut out, Instant::now());
            if !out.is_empty() {
                moved = true;
                self.send(name, out);
            }
        }
        let host = self.hosts.get_mut(&number).unwrap();
        while let Some(forwarding) = host.speaker.poll_forwarding() {
            moved = true;
            host.learn(forwarding);
        }
        moved
    }

    fn connect(&mut self, from: Name, path: &Path) {
        let now = self.now;
        let IpAddr::V4(remote) = path.remote.ip() else { panic!("IPv4 only") };
        let [.., to] = remote.octets();
        let ends = [SocketAddr::new(address(from.0), 40_000), SocketAddr::new(address(to), 179)];
        let accepted =
            self.hosts.get_mut(&to).and_then(|host| host.speaker.handle_accepted(ends[1], ends[0], now));
        match accepted {
            Some((connection, _)) => {
                self.other.insert(from, (to, connection));
                self.other.insert((to, connection), from);
                self.speaker(from.0).handle_connected(from.1, ends[0], ends[1], now);
            }
            None => self.speaker(from.0).handle_connect_failed(from.1, "refused".to_owned(), now),
        }
    }

    fn send(&mut self, from: Name, bytes: Vec<u8>) {
        if let Some(other) = self.other.get(&from) {
            self.bytes.push_back((*other, bytes));
        }
        self.speaker(from.0).handle_written(from.1);
    }

    /// Lets time pass, with everything that is due in it.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next = self.hosts.values().filter_map(|host| host.speaker.next_deadline()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            for host in self.hosts.values_mut() {
                host.speaker.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }
}

impl Host {
    fn learn(&mut self, forwarding: Forwarding) {
        match forwarding {
            Forwarding::Host { address, to: Some(to), .. } => drop(self.hosts.insert(address, to.vtep)),
            Forwarding::Host { address, to: None, .. } => drop(self.hosts.remove(&address)),
            Forwarding::Mac { mac, to: Some(to), .. } => drop(self.macs.insert(mac, to.first.vtep)),
            Forwarding::Mac { mac, to: None, .. } => drop(self.macs.remove(&mac)),
            Forwarding::Flood { vtep, vni: Some(_), .. } => drop(self.floods.insert(vtep)),
            Forwarding::Flood { vtep, vni: None, .. } => drop(self.floods.remove(&vtep)),
            Forwarding::Prefix { .. } => {}
        }
    }

    /// The host that an address is on, by its number.
    pub fn finds(&self, number: u8) -> Option<u8> {
        let of = |vtep: &Vtep| match vtep.address() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let (host, mac) = (self.hosts.get(&ip(number)).map(of), self.macs.get(&mac(number)).map(of));
        assert_eq!(host, mac, "address and MAC are at the same place");
        host
    }
}
