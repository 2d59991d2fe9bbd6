//! Two speakers, planned from resources as weftd does, and what this host's one is asked.
//!
//! ```text
//!   host 192.0.2.1, AS 65000 ── BGP in simulated time ── rr 192.0.2.254, AS 65000
//!   port web-1, 10.0.0.5                                  ports far-1, 10.0.0.9, and far-2, 10.1.0.8;
//!                                                         takes 192.0.2.0/24 as clients
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path as File;

use weft_api::view::bgp::{CandidateSource, PeerRelation};
use weft_bgp::evpn::LocalPort;
use weft_bgp::rib::Local;
use weft_bgp::session::ConnectionId;
use weft_bgp::speaker::{Output, SpeakerConfig};

use super::*;
use crate::bgp::neighbours::neighbours;
use crate::bgp::plan::plan;
use crate::config::Config;
use crate::model::Host;
use crate::model::tests::intent;

const NETWORKS: &[&str] = &[
    r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
    r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#,
    r#"{"kind":"network","name":"blue","tenant":"blue","vni":6000}"#,
    r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.1.0.0/24"}"#,
];
const REFLECTOR: &str = r#"{"kind":"peer","name":"rr","address":"192.0.2.254","asn":"internal","description":"rack 7",
    "password":"secret","long_lived_stale_time_s":60}"#;
const CLIENTS: &str = r#"{"kind":"peer-group","name":"hosts","asn":"internal","route_reflector_client":true,
    "ranges":["192.0.2.0/24"]}"#;

struct Side {
    address: IpAddr,
    model: Model,
    plan: Plan,
    speaker: Speaker,
}

impl Side {
    fn new(address: &str, peers: &str, now: Instant) -> Self {
        let text = format!("[underlay]\ndevice = \"eth0\"\nvtep = \"{address}\"\n[bgp]\nasn = 65000\n");
        let host = Host::of(&Config::parse(File::new("weftd.toml"), &text).unwrap());
        let mut documents = NETWORKS.to_vec();
        documents.push(peers);
        let model = Model::build(&intent(&documents), &host, &[]).unwrap();
        let plan = plan(&model, &host).unwrap();
        let local = Local {
            asn: plan.speaker.asn,
            router_id: plan.speaker.router_id,
            cluster_id: plan.speaker.cluster_id,
        };
        let mut speaker = Speaker::new(
            &SpeakerConfig { local, deferral: None, learns_unicast: false },
            plan.host.clone(),
            1,
            now,
        );
        speaker.set_instances(&plan.instances, now).unwrap();
        speaker.set_neighbours(neighbours(&plan, false), now);
        Self { address: address.parse().unwrap(), model, plan, speaker }
    }

    fn add_port(&mut self, name: &str, subnet: &str, address: [u8; 4], now: Instant) {
        let port = LocalPort {
            subnet: subnet.to_owned(),
            mac: weft_vxlan::MacAddr::new([2, 0, 0, 0, 0, address[3]]),
            ips: [IpAddr::from(address)].into(),
            groups: BTreeSet::new(),
            sticky: false,
        };
        self.speaker.set_port(name, port, now).unwrap();
    }
}

