//! From a plan to the neighbours of the speaker, in its own words. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Duration;

use weft_bgp::peer::PeerKind;
use weft_bgp::session::{self, Expected, Restart};
use weft_bgp::speaker::{self, GroupConfig, MostRoutes, Neighbours, Password, Path, PeerConfig, Routing};

use super::plan::Plan;
use super::session::{Distance, RemoteAs, Session};
use crate::config::Speaker;

/// A first pause that a short outage is not longer than.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// With whom the speaker speaks. `forwarding`: the data plane kept its routes over the last start of weftd.
#[must_use]
pub fn neighbours(plan: &Plan, forwarding: bool) -> Neighbours {
    let config = |address, session| peer(&plan.speaker, address, session, forwarding);
    let peers = plan.peers.iter().map(|peer| (peer.name.clone(), config(peer.address, &peer.session)));
    let groups = plan.groups.iter().map(|group| {
        // Whoever connects has an address of its own, which takes the place of this one.
        let template = config(Ipv4Addr::UNSPECIFIED.into(), &group.session);
        let most = usize::try_from(group.max_peers).unwrap_or(usize::MAX);
        (group.name.clone(), GroupConfig { ranges: group.ranges.clone(), most, template })
    });
    Neighbours { peers: peers.collect(), groups: groups.collect() }
}

fn peer(speaker: &Speaker, address: IpAddr, of: &Session, forwarding: bool) -> PeerConfig {
    let most = of.max_routes.map(|max| MostRoutes {
        limit: usize::try_from(max.limit).unwrap_or(usize::MAX),
        warning: usize::try_from(max.warn).unwrap_or(usize::MAX),
        again: max.restart,
    });
    PeerConfig {
        path: Path {
            remote: SocketAddr::new(address, of.port),
            local: of.local_address,
            distance: distance(of),
            // One of another length is refused before.
            password: of.password.as_ref().and_then(|password| Password::new(password.reveal()).ok()),
        },
        session: session_config(speaker, of, forwarding),
        routing: Routing {
            next_hop: of.next_hop,
            import: of.import.clone(),
            export: of.export.clone(),
            most: of.families.iter().filter_map(|family| Some((*family, most?))).collect(),
        },
        bfd: of.bfd,
    }
}

fn session_config(speaker: &Speaker, of: &Session, forwarding: bool) -> session::Config {
    let expected = match of.asn {
        RemoteAs::Number(asn) if asn == speaker.asn => Expected::Internal,
        RemoteAs::Number(asn) => Expected::Asn(asn),
        RemoteAs::External => Expected::External,
    };
    session::Config {
        client: of.kind == PeerKind::Client,
        passive: of.passive,
        shutdown: of.shutdown.clone(),
        families: of.families.clone(),
        hold_time: u16::try_from(of.hold_time.as_secs()).unwrap_or(u16::MAX),
        retry: FIRST_RETRY.min(of.connect_retry),
        longest_retry: of.connect_retry,
        role: of.role,
        restart: of.graceful_restart.map(|kept| Restart {
            time: Duration::from_secs(speaker.restart_time_s.into()),
            restarted: false,
            forwarding,
            longest: kept.stale,
            long_lived: kept.long_lived,
        }),
        ..session::Config::new(speaker.asn, speaker.router_id, expected)
    }
}

/// An external peer is a direct neighbour, unless something else is said.
fn distance(of: &Session) -> speaker::Distance {
    let (within, hops) = match (of.distance, of.kind) {
        (Distance::Usual, PeerKind::Internal | PeerKind::Client) => return speaker::Distance::Any,
        (Distance::Usual, PeerKind::External) => (false, 1),
        (Distance::Ttl(ttl), _) => (false, ttl),
        (Distance::Security(hops), _) => (true, hops),
    };
    match NonZeroU8::new(hops) {
        Some(hops) if within => speaker::Distance::Within(hops),
        Some(ttl) => speaker::Distance::Reach(ttl),
        // Zero is refused before.
        None => speaker::Distance::Any,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weft_bgp::wire::{Asn, Family, Role};

    use super::*;
    use crate::bgp::plan::plan;
    use crate::model::Model;
    use crate::model::tests::bgp::{good, speaking_host};
    use crate::model::tests::resource;

    fn neighbours_with(documents: &[&str]) -> Neighbours {
        let mut intent = good();
        documents.iter().for_each(|document| intent.insert(resource(document)));
        let model = Model::build(&intent, &speaking_host(), &[]).unwrap();
        neighbours(&plan(&model, &speaking_host()).unwrap(), true)
    }

    #[test]
    fn peers_and_groups_in_the_speakers_words() {
        let seconds = Duration::from_secs;
        let found = neighbours_with(&[
            r#"{"kind":"peer","name":"x","address":"192.0.2.3","asn":65002,"port":1179,"local_address":"192.0.2.1",
                "password":"secret","ttl_security":2,"hold_time_s":0,"families":["evpn","ipv4-unicast"],"stale_time_s":7,
                "long_lived_stale_time_s":8,"role":"customer","shutdown":"moving","max_routes":{"limit":100}}"#,
            r#"{"kind":"peer","name":"y","address":"192.0.2.4","asn":65000,"route_reflector_client":true,
                "graceful_restart":false,"bfd":true}"#,
            r#"{"kind":"peer","name":"z","address":"192.0.2.5","asn":"external","multihop":3}"#,
        ]);
        let names: Vec<_> = found.peers.keys().map(String::as_str).collect();
        assert_eq!(names, ["rr-1", "tor-1", "x", "y", "z"]);

        let x = &found.peers["x"];
        let path = Path {
            remote: "192.0.2.3:1179".parse().unwrap(),
            local: Some("192.0.2.1".parse().unwrap()),
            distance: speaker::Distance::Within(NonZeroU8::new(2).unwrap()),
            password: Some(Password::new("secret").unwrap()),
        };
        assert_eq!(x.path, path);
        let speaker = speaking_host().speaker.unwrap();
        let families = vec![Family::EVPN, Family::ROUTE_TARGETS, Family::IPV4_UNICAST];
        let expected = session::Config {
            shutdown: Some("moving".to_owned()),
            families: families.clone(),
            hold_time: 0,
            role: Some(Role::Customer),
            restart: Some(Restart {
                time: seconds(120),
                restarted: false,
                forwarding: true,
                longest: seconds(7),
                long_lived: seconds(8),
            }),
            ..session::Config::new(speaker.asn, speaker.router_id, Expected::Asn(Asn::new(65002)))
        };
        assert_eq!(x.session, expected);
        let most = MostRoutes { limit: 100, warning: 75, again: None };
        let each: BTreeMap<_, _> = families.into_iter().map(|family| (family, most)).collect();
        assert_eq!(x.routing, Routing { most: each, ..Routing::default() });

        let y = &found.peers["y"];
        assert_eq!(
            (y.session.expected, y.session.client, y.session.restart),
            (Expected::Internal, true, None)
        );
        assert_eq!(
            (y.path.distance, y.bfd),
            (speaker::Distance::Any, Some(weft_bgp::bfd::Config::default()))
        );
        let reach = |ttl| speaker::Distance::Reach(NonZeroU8::new(ttl).unwrap());
        assert_eq!(
            (found.peers["z"].path.distance, found.peers["z"].session.expected),
            (reach(3), Expected::External)
        );
        assert_eq!(found.peers["tor-1"].path.distance, reach(1));

        let leaf = &found.groups["leaf"];
        assert_eq!((leaf.most, leaf.template.session.passive), (9, true));
        assert_eq!(leaf.ranges, ["10.250.0.0/16".parse().unwrap()]);
    }
}
