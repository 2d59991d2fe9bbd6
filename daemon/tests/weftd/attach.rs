//! Ports and real namespaces: an attachment is there wholly, or not at all.
//!
//! ```text
//!   namespace of the test                       namespace of a pod
//!   weftd ── programs, maps ── host end ──veth── eth0
//!   wire0 (underlay)
//! ```

use std::time::{Duration, Instant};

use weft_api::client::{Client, ClientError};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::Resource;
use weft_api::view::{PortPhase, PortStatus, RouteSource};

use crate::daemon::Daemon;
use crate::pod::Pod;

const INTENT: [&str; 4] = [
    r#"{"kind":"network","name":"red","tenant":"red","vni":5000,"default_ingress":"allow"}"#,
    r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","ipv6":"fd00::/64"}"#,
    r#"{"kind":"port","name":"red-1","subnet":"red-a"}"#,
    r#"{"kind":"port","name":"red-2","subnet":"red-a"}"#,
];

fn daemon() -> Option<Daemon> {
    let daemon = Daemon::start()?;
    let resources: Vec<Resource> = INTENT.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    daemon.client().apply(&resources, false).unwrap();
    Some(daemon)
}

fn port(client: &Client, name: &str) -> PortStatus {
    client.status().unwrap().ports.into_iter().find(|port| port.name == name).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    let error = result.unwrap_err();
    let ClientError::Refused { status: 422, problems } = error else { panic!("{error:?}") };
    problems.into_iter().map(|problem| format!("{}: {}\n", problem.object, problem.message)).collect()
}

#[test]
fn attach_detach_and_delete() {
    let Some(daemon) = daemon() else { return };
    let (client, pod) = (daemon.client(), Pod::new());
    let outcome = client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    assert_eq!((outcome.revision, outcome.failures.as_slice()), (2, [].as_slice()), "{outcome:?}");
    assert!(!outcome.kernel.is_empty());
    let status = port(&client, "red-1");
    assert_eq!((status.state, status.reason), (PortPhase::Up, None));
    assert!(status.device.is_some());
    let routes = client.routes(Some("red")).unwrap();
    assert_eq!(routes.iter().filter(|route| route.source == RouteSource::Port("red-1".into())).count(), 2);
    assert!(client.counters().unwrap().iter().any(|counters| counters.port == "red-1"));

    // Where it already is: nothing to do.
    let again = client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    assert_eq!((again.revision, again.kernel.as_slice()), (2, [].as_slice()));

    let outcome = client.detach("red-1").unwrap();
    assert_eq!((outcome.revision, outcome.failures.as_slice()), (3, [].as_slice()), "{outcome:?}");
    assert_eq!(port(&client, "red-1").state, PortPhase::Detached);

    // The device's name is free again; deleting an attached port takes it out of its namespace.
    client.attach("red-2", &pod.attachment("eth0"), false).unwrap();
    let outcome = client.delete(&Reference { kind: Kind::Port, name: "red-2".into() }).unwrap();
    assert!(!outcome.kernel.is_empty() && outcome.failures.is_empty(), "{outcome:?}");
    client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
}

#[test]
fn what_the_kernel_refuses_leaves_no_trace() {
    let Some(daemon) = daemon() else { return };
    let (client, pod) = (daemon.client(), Pod::new());
    // Every namespace has this device.
    let message = refusal(client.attach("red-1", &pod.attachment("lo"), false));
    assert!(message.starts_with("port/red-1: it was not attached: "), "{message}");
    let status = client.status().unwrap();
    assert_eq!((status.revision, status.failures.as_slice()), (1, [].as_slice()));
    assert_eq!(port(&client, "red-1").state, PortPhase::Detached);

    // A failed move leaves the port where it was.
    client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    refusal(client.attach("red-1", &pod.attachment("lo"), true));
    assert_eq!((client.status().unwrap().revision, port(&client, "red-1").state), (2, PortPhase::Up));

    // Two ports cannot be one device.
    let message = refusal(client.attach("red-2", &pod.attachment("eth0"), false));
    assert!(message.contains("is that of port/red-1"), "{message}");
}

#[test]
fn a_nic_is_taken_from_a_workload_only_if_that_is_meant() {
    let Some(daemon) = daemon() else { return };
    let (client, here, there) = (daemon.client(), Pod::new(), Pod::new());
    client.attach("red-1", &here.attachment("eth0"), false).unwrap();
    let error = client.attach("red-1", &there.attachment("eth0"), false).unwrap_err();
    let ClientError::Refused { status: 409, problems } = error else { panic!("{error:?}") };
    let place = here.attachment("eth0").netns;
    let told = format!("it is attached to {} as eth0; detach it first", place.display());
    assert!(problems[0].message.starts_with(&told), "{problems:?}");
    assert_eq!(client.status().unwrap().revision, 2);
    assert!(here.devices().contains("eth0") && !there.devices().contains("eth0"));

    let outcome = client.attach("red-1", &there.attachment("eth0"), true).unwrap();
    assert_eq!((outcome.revision, outcome.failures.as_slice()), (3, [].as_slice()), "{outcome:?}");
    assert!(!here.devices().contains("eth0") && there.devices().contains("eth0"));
}

