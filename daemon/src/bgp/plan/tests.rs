//! What resources make of sessions and instances.

use std::time::Duration;

use weft_bgp::bfd;
use weft_bgp::peer::PeerKind;
use weft_bgp::rib::{NextHopPolicy, Policy};
use weft_bgp::wire::{Asn, Family, Role};

use super::super::session::{Distance, MaxRoutes, RemoteAs, Retention};
use super::*;
use crate::model::tests::bgp::{good, speaking_host};
use crate::model::tests::{host, intent, resource};

fn planned(documents: &[&str]) -> Plan {
    let mut intent = good();
    documents.iter().for_each(|document| intent.insert(resource(document)));
    let model = Model::build(&intent, &speaking_host(), &[]).unwrap();
    plan(&model, &speaking_host()).unwrap()
}

fn session_of(plan: &Plan, name: &str) -> Session {
    plan.peers.iter().find(|peer| peer.name == name).unwrap().session.clone()
}

#[test]
fn a_host_without_bgp_has_no_plan() {
    let model = Model::build(&intent(&[]), &host(), &[]).unwrap();
    assert_eq!(plan(&model, &host()), None);
}

#[test]
fn a_peer_has_its_groups_fields_and_the_defaults() {
    let plan = planned(&[]);
    let [rr, tor] = plan.peers.as_slice() else { panic!("{:?}", plan.peers) };
    assert_eq!((rr.name.as_str(), rr.group.as_deref()), ("rr-1", Some("rr")));
    let defaults = Session {
        asn: RemoteAs::Number(Asn::new(65001)),
        kind: PeerKind::External,
        port: 179,
        local_address: None,
        passive: false,
        password: None,
        distance: Distance::Usual,
        hold_time: Duration::from_secs(9),
        connect_retry: Duration::from_secs(30),
        families: vec![Family::EVPN, Family::ROUTE_TARGETS],
        next_hop: NextHopPolicy::Standard,
        max_routes: None,
        graceful_restart: Some(Retention { stale: Duration::from_secs(360), long_lived: Duration::ZERO }),
        bfd: None,
        role: None,
        import: Policy::default(),
        export: Policy::default(),
        shutdown: None,
    };
    assert_eq!((tor.address, &tor.session), ("2001:db8::1".parse().unwrap(), &defaults));
    let of_group = Session {
        asn: RemoteAs::Number(Asn::new(65000)),
        kind: PeerKind::Internal,
        hold_time: Duration::from_secs(30),
        ..defaults.clone()
    };
    assert_eq!(rr.session, of_group);
    let [leaf] = plan.groups.as_slice() else { panic!("{:?}", plan.groups) };
    let expected = ResolvedGroup {
        name: "leaf".to_owned(),
        ranges: vec!["10.250.0.0/16".parse().unwrap()],
        max_peers: 9,
        session: Session { asn: RemoteAs::External, passive: true, ..defaults },
    };
    assert_eq!(*leaf, expected);
}

