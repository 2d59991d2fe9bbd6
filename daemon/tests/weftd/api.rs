//! weftd's API over a real unix socket, asked by the real client, with the real engine and store behind it.
//!
//! ```text
//!   test ── weft_api::Client ── weftd.sock ── server ── engine ── store (temporary folder)
//!                                                         └────── data plane (a network namespace of the test)
//! ```

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use weft_api::client::{Client, ClientError, Wanted};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Attachment, Resource};
use weft_api::view::{Action, ErrorBody, Outcome, PortPhase, Problem};

use crate::daemon::Daemon;

const NETWORK: &str = r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#;
const SUBNET: &str = r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#;
const PORT: &str = r#"{"kind":"port","name":"red-1","subnet":"red-a"}"#;

pub(crate) fn resource(document: &str) -> Resource {
    serde_json::from_str(document).unwrap()
}

pub(crate) fn reference(kind: Kind, name: &str) -> Reference {
    Reference { kind, name: name.to_owned() }
}

fn actions(outcome: &Outcome) -> Vec<(Action, &str)> {
    outcome.resources.iter().map(|change| (change.action, change.resource.as_str())).collect()
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, Vec<Problem>) {
    let error = result.unwrap_err();
    let ClientError::Refused { status, problems } = error else { panic!("{error:?}") };
    (status, problems)
}

/// One request in bytes that no client would send; status and problems.
pub(crate) fn raw(client: &Client, method: &str, path: &str, body: &str) -> (u16, Vec<Problem>) {
    let answer = answer(client, method, path, body);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let errors =
        serde_json::from_str::<ErrorBody>(body).unwrap_or_else(|error| panic!("{error}: {answer}")).errors;
    (status, errors)
}

