//! Prints what it costs a speaker to learn a million EVPN type 2 routes from the bytes of one peer, with an instance
//! that imports all of them, or with none: `cargo run --release -p weft-bgp --example speaker [ROUTES] [none]`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Write, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Instant;

use weft_bgp::evpn::{self, Targets};
use weft_bgp::rib::Local;
use weft_bgp::session::{self, ConnectionId, Expected};
use weft_bgp::speaker::{Distance, Neighbours, Path, PeerConfig, Routing, Speaker, SpeakerConfig};
use weft_bgp::wire::{
    Administered, AsPath, Asn, Attributes, Batch, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute,
    ExtendedCommunity, Family, Label, MacIp, MacMobility, Message, NextHop, Open, Origin, Route,
    RouteDistinguisher, RouteTarget, RouterId,
};
use weft_vxlan::{MacAddr, Vni, Vtep};

const DIALECT: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
const ASN: Asn = Asn::new(65000);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 250);
const SUBNET: u32 = 100;
/// Routes with the same attributes.
const SHARED: u32 = 1000;
/// What a socket gives at once.
const READ: usize = 65_536;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let routes: u32 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let with_instance = arguments.next().as_deref() != Some("none");
    let stream = stream(routes)?;
    let now = Instant::now();
    let (mut speaker, connection) = speaker(with_instance, now)?;
    let before = resident()?;
    let (start, mut changes) = (Instant::now(), 0);
    for bytes in stream.chunks(READ) {
        speaker.handle_received(connection, bytes, now);
        while speaker.poll_output().is_some() {}
        while speaker.poll_forwarding().is_some() {
            changes += 1;
        }
    }
    let took = start.elapsed();
    let grown = resident()?.saturating_sub(before);
    let mut out = stdout();
    writeln!(out, "in: {took:?} for {routes} routes and {} bytes", stream.len())?;
    writeln!(out, "changes of forwarding: {changes}")?;
    writeln!(out, "resident: {} bytes a route", grown / u64::from(routes))?;
    let (start, closed) = (Instant::now(), "closed".to_owned());
    speaker.handle_closed(connection, closed, now);
    while speaker.next_deadline().is_some_and(|at| at <= now) {
        speaker.handle_timeout(now);
        while speaker.poll_forwarding().is_some() {}
    }
    writeln!(out, "down: {:?}", start.elapsed())?;
    if with_instance && changes < routes {
        return Err("some routes led to nothing".into());
    }
    Ok(())
}

/// A speaker whose session with the peer is established.
fn speaker(with_instance: bool, now: Instant) -> Result<(Speaker, ConnectionId), Box<dyn Error>> {
    let (own, vni) = (RouterId::new(OWN)?, Vni::new(SUBNET)?);
    let config = SpeakerConfig {
        local: Local { asn: ASN, router_id: own, cluster_id: OWN },
        deferral: None,
        learns_unicast: false,
    };
    let router_mac = MacAddr::new([2, 0, 0, 0, 0, 250]);
    let host = evpn::Host { vtep: Vtep::new(OWN.into())?, router_mac, asn: ASN, router_id: own };
    let mut speaker = Speaker::new(&config, host, 1, now);
    if with_instance {
        speaker.set_instances(&instances(vni)?, now)?;
    }
    let (local, remote) = (SocketAddr::new(OWN.into(), 179), SocketAddr::new(PEER.into(), 179));
    let path = Path { remote, local: None, distance: Distance::Within(NonZeroU8::MIN), password: None };
    let session = session::Config { passive: true, ..session::Config::new(ASN, own, Expected::Internal) };
    let peer = PeerConfig { path, session: session.clone(), routing: Routing::default(), bfd: None };
    let peers = BTreeMap::from([("peer".to_owned(), peer)]);
    speaker.set_neighbours(Neighbours { peers, ..Neighbours::default() }, now);
    let (connection, _) = speaker.handle_accepted(local, remote, now).ok_or("not welcome")?;
    let open = Open {
        asn: ASN,
        hold_time: 9,
        router_id: RouterId::new(PEER)?,
        capabilities: session.capabilities(false),
    };
    let mut bytes = Vec::new();
    Message::Open(open).encode(&DIALECT, &mut bytes)?;
    Message::Keepalive.encode(&DIALECT, &mut bytes)?;
    speaker.handle_received(connection, &bytes, now);
    if speaker.peers().values().all(|peer| peer.session().established().is_none()) {
        return Err("the session is not established".into());
    }
    Ok((speaker, connection))
}

fn instances(vni: Vni) -> Result<evpn::Config, Box<dyn Error>> {
    let network = evpn::Network {
        name: "network".to_owned(),
        vni: Vni::new(5000)?,
        route_distinguisher: None,
        import: Targets::Auto,
        export: Targets::Auto,
        import_any_as: false,
    };
    let subnet = evpn::Subnet {
        name: "subnet".to_owned(),
        network: "network".to_owned(),
        vni,
        route_distinguisher: None,
        import: Targets::Auto,
        export: Targets::Auto,
        import_any_as: false,
        prefixes: vec!["0.0.0.0/1".parse()?],
        gateways: std::collections::BTreeSet::new(),
    };
    Ok(evpn::Config { networks: vec![network], subnets: vec![subnet], ..evpn::Config::default() })
}

/// What the peer sends.
fn stream(routes: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    for first in (0..routes).step_by(SHARED as usize) {
        let target = RouteTarget(Administered::As2 { asn: 65000, number: SUBNET });
        let mobility = MacMobility { sticky: false, sequence: first };
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::default()),
            local_pref: Some(100),
            extended_communities: vec![target.into(), ExtendedCommunity::VXLAN, mobility.into()],
            ..Attributes::default()
        };
        let mut batch = Batch::announce(Family::EVPN, NextHop::V4(PEER), &attributes, &DIALECT)?;
        for index in first..routes.min(first + SHARED) {
            let [a, b, c, d] = index.to_be_bytes();
            let route = EvpnRoute::MacIp(MacIp {
                rd: RouteDistinguisher::from_bytes([0, 1, 10, 0, 0, 1, 0, 1]),
                segment: EthernetSegmentId::ZERO,
                tag: EthernetTag::ZERO,
                mac: MacAddr::new([2, 0, a, b, c, d]),
                ip: Some(Ipv4Addr::from(0x0100_0000 + index).into()),
                label: Label::from_bytes([0, 0, 100]),
                l3_label: None,
            });
            batch.push(0, &Route::Evpn(route), &mut bytes)?;
        }
        batch.flush(&mut bytes)?;
    }
    Ok(bytes)
}

/// Resident memory of the process in bytes.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