struct Pair {
    sides: [Side; 2],
    links: BTreeMap<(usize, ConnectionId), ConnectionId>,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        let mut sides = [Side::new("192.0.2.1", REFLECTOR, now), Side::new("192.0.2.254", CLIENTS, now)];
        sides[0].add_port("web-1", "red-a", [10, 0, 0, 5], now);
        sides[1].add_port("far-1", "red-a", [10, 0, 0, 9], now);
        sides[1].add_port("far-2", "blue-a", [10, 1, 0, 8], now);
        let mut this = Self { sides, links: BTreeMap::new(), now };
        this.settle();
        this
    }

    /// Lets everything happen that needs no time.
    fn settle(&mut self) {
        while (0..2).map(|side| self.turn(side)).fold(false, |moved, more| moved | more) {}
    }

    fn turn(&mut self, side: usize) -> bool {
        let (mut moved, now) = (false, self.now);
        while let Some(output) = self.sides[side].speaker.poll_output() {
            moved = true;
            match output {
                Output::Connect { connection, path } => self.connect(side, connection, path.remote),
                Output::Send { connection, bytes } => {
                    self.sides[side].speaker.handle_written(connection);
                    self.deliver(side, connection, &bytes);
                }
                Output::Close(connection) => self.close(side, connection),
                Output::Watch { .. } | Output::Event(_) => {}
            }
        }
        let own: Vec<_> = self.links.keys().filter(|(of, _)| *of == side).map(|(_, link)| *link).collect();
        for connection in own {
            let mut out = Vec::new();
            while self.sides[side].speaker.poll_transmit(connection, 4096, &mut out, now) {}
            if !out.is_empty() {
                moved = true;
                self.deliver(side, connection, &out);
            }
        }
        moved
    }

    fn connect(&mut self, side: usize, connection: ConnectionId, remote: SocketAddr) {
        let (other, now) = (1 - side, self.now);
        let local = SocketAddr::new(self.sides[side].address, 40_000);
        let (accepted, _) = self.sides[other].speaker.handle_accepted(remote, local, now).unwrap();
        self.links.insert((side, connection), accepted);
        self.links.insert((other, accepted), connection);
        self.sides[side].speaker.handle_connected(connection, local, remote, now);
    }

    fn deliver(&mut self, side: usize, connection: ConnectionId, bytes: &[u8]) {
        if let Some(&far) = self.links.get(&(side, connection)) {
            self.sides[1 - side].speaker.handle_received(far, bytes, self.now);
        }
    }

    fn close(&mut self, side: usize, connection: ConnectionId) {
        if let Some(far) = self.links.remove(&(side, connection)) {
            self.links.remove(&(1 - side, far));
            self.sides[1 - side].speaker.handle_closed(far, "closed".to_owned(), self.now);
        }
    }

    fn ask<T>(&self, side: usize, question: impl FnOnce(Answers<'_>) -> T) -> T {
        let Side { model, plan, speaker, .. } = &self.sides[side];
        let established = BTreeMap::from([("rr".to_owned(), 3)]);
        let status = bfd::Status {
            peer: bfd::Peer::on_link("192.0.2.254".parse().unwrap()),
            state: bfd::State::Up,
            diagnostic: bfd::Diagnostic::ControlDetectionTimeExpired,
            peer_state: None,
            detection_time: Duration::from_millis(900),
            transmit_interval: Duration::from_millis(300),
        };
        let mut offered = status;
        offered.peer.hops = bfd::Hops::Multiple { minimum_ttl: 1 };
        offered.state = bfd::State::Down;
        let bfd = &[status, offered];
        question(Answers { speaker, plan, model, established: &established, bfd, now: self.now })
    }
}

#[test]
fn a_summary_of_either_side() {
    let mut pair = Pair::new();
    pair.now += Duration::from_secs(61);
    let summary = pair.ask(0, |ask| ask.summary());
    assert_eq!((summary.asn.get(), summary.router_id.to_string().as_str()), (65000, "192.0.2.1"));
    let [rr] = summary.peers.as_slice() else { panic!("{summary:?}") };
    assert_eq!((rr.name.as_str(), rr.dynamic, rr.asn.unwrap().get()), ("rr", false, 65000));
    assert_eq!((rr.state, rr.since_seconds), (PeerState::Established, 61));
    // A port is a MAC alone and a MAC with its address, and each subnet with one has a type 3.
    assert_eq!(rr.routes["evpn"], RouteCounts { received: 6, accepted: 6, sent: 3 });
    assert!(rr.routes["route-targets"].sent > 0, "{rr:?}");
    let [client] = pair.ask(1, |ask| ask.summary()).peers.try_into().unwrap();
    assert_eq!((client.name.as_str(), client.group.as_deref()), ("hosts/192.0.2.1", Some("hosts")));
    assert!(client.dynamic && client.state == PeerState::Established, "{client:?}");
    let relation = pair.ask(1, |ask| ask.neighbor("hosts/192.0.2.1")).unwrap().relation;
    assert_eq!(relation, PeerRelation::Client);
}