/// All that the server says, from the status line on.
pub(crate) fn answer(client: &Client, method: &str, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(client.socket()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn create_read_list_replace_delete() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    let outcome = client.create(&resource(NETWORK)).unwrap();
    assert_eq!((outcome.revision, actions(&outcome)), (1, vec![(Action::Create, "network/red")]));
    client.create(&resource(SUBNET)).unwrap();
    client.create(&resource(PORT)).unwrap();
    let stored = client.get(&reference(Kind::Port, "red-1")).unwrap();
    assert_eq!(stored.revision, 3);
    let Resource::Port(port) = stored.resource else { panic!() };
    assert_eq!(port.addresses, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert!(port.mac.is_some());
    assert_eq!(client.list(Kind::Subnet).unwrap().len(), 1);

    // What weft filled in stays when the document still leaves it out.
    let outcome = client.replace(&resource(PORT)).unwrap();
    assert_eq!((outcome.revision, actions(&outcome)), (3, vec![(Action::Unchanged, "port/red-1")]));
    let outcome = client.replace(&resource(&PORT.replace("}", r#","addresses":["10.0.0.9"]}"#))).unwrap();
    assert_eq!((outcome.revision, actions(&outcome)), (4, vec![(Action::Replace, "port/red-1")]));

    let (status, problems) = refusal(client.delete(&reference(Kind::Subnet, "red-a")));
    assert_eq!(status, 409);
    assert!(problems[0].message.starts_with("port/red-1 would be left without it"), "{problems:?}");
    client.delete(&reference(Kind::Port, "red-1")).unwrap();
    let both = [reference(Kind::Network, "red"), reference(Kind::Subnet, "red-a")];
    assert_eq!(client.delete_all(&both, true).unwrap().resources.len(), 2);
    assert_eq!(client.list(Kind::Network).unwrap().len(), 1);
    assert_eq!(client.delete_all(&both, false).unwrap().revision, 6);
    assert_eq!(client.status().unwrap().resources.values().sum::<usize>(), 0);
}

#[test]
fn statuses_of_what_is_not_there_or_there_already() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    client.create(&resource(NETWORK)).unwrap();
    let table = [
        (refusal(client.create(&resource(NETWORK))), 409, "network/red"),
        (refusal(client.replace(&resource(&NETWORK.replace("\"red\"", "\"green\"")))), 404, "network/green"),
        (refusal(client.delete(&reference(Kind::Port, "none"))), 404, "port/none"),
        (refusal(client.get(&reference(Kind::Port, "none"))), 404, "port/none"),
        (refusal(client.detach("none")), 404, "port/none"),
        (refusal(client.routes(Some("none"))), 404, "network/none"),
        (refusal(client.create(&resource(PORT))), 422, "port/red-1"),
        (refusal(client.watch(Some(99)).map(|_| ())), 410, "watch"),
        (raw(&client, "GET", "/v1/wrong", ""), 404, "wrong"),
        (raw(&client, "GET", "/v2", ""), 404, "/v2"),
        (raw(&client, "PATCH", "/v1/networks/red", ""), 405, "/v1/networks/red"),
        (raw(&client, "GET", "/v1/watch?since=x", ""), 400, "query"),
        (raw(&client, "POST", "/v1/apply?dryrun=true", "[]"), 400, "query"),
    ];
    for ((status, problems), expected, object) in table {
        assert_eq!((status, problems[0].object.as_str()), (expected, object), "{problems:?}");
        if expected == 404 && object.contains("/no") {
            assert!(problems[0].message.starts_with("it does not exist; `weft get "), "{problems:?}");
        }
    }
    assert_eq!(client.status().unwrap().revision, 1);
}

/// What is wrong with a body is told with the object and the field.
#[test]
fn bodies_that_cannot_be_read() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    let table = [
        (
            "POST",
            "/v1/networks",
            r#"{"name":"red","tenant":"red","vni":0}"#,
            "network/red",
            "vni: VNI 0 is outside 1 to 16777215",
        ),
        (
            "POST",
            "/v1/networks",
            r#"{"name":"red","tenant":"red","vni":16777216}"#,
            "network/red",
            "vni: VNI 16777216 is outside",
        ),
        (
            "POST",
            "/v1/networks",
            r#"{"name":"red","tenant":"red","vni":1,"colour":1}"#,
            "network/red",
            "unknown field `colour`",
        ),
        ("POST", "/v1/networks", r#"{"name":"red","vni":1}"#, "network/red", "missing field `tenant`"),
        ("POST", "/v1/networks", r#"{"name":"red""#, "network", "EOF"),
        (
            "POST",
            "/v1/networks",
            r#"{"kind":"port","name":"red"}"#,
            "network",
            "kind: the body says \"port\"",
        ),
        (
            "PUT",
            "/v1/networks/red",
            r#"{"name":"blue","tenant":"red","vni":1}"#,
            "network/red",
            "cannot be renamed",
        ),
        (
            "POST",
            "/v1/ports",
            r#"{"name":"p","subnet":"s","mac":"x"}"#,
            "port/p",
            "mac: \"x\": a MAC address is",
        ),
        (
            "POST",
            "/v1/ports",
            r#"{"name":"p","subnet":"s","addresses":["10.0.0.1","x"]}"#,
            "port/p",
            "addresses[1]: ",
        ),
        ("POST", "/v1/ports/p/attach", r#"{"netns":"/x","dev":"eth0"}"#, "port/p", "unknown field `dev`"),
        ("POST", "/v1/apply", r#"{"kind":"network"}"#, "body", "invalid type: map"),
        ("POST", "/v1/apply", r#"[{"name":"x"}]"#, "resource (document 1)", "kind: missing field"),
        (
            "POST",
            "/v1/apply",
            r#"[{"kind":"router","name":"x"}]"#,
            "resource (document 1)",
            "unknown kind `router`",
        ),
        ("POST", "/v1/delete", r#"[{"kind":"port","nam":"x"}]"#, "body", "[0].nam: unknown field `nam`"),
    ];
    for (method, path, body, object, message) in table {
        let (status, problems) = raw(&client, method, path, body);
        assert_eq!(status, 400, "{body}: {problems:?}");
        assert_eq!(problems[0].object, object, "{body}: {problems:?}");
        assert!(problems[0].message.contains(message), "{body}: {problems:?}");
    }
    let body = format!(
        "[{NETWORK},{{\"kind\":\"port\",\"name\":\"a\"}},{{\"kind\":\"subnet\",\"name\":\"b\",\"x\":1}}]"
    );
    let (_, problems) = raw(&client, "POST", "/v1/apply", &body);
    let objects: Vec<_> = problems.iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(objects, ["port/a (document 2)", "subnet/b (document 3)"]);
    assert_eq!(client.status().unwrap().revision, 0);
}

#[test]
fn apply_is_all_or_nothing() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    let all = [NETWORK, SUBNET, PORT].map(resource);
    let planned = client.apply(&all, true).unwrap();
    assert_eq!((planned.dry_run, planned.revision, planned.resources.len()), (true, 0, 3));
    assert_eq!(client.list(Kind::Network).unwrap(), []);

    let bad = resource(r#"{"kind":"subnet","name":"red-b","network":"red","vni":5001,"ipv4":"10.0.0.0/16"}"#);
    let with_bad: Vec<_> = all.iter().cloned().chain([bad]).collect();
    let (status, problems) = refusal(client.apply(&with_bad, false));
    assert_eq!((status, problems.len()), (422, 2), "{problems:?}");
    assert!(problems.iter().all(|problem| problem.object == "subnet/red-b"), "{problems:?}");
    assert_eq!(client.status().unwrap().revision, 0);

    let applied = client.apply(&all, false).unwrap();
    assert_eq!((applied.revision, applied.resources), (1, planned.resources));
    assert_eq!(client.apply(&all, false).unwrap().revision, 1);
}

#[test]
fn watching_misses_nothing() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    client.create(&resource(NETWORK)).unwrap();
    client.create(&resource(SUBNET)).unwrap();
    let mut watch = client.watch(Some(1)).unwrap();
    let mut next = || {
        let event = watch.next().unwrap().unwrap();
        (event.revision, event.action, event.resource.reference().to_string())
    };
    assert_eq!(next(), (2, Action::Create, "subnet/red-a".to_owned()));
    client.create(&resource(PORT)).unwrap();
    assert_eq!(next(), (3, Action::Create, "port/red-1".to_owned()));
    client.delete(&reference(Kind::Port, "red-1")).unwrap();
    assert_eq!(next(), (4, Action::Delete, "port/red-1".to_owned()));
    // Stopping ends the stream, and the stream does not hold up the stop.
    daemon.stop();
    assert!(watch.next().is_none());
}

#[test]
fn drops_are_asked_for_by_reasons_that_there_are() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    let wanted = Wanted { reason: Some("no_route"), port: Some("red-1"), last: Some(5) };
    assert_eq!(client.drops(&wanted).unwrap(), []);
    assert!(client.follow_drops(&wanted).is_ok());
    let (status, problems) = refusal(client.drops(&Wanted { reason: Some("no_rout"), ..wanted }));
    assert_eq!((status, problems[0].object.as_str()), (400, "no_rout"));
    assert!(problems[0].message.contains("no_route, "), "{problems:?}");
    for (path, object) in [("/v1/drops?follow=perhaps", "query"), ("/v1/drops?reasons=no_route", "query")] {
        let (status, problems) = raw(&client, "GET", path, "");
        assert_eq!((status, problems[0].object.as_str()), (400, object), "{path}");
    }
}

#[test]
fn what_was_committed_outlives_the_daemon() {
    let Some(daemon) = Daemon::start() else { return };
    daemon.client().apply(&[NETWORK, SUBNET, PORT].map(resource), false).unwrap();
    let before = daemon.client().list(Kind::Port).unwrap();
    let daemon = daemon.restart();
    let client = daemon.client();
    assert_eq!(client.list(Kind::Port).unwrap(), before);
    let (status, problems) = refusal(client.watch(Some(0)).map(|_| ()));
    assert_eq!(status, 410);
    assert!(problems[0].message.contains("list the resources"), "{problems:?}");
}

#[test]
fn attaching_where_nothing_is_changes_nothing() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    client.apply(&[NETWORK, SUBNET, PORT].map(resource), false).unwrap();
    for (netns, message) in [
        ("/nonexistent/netns", "network namespace /nonexistent/netns does not exist"),
        ("/dev/null", "/dev/null is not a network namespace"),
        ("netns", "is not a path from the root"),
    ] {
        let attachment = Attachment { netns: netns.into(), device: "eth0".into() };
        let (status, problems) = refusal(client.attach("red-1", &attachment, false));
        assert_eq!((status, problems[0].object.as_str()), (422, "port/red-1"));
        assert!(problems[0].message.contains(message), "{problems:?}");
    }
    let status = client.status().unwrap();
    assert_eq!((status.revision, status.ports[0].state), (1, PortPhase::Detached));
}

#[test]
fn teardown_answers_and_ends_the_daemon() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    client.teardown().unwrap();
    daemon.ended_by_teardown();
}
