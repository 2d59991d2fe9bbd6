//! Addresses that move (RFC 7432 section 15, RFC 9135 section 7): who has one, and who says so.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::{
    Remote, announced, config, events, forwarding, instances, ip, mac, mobility, network, port, sticky,
    subnet, vni, vtep,
};
use weft_bgp::evpn::{DuplicateDetection, Event, Instances, Overlapping, Peering, Subject};
use weft_vxlan::Vtep;

const ALONE: &str = "10.250.0.2:100 02:00:00:00:01:09";
const WITH_IP: &str = "10.250.0.2:100 02:00:00:00:01:09 192.168.100.9";

fn mac_9() -> Subject {
    Subject::Mac(vni(100), mac(9))
}

fn host_9() -> Subject {
    Subject::Host(vni(5000), ip(9))
}

fn moved(subject: Subject, from: Vtep, to: Vtep, sequence: u32) -> Event {
    Event::Moved { subject, from, to, sequence }
}

/// Host 2 with another port of the subnet, so that only what moves is announced.
fn here() -> Instances {
    let mut here = instances(2);
    here.set_port("other", port("web", 200), Instant::now()).unwrap();
    announced(&mut here);
    here
}

fn both(host: u8, sequence: u32) -> [Remote; 2] {
    [Remote::mac_ip(host, 9, None), Remote::mac_ip(host, 9, Some(ip(9)))]
        .map(|route| if sequence == 0 { route } else { route.with(mobility(sequence)) })
}

fn come(here: &mut Instances, routes: &[Remote], now: Instant) {
    for route in routes {
        here.handle_route(route.comes(), now);
    }
}

#[test]
fn a_port_takes_over_what_is_elsewhere() {
    let (mut here, now) = (here(), Instant::now());
    come(&mut here, &both(1, 0), now);
    assert_eq!(forwarding(&mut here).len(), 2);
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here), [format!("+ {ALONE} 1"), format!("+ {WITH_IP} 1")]);
    assert_eq!(forwarding(&mut here).iter().filter(|line| line.ends_with("gone")).count(), 2);
    assert_eq!(
        events(&mut here),
        [moved(mac_9(), vtep(1), vtep(2), 1), moved(host_9(), vtep(1), vtep(2), 1)]
    );
    // The other host withdraws, and nothing changes here.
    for route in both(1, 0) {
        here.handle_route(route.goes(), now);
    }
    assert_eq!((announced(&mut here), forwarding(&mut here)), (vec![], vec![]));
    assert_eq!(events(&mut here), []);
}

#[test]
fn a_higher_sequence_elsewhere_takes_over_the_port() {
    let (mut here, now) = (here(), Instant::now());
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here).len(), 2);
    come(&mut here, &both(3, 1), now);
    assert_eq!(announced(&mut here), [format!("- {ALONE}"), format!("- {WITH_IP}")]);
    assert_eq!(forwarding(&mut here).len(), 2);
    assert_eq!(
        events(&mut here),
        [moved(mac_9(), vtep(2), vtep(3), 1), moved(host_9(), vtep(2), vtep(3), 1)]
    );
    // It stays there when the port is set as it was, and comes back when the other one goes.
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here), [""; 0]);
    for route in both(3, 1) {
        here.handle_route(route.goes(), now);
    }
    assert_eq!(announced(&mut here), [format!("+ {ALONE}"), format!("+ {WITH_IP}")]);
    assert_eq!(events(&mut here).len(), 2);
}

#[test]
fn a_port_that_leaves_and_returns_gets_a_higher_sequence() {
    let (mut here, now) = (here(), Instant::now());
    here.set_port("a", port("web", 9), now).unwrap();
    come(&mut here, &both(3, 4), now);
    announced(&mut here);
    here.remove_port("a", now);
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here), [format!("+ {ALONE} 5"), format!("+ {WITH_IP} 5")]);
}

#[test]
fn equal_sequences_are_decided_by_the_lower_vtep() {
    let now = Instant::now();
    for (other, here_wins) in [(1, false), (3, true)] {
        let mut here = here();
        here.set_port("a", port("web", 9), now).unwrap();
        assert_eq!(announced(&mut here).len(), 2);
        come(&mut here, &both(other, 0), now);
        assert_eq!(announced(&mut here).len(), if here_wins { 0 } else { 2 }, "against {other}");
        assert_eq!(forwarding(&mut here).len(), if here_wins { 0 } else { 2 }, "against {other}");
    }
}

