//! Prints what it costs to take a million EVPN type 2 routes from one peer and to reflect them to others:
//! `cargo run --release -p weft-bgp --example rib [ROUTES]`.

use std::error::Error;
use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Facts, Local, NextHopPolicy, Policy, Retain, Rib};
use weft_bgp::wire::{
    AsPath, Asn, Attributes, Batch, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute, Family, Frame, Label,
    MacIp, Message, NextHop, Origin, Received, Route, RouteDistinguisher, RouterId,
};
use weft_vxlan::MacAddr;

const DIALECT: Dialect = Dialect { internal: true, four_octet_as: true, ..Dialect::plain() };
/// Routes with the same attributes.
const SHARED: u32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let routes = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let stream = stream(routes)?;
    let asn = Asn::new(65000);
    let own = RouterId::new(Ipv4Addr::new(10, 0, 0, 250))?;
    let mut rib = Rib::new(Local { asn, router_id: own, cluster_id: own.get() });
    let now = Instant::now();
    for last in 1..=3 {
        rib.handle_up(PeerId(last.into()), facts(last, own)?, now);
    }
    let before = resident()?;
    let mut out = Vec::with_capacity(1 << 20);
    let (start, mut left, mut sent) = (Instant::now(), &stream[..], 0);
    while let Some(frame) = Frame::next(left, false)? {
        let len = frame.len();
        if let Message::Update(update) = Received::decode(frame, &DIALECT)?.message {
            rib.handle_update(PeerId(1), update);
        }
        left = &left[len..];
    }
    let took_in = start.elapsed();
    for last in 2..=3 {
        let start = Instant::now();
        sent = 0;
        while rib.poll_transmit(PeerId(last), 65_536, &mut out) {
            sent += out.len();
            out.clear();
        }
        sent += out.len();
        out.clear();
        writeln!(stdout(), "out to peer {last}: {:?}, {sent} bytes", start.elapsed())?;
    }
    let grown = resident()?.saturating_sub(before);
    writeln!(stdout(), "in: {took_in:?} for {routes} routes and {} bytes", stream.len())?;
    writeln!(stdout(), "resident: {} bytes a route", grown / u64::from(routes))?;
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    rib.handle_down(PeerId(1), &Retain::default(), now);
    while rib.next_deadline().is_some() {
        let slice = Instant::now();
        rib.handle_timeout(now);
        longest = longest.max(slice.elapsed());
    }
    writeln!(stdout(), "down: {:?}, the longest slice {longest:?}", start.elapsed())?;
    if sent == 0 {
        return Err("nothing was sent".into());
    }
    Ok(())
}

fn facts(last: u8, own: RouterId) -> Result<Facts, Box<dyn Error>> {
    let router_id = RouterId::new(Ipv4Addr::new(10, 0, 0, last))?;
    Ok(Facts {
        kind: PeerKind::Client,
        asn: Asn::new(65000),
        router_id,
        address: router_id.get().into(),
        own_address: own.get().into(),
        dialect: DIALECT,
        families: vec![Family::EVPN],
        next_hop: NextHopPolicy::Standard,
        role: None,
        long_lived: false,
        enhanced_refresh: true,
        import: Policy::default(),
        export: Policy::default(),
        membership_wait: Duration::ZERO,
    })
}

/// What the first peer sends.
fn stream(routes: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    for first in (0..routes).step_by(SHARED as usize) {
        let attributes = Attributes {
            origin: Some(Origin::Igp),
            as_path: Some(AsPath::default()),
            local_pref: Some(100),
            med: Some(first),
            ..Attributes::default()
        };
        let next_hop = NextHop::V4(Ipv4Addr::new(10, 0, 0, 1));
        let mut batch = Batch::announce(Family::EVPN, next_hop, &attributes, &DIALECT)?;
        for index in first..routes.min(first + SHARED) {
            let [a, b, c, d] = index.to_be_bytes();
            let route = EvpnRoute::MacIp(MacIp {
                rd: RouteDistinguisher::from_bytes([0, 1, 10, 0, 0, 1, 0, 1]),
                segment: EthernetSegmentId::ZERO,
                tag: EthernetTag::ZERO,
                mac: MacAddr::new([2, 0, a, b, c, d]),
                ip: Some(Ipv4Addr::from(index).into()),
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
