//! Packets that nobody sent, judged by the programs that are loaded.

use std::net::IpAddr;

use weft_dataplane::desired::{RouteDelta, Update};
use weft_dataplane::{Dataplane, DecidedBy, Trial, TrialError, Verdict};
use weft_policy::{Direction, GroupId, Peer, Rule};

use crate::groups::{allow, entries, remote, two_ports};
use crate::host::{Pod, on_host, owner, reconcile};

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// TCP to a port of `b`, which is 10.0.0.11, from a host's workload.
fn to_b(source: u8, service: u16, from: Option<&str>) -> Trial {
    Trial {
        port: "b".to_owned(),
        direction: Direction::Ingress,
        source: address(source),
        destination: address(11),
        protocol: 6,
        detail: service,
        from: from.map(|vtep| vtep.parse().unwrap()),
    }
}

fn judged(allowed: bool, direction: Direction, rule: Option<Rule>) -> Verdict {
    Verdict::Judged { allowed, stateless: false, by: Some(DecidedBy { direction, rule }) }
}

/// In: two ports that let in group 7 by port 80 and everybody by 22; a member of 7 on another host, and one of no group. Out:
/// each packet's verdict and rule. Whoever claims a member's address from elsewhere is none; and nothing is counted.
#[test]
fn a_packet_that_nobody_sent_is_judged_by_the_rules_in_force() {
    on_host("trials", async |host| {
        let (a, b) = (Pod::new(), Pod::new());
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &two_ports(&a, &b)).await;
        let hosts = vec![remote(20, &[7]), remote(21, &[])];
        let routes = RouteDelta { hosts, ..RouteDelta::default() };
        assert!(dataplane.update(Update { local: None, routes }).await.failures.is_empty());

        let (ssh, http) = (allow(22, Peer::Any), allow(80, Peer::Group(GroupId(7))));
        let there = Some("192.0.2.2");
        let table = [
            (to_b(10, 80, None), Some(http)),
            (to_b(10, 22, None), Some(ssh)),
            (to_b(10, 81, None), None),
            (to_b(20, 80, there), Some(http)),
            (to_b(20, 80, Some("192.0.2.3")), None),
            (to_b(20, 80, None), None),
            (to_b(21, 80, there), None),
            (to_b(21, 22, there), Some(ssh)),
            (Trial { protocol: 17, ..to_b(10, 80, None) }, None),
        ];
        for (trial, rule) in table {
            let verdict = dataplane.trial(trial.clone()).await.unwrap();
            assert_eq!(verdict, judged(rule.is_some(), Direction::Ingress, rule), "{trial:?}");
        }
        // What a port sends no rule is about, and its network allows.
        let sent = Trial { port: "a".to_owned(), direction: Direction::Egress, ..to_b(10, 81, None) };
        assert_eq!(dataplane.trial(sent).await.unwrap(), judged(true, Direction::Egress, None));

        let gone = dataplane.trial(Trial { port: "c".to_owned(), ..to_b(10, 80, None) }).await;
        assert!(matches!(gone, Err(TrialError::NoPort(port)) if port == "c"));
        let mixed =
            dataplane.trial(Trial { source: "2001:db8::a".parse().unwrap(), ..to_b(10, 80, None) }).await;
        assert!(matches!(mixed, Err(TrialError::Packet { .. })));
        assert!(dataplane.rule_hits().await.unwrap().is_empty());
        let flows = entries::<weft_dataplane_abi::FlowKey, weft_dataplane_abi::Flow>(&host, "FLOWS");
        assert!(flows.is_empty());
        drop(dataplane);
    });
}