#[test]
fn the_order_of_port_and_route_does_not_matter_once_the_sequence_is_there() {
    let now = Instant::now();
    let (mut first, mut last) = (here(), here());
    first.set_port("a", port("web", 9), now).unwrap();
    come(&mut first, &both(3, 7), now);
    come(&mut last, &both(3, 7), now);
    last.set_port("a", port("web", 9), now).unwrap();
    assert!(forwarding(&mut first).iter().any(|line| line.contains("10.250.0.3")));
    assert_eq!(announced(&mut last), [format!("+ {ALONE} 8"), format!("+ {WITH_IP} 8")]);
}

#[test]
fn sticky_addresses_do_not_move() {
    let (mut here, now) = (here(), Instant::now());
    let mut fixed = port("web", 9);
    fixed.sticky = true;
    here.set_port("a", fixed, now).unwrap();
    assert_eq!(announced(&mut here), [format!("+ {ALONE} 0 sticky"), format!("+ {WITH_IP} 0 sticky")]);
    come(&mut here, &both(1, 9), now);
    assert_eq!((announced(&mut here), forwarding(&mut here)), (vec![], vec![]));

    let mut here = self::here();
    here.handle_route(Remote::mac_ip(3, 9, None).with(sticky()).comes(), now);
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here), [""; 0]);
    assert_eq!(events(&mut here), [Event::Sticky { subject: mac_9(), vtep: vtep(3) }]);
}

#[test]
fn an_address_moves_to_another_mac() {
    let (mut here, now) = (here(), Instant::now());
    // Elsewhere it is on MAC 9 with sequence 3; here it comes with MAC 20.
    come(&mut here, &both(1, 3), now);
    forwarding(&mut here);
    let mut new = port("web", 20);
    new.ips = BTreeSet::from([ip(9)]);
    here.set_port("a", new, now).unwrap();
    let route = "10.250.0.2:100 02:00:00:00:01:14";
    assert_eq!(announced(&mut here), [format!("+ {route} 4"), format!("+ {route} 192.168.100.9 4")]);
    assert_eq!(forwarding(&mut here), ["host 5000 192.168.100.9 -> gone"], "MAC 9 stays there");
    assert_eq!(events(&mut here), [moved(host_9(), vtep(1), vtep(2), 4)]);
    // And away again, to MAC 30 elsewhere: MAC 20 stays here.
    let away = Remote::mac_ip(3, 30, Some(ip(9))).with(mobility(5));
    here.handle_route(away.comes(), now);
    assert_eq!(announced(&mut here), [format!("- {route} 192.168.100.9")]);
    assert_eq!(forwarding(&mut here).len(), 2);
    assert_eq!(events(&mut here), [moved(host_9(), vtep(2), vtep(3), 5)]);
}

#[test]
fn a_gateway_on_several_hosts_does_not_move() {
    let (mut here, now) = (here(), Instant::now());
    let gateway =
        |host| Remote::mac_ip(host, 9, Some(ip(9))).with(weft_bgp::wire::ExtendedCommunity::DEFAULT_GATEWAY);
    come(&mut here, &[gateway(3), gateway(1)], now);
    here.set_port("a", port("web", 9), now).unwrap();
    assert_eq!(announced(&mut here), [format!("+ {ALONE}"), format!("+ {WITH_IP}")]);
    let counted = |event: &Event| matches!(event, Event::Duplicate { .. } | Event::Sticky { .. });
    assert!(!events(&mut here).iter().any(counted));
    assert_eq!(here.next_deadline(), None, "no move was counted");
}