#[test]
fn all_about_a_neighbor() {
    let pair = Pair::new();
    let rr = pair.ask(0, |ask| ask.neighbor("rr")).unwrap();
    assert_eq!((rr.description.as_deref(), rr.established_count), (Some("rack 7"), 3));
    assert_eq!((rr.relation, rr.router_id), (PeerRelation::Internal, Some([192, 0, 2, 254].into())));
    let transport = rr.transport.unwrap();
    assert_eq!(transport.local, "192.0.2.1:40000".parse().unwrap());
    assert!(!transport.accepted && transport.signed, "{transport:?}");
    assert_eq!(
        (rr.timers.hold_negotiated, rr.timers.keepalive, rr.timers.next_attempt),
        (Some(9), Some(3), None)
    );
    assert!(rr.messages.sent.open == 1 && rr.messages.received.update > 0, "{:?}", rr.messages);
    let capability = |name: &str| rr.capabilities.iter().find(|one| one.capability == name).unwrap();
    let families = capability("multiprotocol");
    assert_eq!((families.sent.as_deref(), families.negotiated), (Some("evpn, route-targets"), true));
    let long = capability("long-lived-graceful-restart");
    assert_eq!(
        (long.sent.as_deref(), long.received.as_deref()),
        (Some("evpn 60 s, route-targets 60 s"), None)
    );
    assert!(!long.negotiated);
    assert_eq!(capability("route-refresh").received.as_deref(), Some("yes"));
    let bfd = rr.bfd.unwrap();
    assert_eq!((bfd.state.as_str(), bfd.transmit_ms, bfd.detect_ms), ("up", 300, 900));
    assert_eq!(bfd.diagnostic.as_deref(), Some("control detection time expired"));
    assert_eq!((rr.restart, rr.notification_sent), (None, None));
    assert_eq!(pair.ask(0, |ask| ask.neighbors()).len(), 1);
    assert_eq!(pair.ask(0, |ask| ask.neighbor("x")), Err(BgpError::NoPeer("x".to_owned())));
}

#[test]
fn a_peer_that_went_is_remembered() {
    let mut pair = Pair::new();
    let (link, _) = pair.links.iter().next().unwrap();
    let connection = link.1;
    pair.links.clear();
    let now = pair.now;
    pair.sides[0].speaker.handle_closed(connection, "reset by peer".to_owned(), now);
    while pair.sides[0].speaker.poll_output().is_some() {}
    while pair.sides[0].speaker.next_deadline().is_some_and(|at| at <= now) {
        pair.sides[0].speaker.handle_timeout(now);
    }
    let rr = pair.ask(0, |ask| ask.neighbor("rr")).unwrap();
    assert_ne!(rr.summary.state, PeerState::Established);
    assert!(rr.summary.last_error.as_ref().unwrap().contains("reset by peer"), "{:?}", rr.summary);
    let restart = rr.restart.unwrap();
    assert_eq!((restart.phase, restart.remaining_seconds), (RestartPhase::Away, 120));
    assert!(restart.stale["evpn"] > 0, "{restart:?}");
}

