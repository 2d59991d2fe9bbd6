//! What two OPENs settle, and what is refused.

use std::net::Ipv4Addr;

use super::super::{Config, Expected, Restart};
use super::*;
use crate::wire::{AddPath, LongLivedFamily, RestartFamily};

fn config() -> Config {
    let router_id = RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
    Config::new(Asn::new(65001), router_id, Expected::External)
}

/// The OPEN of AS 65002 with these capabilities, and EVPN.
fn open(capabilities: Vec<Capability>) -> Open {
    let router_id = RouterId::new(Ipv4Addr::new(10, 0, 0, 2)).unwrap();
    let mut all = vec![Capability::Multiprotocol(Family::EVPN)];
    all.extend(capabilities);
    Open { asn: Asn::new(65002), hold_time: 90, router_id, capabilities: all }
}

fn settle(config: &Config, open: &Open) -> Result<Established, (u8, Vec<u8>)> {
    let id = ConnectionId { peer: crate::peer::PeerId(1), number: 1 };
    let end = SocketAddr::from((Ipv4Addr::LOCALHOST, 179));
    let settled = Established::negotiate(config, open, id, end, end);
    settled.map_err(|(notification, _)| (notification.subcode, notification.data))
}

#[test]
fn a_role_must_fit_and_is_supplied_where_it_is_not_told() {
    use Role::{Customer, Peer, Provider, RouteServer, RouteServerClient};
    let all = [Provider, Customer, RouteServer, RouteServerClient, Peer];
    let fitting = [Customer, Provider, RouteServerClient, RouteServer, Peer];
    for (own, fits) in all.into_iter().zip(fitting) {
        let config = Config { role: Some(own), ..config() };
        for theirs in all {
            let settled = settle(&config, &open(vec![Capability::Role(theirs)])).map(|session| session.role);
            let wanted =
                if theirs == fits { Ok(Some(fits)) } else { Err((open_error::ROLE_MISMATCH, vec![])) };
            assert_eq!(settled, wanted, "{own:?} and {theirs:?}");
        }
        assert_eq!(settle(&config, &open(vec![])).unwrap().role, Some(fits));
        let strict = Config { strict_role: true, ..config };
        assert_eq!(settle(&strict, &open(vec![])), Err((open_error::ROLE_MISMATCH, vec![])));
    }
    assert_eq!(settle(&config(), &open(vec![Capability::Role(Peer)])).unwrap().role, None);
}

#[test]
fn roles_are_told_to_other_ases_only() {
    let told = |expected| {
        let config = Config { role: Some(Role::Peer), expected, ..config() };
        config.capabilities(false).contains(&Capability::Role(Role::Peer))
    };
    assert!(told(Expected::External) && told(Expected::Asn(Asn::new(65002))));
    assert!(!told(Expected::Internal) && !told(Expected::Asn(Asn::new(65001))));
}

#[test]
fn families_that_both_announce() {
    let config = Config { families: vec![Family::IPV4_UNICAST, Family::EVPN], ..config() };
    let mut peer = open(vec![Capability::Multiprotocol(Family::IPV6_UNICAST)]);
    assert_eq!(settle(&config, &peer).unwrap().families, [Family::EVPN]);
    peer.capabilities.remove(0);
    let missing = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 25, 0, 70];
    assert_eq!(settle(&config, &peer), Err((open_error::UNSUPPORTED_CAPABILITY, missing)));
    peer.capabilities.clear();
    assert_eq!(settle(&config, &peer).unwrap().families, [Family::IPV4_UNICAST]);
}

#[test]
fn path_identifiers_are_read_where_the_peer_sends_them() {
    let evpn = AddPathFamilies { evpn: true, ..AddPathFamilies::default() };
    for (own, theirs, read) in [
        (evpn, Some(AddPathMode::Both), true),
        (evpn, Some(AddPathMode::Send), true),
        (evpn, Some(AddPathMode::Receive), false),
        (evpn, None, false),
        (AddPathFamilies::default(), Some(AddPathMode::Both), false),
    ] {
        let config = Config { receive_path_ids: own, ..config() };
        let told = theirs.map(|mode| Capability::AddPath(vec![AddPath { family: Family::EVPN, mode }]));
        let dialect = settle(&config, &open(told.into_iter().collect())).unwrap().dialect;
        assert_eq!(dialect.receive_path_ids.evpn, read, "{theirs:?}");
        assert_eq!(dialect.send_path_ids, AddPathFamilies::default());
    }
}

#[test]
fn what_is_kept_of_each_family() {
    let restart = |time, families: &[Family]| {
        let families = families.iter().map(|&family| RestartFamily { family, forwarding: true }).collect();
        Capability::GracefulRestart(GracefulRestart { restarted: false, notification: true, time, families })
    };
    let long = |family| LongLivedFamily { family, forwarding: false, stale_time: 3600 };
    let own = Restart {
        time: Duration::from_secs(120),
        restarted: false,
        forwarding: true,
        longest: Duration::from_secs(90),
        long_lived: Duration::from_secs(600),
    };
    let families = vec![Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    let config = Config { restart: Some(own), families, ..config() };
    let peer = open(vec![
        Capability::Multiprotocol(Family::IPV4_UNICAST),
        Capability::Multiprotocol(Family::IPV6_UNICAST),
        restart(30, &[Family::IPV6_UNICAST]),
        restart(120, &[Family::EVPN]),
        Capability::LongLived(LongLived { families: vec![long(Family::IPV4_UNICAST)] }),
    ]);
    let session = settle(&config, &peer).unwrap();
    let kept = |family, restart, long_lived| RetainFamily {
        family,
        restart: Duration::from_secs(restart),
        long_lived: Duration::from_secs(long_lived),
    };
    let wanted = [kept(Family::EVPN, 90, 0), kept(Family::IPV4_UNICAST, 0, 600)];
    assert_eq!(session.retain(&config).families, wanted);
    assert!(session.forwards(Family::EVPN) && !session.forwards(Family::IPV4_UNICAST));
    let none = Config { restart: None, ..config };
    assert_eq!(settle(&none, &peer).unwrap().retain(&none), Retain::default());
}

#[test]
fn the_as_and_the_identifier_must_be_right() {
    let refused = |subcode| Err((subcode, vec![]));
    let same = RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
    for (expected, asn, subcode) in [
        (Expected::External, 65001, open_error::BAD_PEER_AS),
        (Expected::Internal, 65002, open_error::BAD_PEER_AS),
        (Expected::Asn(Asn::new(65003)), 65002, open_error::BAD_PEER_AS),
        (Expected::Internal, 65001, open_error::BAD_IDENTIFIER),
    ] {
        let peer = Open { asn: Asn::new(asn), router_id: same, ..open(vec![]) };
        assert_eq!(settle(&Config { expected, ..config() }, &peer), refused(subcode), "{expected:?}");
    }
    let elsewhere = Open { router_id: same, ..open(vec![]) };
    assert_eq!(settle(&config(), &elsewhere).unwrap().kind, PeerKind::External);
}