#[test]
fn too_many_moves_freeze_an_address_where_it_is() {
    let (mut here, start) = (here(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    // Back and forth between host 1 and here: each appearance and each loss is a move.
    for round in 0..2 {
        let now = at(u64::from(round) * 10);
        come(&mut here, &both(1, round * 2 + 1), now);
        here.remove_port("a", now);
        here.set_port("a", port("web", 9), now).unwrap();
    }
    come(&mut here, &both(1, 5), at(30));
    assert!(events(&mut here).iter().all(|event| !matches!(event, Event::Duplicate { .. })));
    here.remove_port("a", at(30));
    here.set_port("a", port("web", 9), at(30)).unwrap();
    let until = Some(at(30) + Duration::from_secs(540));
    assert!(events(&mut here).contains(&Event::Duplicate { subject: mac_9(), until }));
    announced(&mut here);
    // Frozen here: whatever another host says.
    come(&mut here, &both(1, 100), at(40));
    assert!(forwarding(&mut here).iter().all(|line| !line.starts_with("mac")), "frozen");
    assert_eq!(here.next_deadline(), until);
    here.handle_timeout(at(569));
    assert!(!events(&mut here).contains(&Event::Recovered { subject: mac_9() }));
    here.handle_timeout(at(570));
    assert!(events(&mut here).contains(&Event::Recovered { subject: mac_9() }));
    assert!(forwarding(&mut here).contains(&"mac 100 02:00:00:00:01:09 -> 10.250.0.1 vni 100".to_owned()));
    assert!(announced(&mut here).contains(&format!("- {ALONE}")));
    assert_eq!(here.next_deadline(), Some(at(570 + 180)), "that is a move, the first of a new count");
}

#[test]
fn a_frozen_address_is_freed_by_hand_and_follows_who_is_left() {
    let (mut here, now) = (here(), Instant::now());
    let mut never = config();
    never.duplicates = DuplicateDetection { moves: 1, recovery: None, ..DuplicateDetection::default() };
    here.set_config(&never, now).unwrap();
    here.set_port("a", port("web", 9), now).unwrap();
    come(&mut here, &both(1, 1), now);
    assert!(events(&mut here).contains(&Event::Duplicate { subject: mac_9(), until: None }));
    assert_eq!(here.next_deadline(), None);
    // Frozen at host 1 by this move: a new appearance here and a move to host 3 count for nothing.
    announced(&mut here);
    forwarding(&mut here);
    here.remove_port("a", now);
    here.set_port("a", port("web", 9), now).unwrap();
    come(&mut here, &[Remote::mac_ip(3, 9, None).with(mobility(50))], now);
    assert_eq!(announced(&mut here), [""; 0]);
    assert!(forwarding(&mut here).iter().all(|line| !line.starts_with("mac")));
    assert!(here.clear_duplicate(&mac_9(), now) && !here.clear_duplicate(&mac_9(), now));
    assert!(forwarding(&mut here).contains(&"mac 100 02:00:00:00:01:09 -> 10.250.0.3 vni 100".to_owned()));
    // Without any route the port has it again.
    for route in both(1, 1).iter().chain([&Remote::mac_ip(3, 9, None)]) {
        here.handle_route(route.goes(), now);
    }
    assert_eq!(announced(&mut here).len(), 2);
}

#[test]
fn moves_long_ago_are_forgotten() {
    let (mut here, start) = (here(), Instant::now());
    for round in 0..10 {
        let now = start + Duration::from_secs(100) * round;
        come(&mut here, &both(1, round * 2 + 1), now);
        here.remove_port("a", now);
        here.set_port("a", port("web", 9), now).unwrap();
        here.handle_timeout(now);
    }
    let all = events(&mut here);
    assert!(all.iter().all(|event| !matches!(event, Event::Duplicate { .. })), "{all:?}");
    let deadline = here.next_deadline().unwrap();
    assert_eq!(deadline, start + Duration::from_secs(900 + 180));
    here.handle_timeout(deadline);
    assert_eq!((here.next_deadline(), events(&mut here)), (None, vec![]));
}

#[test]
fn an_address_does_not_stay_here_without_its_mac() {
    let (mut here, now) = (here(), Instant::now());
    here.set_port("a", port("web", 9), now).unwrap();
    announced(&mut here);
    // Host 3 has the address with another MAC, and would lose against the port's.
    here.handle_route(Remote::mac_ip(3, 30, Some(ip(9))).comes(), now);
    assert!(forwarding(&mut here).iter().all(|line| !line.starts_with("host")));
    // The port's MAC moves away without the address.
    let away = Remote::mac_ip(4, 9, None).with(mobility(1));
    here.handle_route(away.comes(), now);
    assert!(
        forwarding(&mut here).iter().any(|line| line.starts_with("host 5000 192.168.100.9 -> 10.250.0.3"))
    );
    here.handle_route(away.goes(), now);
    assert!(forwarding(&mut here).contains(&"host 5000 192.168.100.9 -> gone".to_owned()));
    assert_eq!(announced(&mut here), [""; 0], "it was away and back between two polls");
}

#[test]
fn the_same_address_in_a_peered_network_is_another_one() {
    let (mut here, now) = (instances(2), Instant::now());
    let mut peered = config();
    peered.networks.push(network("blue", 6000));
    peered.subnets.push(subnet("blue-web", "blue", 600));
    let overlapping = Overlapping::Order(1);
    peered.peerings = vec![Peering { from: "red".into(), to: "blue".into(), overlapping }];
    here.set_config(&peered, now).unwrap();
    come(&mut here, &both(1, 7), now);
    assert_eq!(forwarding(&mut here).len(), 3, "in red, and in blue");
    here.set_port("a", port("blue-web", 20), now).unwrap();
    let mut same = port("blue-web", 30);
    same.ips = BTreeSet::from([ip(9)]);
    here.set_port("b", same, now).unwrap();
    assert_eq!(forwarding(&mut here), ["host 6000 192.168.100.9 -> gone"]);
    let route = "+ 10.250.0.2:600 02:00:00:00:01:1e 192.168.100.9".to_owned();
    assert!(announced(&mut here).contains(&route), "without a sequence: nothing moved");
}