#[test]
fn routes_by_peer_family_and_network() {
    let pair = Pair::new();
    let query = |table, family, network: Option<&str>| RibQuery {
        table,
        family,
        network: network.map(str::to_owned),
    };
    let routes = |query: RibQuery| {
        let routes = pair.ask(0, |ask| ask.rib(&query)).unwrap();
        routes.into_iter().map(|route| route.route).collect::<Vec<_>>()
    };
    let far = "[2]:[0]:[48]:[02:00:00:00:00:09]:[32]:[10.0.0.9] RD 192.0.2.254:5001".to_owned();
    let near = "[2]:[0]:[48]:[02:00:00:00:00:05]:[32]:[10.0.0.5] RD 192.0.2.1:5001".to_owned();
    let all = routes(query(RibTable::Local, Some(Family::EVPN), None));
    assert!(all.contains(&far) && all.contains(&near), "{all:#?}");
    let from = routes(query(RibTable::In("rr".to_owned()), Some(Family::EVPN), None));
    assert!(from.contains(&far) && !from.contains(&near), "{from:#?}");
    let to = routes(query(RibTable::Out("rr".to_owned()), Some(Family::EVPN), None));
    assert!(!to.contains(&far) && to.contains(&near), "{to:#?}");
    let red = routes(query(RibTable::Local, None, Some("red")));
    let blue = routes(query(RibTable::Local, None, Some("blue")));
    assert!(red.contains(&far) && !blue.contains(&far) && !blue.is_empty(), "{red:#?} {blue:#?}");
    assert!(routes(query(RibTable::Local, Some(Family::ROUTE_TARGETS), None)).len() > 1);
    assert_eq!(routes(query(RibTable::Local, Some(Family::IPV6_UNICAST), None)), Vec::<String>::new());
    let refused = |query: RibQuery| pair.ask(0, |ask| ask.rib(&query)).unwrap_err();
    assert_eq!(refused(query(RibTable::In("x".to_owned()), None, None)), BgpError::NoPeer("x".to_owned()));
    assert_eq!(refused(query(RibTable::Local, None, Some("x"))), BgpError::NoNetwork("x".to_owned()));
}

#[test]
fn where_an_address_is() {
    let pair = Pair::new();
    let explain = |text: &str, network: Option<&str>| {
        let subject: Subject = text.parse().unwrap();
        pair.ask(0, |ask| ask.explain(subject, network))
    };
    // On this host, on the other one, and nowhere but in the subnet's prefix.
    let [near] = explain("10.0.0.5", None).unwrap().try_into().unwrap();
    assert_eq!(
        (near.network.as_str(), &near.candidates[0].source),
        ("red", &CandidateSource::Port("web-1".into()))
    );
    let [far] = explain("10.0.0.9", None).unwrap().try_into().unwrap();
    let candidate = &far.candidates[0];
    assert_eq!((candidate.verdict, candidate.vteps[0].to_string().as_str()), (Verdict::Used, "192.0.2.254"));
    assert!(matches!(&candidate.source, CandidateSource::Route { peer, .. } if peer == "rr"), "{far:?}");
    let [prefix] = explain("10.0.0.77", None).unwrap().try_into().unwrap();
    assert_eq!((prefix.subject.as_str(), prefix.network.as_str()), ("10.0.0.0/24", "red"));
    assert_eq!(prefix.candidates[0].source, CandidateSource::Own);
    let [mac] = explain("02:00:00:00:00:09", None).unwrap().try_into().unwrap();
    assert_eq!((mac.subnet.as_deref(), mac.candidates[0].verdict), (Some("red-a"), Verdict::Used));
    // Another tenant's network does not import it.
    let [blue] = explain("10.0.0.9", Some("blue")).unwrap().try_into().unwrap();
    assert!(blue.candidates.iter().all(|one| one.verdict == Verdict::NotImported), "{blue:?}");
    // Nobody has it.
    assert_eq!(explain("10.9.0.0/16", None), Ok(vec![]));
    let [nobody] = explain("172.16.0.1", Some("red")).unwrap().try_into().unwrap();
    assert_eq!(nobody.candidates, []);
    assert_eq!(explain("10.0.0.5", Some("x")), Err(BgpError::NoNetwork("x".to_owned())));
}