/// The kernel tells nobody of what happens in a workload's namespace; the next comparison finds it.
#[test]
fn what_somebody_changed_in_the_workload_is_put_right() {
    let Some(daemon) = daemon() else { return };
    let (client, pod) = (daemon.client(), Pod::new());
    client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    let address = port(&client, "red-1").addresses[0];
    pod.remove_address("eth0", address);
    let outcome = client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    assert!(outcome.kernel.iter().any(|change| change.contains("red-1")), "{outcome:?}");
    assert!(client.status().unwrap().checked_seconds_ago < 30);
    let again = client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    assert!(again.kernel.is_empty(), "{again:?}");
}

#[test]
fn a_restart_finds_everything_in_place() {
    let Some(daemon) = daemon() else { return };
    let pod = Pod::new();
    daemon.client().attach("red-1", &pod.attachment("eth0"), false).unwrap();
    let before = port(&daemon.client(), "red-1");
    let daemon = daemon.restart();
    assert_eq!(port(&daemon.client(), "red-1"), before);
    let again = daemon.client().attach("red-1", &pod.attachment("eth0"), false).unwrap();
    assert_eq!((again.revision, again.kernel.as_slice()), (2, [].as_slice()));
}

#[test]
fn a_namespace_that_goes_is_told_and_can_be_left() {
    let Some(daemon) = daemon() else { return };
    let (client, pod) = (daemon.client(), Pod::new());
    client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    drop(pod);
    // Nobody asks for anything: the kernel's own notice makes weftd look. It takes namespaces apart in the background,
    // many at once and late on a busy machine.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut status = port(&client, "red-1");
    while status.state != PortPhase::Failed {
        assert!(Instant::now() < deadline, "{status:?}");
        std::thread::yield_now();
        status = port(&client, "red-1");
    }
    assert!(status.reason.is_some());
    assert!(client.detach("red-1").unwrap().failures.is_empty());
    assert_eq!(port(&client, "red-1").state, PortPhase::Detached);
}

/// In: a group whose rules do not fit into the kernel, for a port that is attached, on a dry run and in earnest; then one that
/// does. Out: the first is refused by the group's name and nothing is stored; the old rules stay, and the second is taken.
#[test]
fn rules_that_do_not_fit_are_refused() {
    let Some(daemon) = daemon() else { return };
    let (client, pod) = (daemon.client(), Pod::new());
    client.attach("red-1", &pod.attachment("eth0"), false).unwrap();
    let group = |prefixes: u32| {
        // No two of a rule's ports are one prefix of services, so that each rule takes many entries.
        let rule = |number| {
            let [_, high, middle, low] = u32::to_be_bytes(number);
            format!(
                r#"{{"direction":"ingress","protocol":"tcp","ports":"1-65534","prefix":"{high}.{middle}.{low}.0/32"}}"#
            )
        };
        let rules = (0..prefixes).map(rule).collect::<Vec<_>>().join(",");
        let text =
            format!(r#"{{"kind":"security-group","name":"web","tenant":"red","id":7,"rules":[{rules}]}}"#);
        serde_json::from_str::<Resource>(&text).unwrap()
    };
    let member = r#"{"kind":"port","name":"red-1","subnet":"red-a","security_groups":["web"]}"#;
    let member: Resource = serde_json::from_str(member).unwrap();
    client.apply(&[group(2), member], false).unwrap();
    let revision = client.status().unwrap().revision;
    for dry_run in [true, false] {
        let refused = refusal(client.apply(&[group(10_000)], dry_run));
        assert!(
            refused.starts_with("security-group/web: the rules of all groups of port red-1 do not fit"),
            "{refused}"
        );
        assert!(refused.contains("sizes.rules"), "{refused}");
    }
    let stored = client.get(&Reference { kind: Kind::SecurityGroup, name: "web".to_owned() }).unwrap();
    assert_eq!(stored.resource, group(2));
    assert_eq!(client.status().unwrap().revision, revision);
    assert_eq!(port(&client, "red-1").state, PortPhase::Up);
    let outcome = client.apply(&[group(3)], false).unwrap();
    assert!(outcome.failures.is_empty() && !outcome.kernel.is_empty(), "{outcome:?}");
}
