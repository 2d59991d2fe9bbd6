//! Peers of a RIB: what they send it, and what they are told, through the bytes of the codec.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use weft_bgp::peer::{PeerId, PeerKind};
use weft_bgp::rib::{Facts, Key, Local, NextHopPolicy, Policy, Rib};
use weft_bgp::wire::{
    AsPath, Asn, Attributes, Dialect, EthernetSegmentId, EthernetTag, EvpnRoute, Family, Frame, Label, MacIp,
    Message, NextHop, Nlri, Origin, Reachable, Received, Route, RouteDistinguisher, RouteRefresh,
    RouteRefreshKind, RouterId, Routes, Update,
};
use weft_vxlan::MacAddr;

pub const OWN_AS: u32 = 65000;

pub fn id(last: u8) -> RouterId {
    RouterId::new(Ipv4Addr::new(10, 0, 0, last)).expect("not zero")
}

pub fn rib() -> Rib {
    Rib::new(Local { asn: Asn::new(OWN_AS), router_id: id(250), cluster_id: id(250).get() })
}

pub fn dialect(internal: bool) -> Dialect {
    Dialect { internal, four_octet_as: true, ..Dialect::plain() }
}

/// Peer `last`: an external one is in AS 65000 + `last`.
pub fn facts(kind: PeerKind, last: u8) -> Facts {
    let internal = kind != PeerKind::External;
    Facts {
        kind,
        asn: Asn::new(if internal { OWN_AS } else { OWN_AS + u32::from(last) }),
        router_id: id(last),
        address: id(last).get().into(),
        own_address: id(250).get().into(),
        dialect: dialect(internal),
        families: vec![Family::EVPN, Family::IPV4_UNICAST],
        next_hop: NextHopPolicy::Standard,
        role: None,
        long_lived: true,
        enhanced_refresh: true,
        import: Policy::default(),
        export: Policy::default(),
        membership_wait: Duration::from_secs(60),
    }
}

pub fn up(rib: &mut Rib, kind: PeerKind, last: u8, now: Instant) -> PeerId {
    let peer = PeerId(last.into());
    rib.handle_up(peer, facts(kind, last), now);
    peer
}

pub fn mac_ip(index: u32) -> EvpnRoute {
    let [a, b, c, d] = index.to_be_bytes();
    EvpnRoute::MacIp(MacIp {
        rd: RouteDistinguisher::from_bytes([0, 1, 10, 0, 0, 1, 0, 1]),
        segment: EthernetSegmentId::ZERO,
        tag: EthernetTag::ZERO,
        mac: MacAddr::new([2, 0, a, b, c, d]),
        ip: Some(Ipv4Addr::from(index).into()),
        label: Label::from_bytes([0, 0, 100]),
        l3_label: None,
    })
}

pub fn key(index: u32) -> Key {
    Key::split(Route::Evpn(mac_ip(index))).0
}

pub fn attributes(path: &[u32]) -> Attributes {
    Attributes {
        origin: Some(Origin::Igp),
        as_path: Some(AsPath::sequence(path.iter().map(|asn| Asn::new(*asn)))),
        ..Attributes::default()
    }
}

pub fn announce(indexes: impl IntoIterator<Item = u32>, attributes: Attributes, hop: u8) -> Update {
    let routes = Routes::Evpn(indexes.into_iter().map(|index| Nlri::from(mac_ip(index))).collect());
    let next_hop = NextHop::V4(id(hop).get());
    Update { attributes, reachable: Some(Reachable { next_hop, routes }), ..Update::default() }
}

pub fn refresh(kind: RouteRefreshKind) -> RouteRefresh {
    RouteRefresh { family: Family::EVPN, kind }
}

pub fn withdraw(indexes: impl IntoIterator<Item = u32>) -> Update {
    let routes = Routes::Evpn(indexes.into_iter().map(|index| Nlri::from(mac_ip(index))).collect());
    Update { unreachable: vec![routes], ..Update::default() }
}

/// What a peer knows after all that it was told.
#[derive(Debug, Default)]
pub struct Told {
    pub evpn: BTreeMap<Vec<u8>, (Attributes, NextHop)>,
    pub complete: Vec<Family>,
    /// Marks, each with how many routes were announced before it.
    pub marks: Vec<(RouteRefresh, usize)>,
    pub messages: usize,
    pub announced: usize,
    pub withdrawn: usize,
    pub memberships: Vec<weft_bgp::wire::RouteTargetMembership>,
}

fn name(route: &EvpnRoute) -> Vec<u8> {
    let (key, _) = Key::split(Route::Evpn(route.clone()));
    format!("{key:?}").into_bytes()
}

impl Told {
    pub fn has(&self, index: u32) -> Option<&(Attributes, NextHop)> {
        self.evpn.get(&name(&mac_ip(index)))
    }

    /// Takes in all that the RIB has to say.
    pub fn hear(&mut self, rib: &mut Rib, peer: PeerId) -> &mut Self {
        let mut bytes = Vec::new();
        while rib.poll_transmit(peer, 10_000, &mut bytes) {}
        let mut left = &bytes[..];
        while let Some(frame) = Frame::next(left, false).expect("a good header") {
            let len = frame.len();
            assert!(len <= 4096);
            let received = Received::decode(frame, &dialect(peer.0 < 100)).expect("a good message");
            assert_eq!(received.faults, []);
            self.take(received.message);
            left = &left[len..];
        }
        assert!(left.is_empty());
        self
    }

    fn take(&mut self, message: Message) {
        self.messages += 1;
        let update = match message {
            Message::Update(update) => update,
            Message::EndOfRib(family) => return self.complete.push(family),
            Message::RouteRefresh(mark) => return self.marks.push((mark, self.announced)),
            Message::Open(_) | Message::Notification(_) | Message::Keepalive => {
                panic!("not from a RIB: {message:?}")
            }
        };
        for routes in update.unreachable {
            let Routes::Evpn(routes) = routes else { continue };
            for nlri in routes {
                self.withdrawn += 1;
                assert!(self.evpn.remove(&name(&nlri.route)).is_some(), "withdrawn but never announced");
            }
        }
        let Some(Reachable { next_hop, routes }) = update.reachable else { return };
        match routes {
            Routes::Evpn(routes) => {
                for nlri in routes {
                    self.announced += 1;
                    self.evpn.insert(name(&nlri.route), (update.attributes.clone(), next_hop));
                }
            }
            Routes::RouteTargets(routes) => self.memberships.extend(routes.iter().map(|nlri| nlri.route)),
            Routes::Ipv4(_) | Routes::Ipv6(_) => {}
        }
    }
}