#[test]
fn every_field_of_a_peer_counts() {
    let plan = planned(&[
        r#"{"kind":"peer","name":"x","address":"192.0.2.3","asn":65002,"port":1179,"local_address":"192.0.2.1","passive":true,
            "password":"secret","ttl_security":1,"hold_time_s":0,"connect_retry_s":1,"families":["ipv6-unicast","evpn",
            "ipv4-unicast"],"next_hop":"self","max_routes":{"limit":1000,"restart_s":60},"stale_time_s":7,
            "long_lived_stale_time_s":8,"bfd":{"interval_ms":100},"role":"customer","shutdown":"",
            "import":[{"action":"reject"}],"export":[{"set":{"local_pref":7},"action":"accept"}]}"#,
        r#"{"kind":"peer","name":"y","address":"192.0.2.4","asn":65000,"route_reflector_client":true,
            "graceful_restart":false,"bfd":false,"next_hop":"unchanged"}"#,
        r#"{"kind":"peer","name":"z","address":"192.0.2.5","asn":"external","multihop":3}"#,
    ]);
    let x = session_of(&plan, "x");
    assert_eq!((x.port, x.local_address, x.passive), (1179, Some("192.0.2.1".parse().unwrap()), true));
    assert_eq!(x.password.as_ref().unwrap().reveal(), "secret");
    assert_eq!(
        (x.distance, x.hold_time, x.connect_retry),
        (Distance::Security(1), Duration::ZERO, Duration::from_secs(1))
    );
    assert_eq!(x.families, [Family::IPV6_UNICAST, Family::EVPN, Family::ROUTE_TARGETS, Family::IPV4_UNICAST]);
    assert_eq!(x.next_hop, NextHopPolicy::Own);
    assert_eq!(
        x.max_routes,
        Some(MaxRoutes { limit: 1000, warn: 750, restart: Some(Duration::from_secs(60)) })
    );
    let kept = Retention { stale: Duration::from_secs(7), long_lived: Duration::from_secs(8) };
    assert_eq!(x.graceful_restart, Some(kept));
    let fast = Duration::from_millis(100);
    assert_eq!(x.bfd, Some(bfd::Config::new(fast, fast, 3).unwrap()));
    assert_eq!((x.role, x.shutdown.as_deref()), (Some(Role::Customer), Some("")));
    assert_eq!((x.import.rules.len(), x.export.rules.len()), (1, 1));

    let y = session_of(&plan, "y");
    assert_eq!((y.kind, y.graceful_restart, y.bfd), (PeerKind::Client, None, None));
    assert_eq!(y.next_hop, NextHopPolicy::Unchanged);
    let z = session_of(&plan, "z");
    assert_eq!((z.asn, z.kind, z.distance), (RemoteAs::External, PeerKind::External, Distance::Ttl(3)));
}

#[test]
fn networks_and_subnets_are_instances() {
    let plan = planned(&[
        r#"{"kind":"network","name":"black","tenant":"black","vni":8000,"route_targets":{"import":"any-as"},
            "route_distinguisher":"65000:8000"}"#,
        r#"{"kind":"subnet","name":"black-a","network":"black","vni":8001,"ipv4":"10.8.0.0/24","ipv6":"fd00:8::/64",
            "route_targets":{"import":["65000:1","65000:2"],"export":"derived"}}"#,
        r#"{"kind":"peering","name":"red-blue","networks":["red","blue"],"order":7}"#,
    ]);
    assert_eq!((plan.host.vtep, plan.host.asn), ("192.0.2.1".parse().unwrap(), Asn::new(65000)));
    let network = plan.instances.networks.iter().find(|network| network.name == "black").unwrap();
    assert_eq!(
        (&network.import, network.import_any_as, &network.export),
        (&Targets::Auto, true, &Targets::Auto)
    );
    assert_eq!(network.route_distinguisher, Some("65000:8000".parse().unwrap()));
    let subnet = plan.instances.subnets.iter().find(|subnet| subnet.name == "black-a").unwrap();
    let two = ["65000:1", "65000:2"].map(|target| target.parse().unwrap());
    assert_eq!((&subnet.import, subnet.import_any_as), (&Targets::Set(two.into()), false));
    assert_eq!((&subnet.export, subnet.route_distinguisher), (&Targets::Derived, None));
    assert_eq!(subnet.prefixes, ["10.8.0.0/24".parse().unwrap(), "fd00:8::/64".parse().unwrap()]);
    let gateways: [IpAddr; 2] = ["10.8.0.1".parse().unwrap(), "fd00:8::1".parse().unwrap()];
    assert_eq!(subnet.gateways, gateways.into());
    let peerings: Vec<_> = plan
        .instances
        .peerings
        .iter()
        .map(|peering| (peering.from.as_str(), peering.to.as_str(), peering.overlapping))
        .collect();
    let (order, refuse) = (Overlapping::Order(7), Overlapping::Refuse);
    assert_eq!(
        peerings,
        [("red", "blue", order), ("blue", "red", order), ("red", "green", refuse), ("green", "red", refuse)]
    );
    // What the resources' rules let through, the instances take.
    let mut instances = evpn::Instances::new(plan.host.clone());
    assert!(instances.set_config(&plan.instances, std::time::Instant::now()).is_ok());
}
