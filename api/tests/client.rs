//! The client against real bytes on a real unix socket: success, refusal, no daemon, broken and foreign answers,
//! silence, and the stream of changes.

mod server;

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use server::{Request, Server, json, stream};
use weft_api::client::{Client, ClientError, Wanted};
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Attachment, Resource};
use weft_api::view::Action;

const OUTCOME: &str = r#"{"dry_run":false,"revision":3,"resources":[{"action":"create","resource":"network/red"}],"kernel":[],"failures":[]}"#;
const NETWORK: &str = r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#;

fn network() -> Resource {
    serde_json::from_str(NETWORK).expect("a network")
}

fn request(method: &str, target: &str, body: &str) -> Request {
    Request { method: method.to_owned(), target: target.to_owned(), body: body.to_owned() }
}

#[test]
fn every_request_has_its_method_path_and_body() {
    let server = Server::start("requests", |request| match request.target.as_str() {
        "/v1/routes"
        | "/v1/routes?network=red%20%2F%26"
        | "/v1/counters"
        | "/v1/drops?follow=false"
        | "/v1/drops?follow=false&port=a%26b&reason=no_route&last=7"
        | "/v1/networks"
        | "/v1/teardown"
            if request.method == "GET" || request.target == "/v1/teardown" =>
        {
            json(200, "[]")
        }
        "/v1/networks/red%2Fa" if request.method == "GET" => {
            json(200, &NETWORK.replace('}', ",\"revision\":2}"))
        }
        "/v1/networks" => json(201, OUTCOME),
        _ => json(200, OUTCOME),
    });
    let client = Client::new(server.socket());
    let body = NETWORK.replace("\"kind\":\"network\",", "");
    let reference = Reference { kind: Kind::Network, name: "red/a".to_owned() };

    assert_eq!(client.routes(None).unwrap(), []);
    assert_eq!(server.request(), request("GET", "/v1/routes", ""));
    assert_eq!(client.routes(Some("red /&")).unwrap(), []);
    assert_eq!(server.request(), request("GET", "/v1/routes?network=red%20%2F%26", ""));
    assert_eq!(client.counters().unwrap(), []);
    assert_eq!(server.request(), request("GET", "/v1/counters", ""));
    assert_eq!(client.drops(&Wanted::default()).unwrap(), []);
    assert_eq!(server.request(), request("GET", "/v1/drops?follow=false", ""));
    let wanted = Wanted { port: Some("a&b"), reason: Some("no_route"), last: Some(7) };
    assert_eq!(client.drops(&wanted).unwrap(), []);
    let target = "/v1/drops?follow=false&port=a%26b&reason=no_route&last=7";
    assert_eq!(server.request(), request("GET", target, ""));
    assert_eq!(client.list(Kind::Network).unwrap(), []);
    assert_eq!(server.request(), request("GET", "/v1/networks", ""));
    assert_eq!(client.get(&reference).unwrap().revision, 2);
    assert_eq!(server.request(), request("GET", "/v1/networks/red%2Fa", ""));
    assert_eq!(client.create(&network()).unwrap().revision, 3);
    assert_eq!(server.request(), request("POST", "/v1/networks", &body));
    client.replace(&network()).unwrap();
    assert_eq!(server.request(), request("PUT", "/v1/networks/red", &body));
    client.delete(&reference).unwrap();
    assert_eq!(server.request(), request("DELETE", "/v1/networks/red%2Fa", ""));
    client.apply(&[network()], false).unwrap();
    assert_eq!(server.request(), request("POST", "/v1/apply", &format!("[{NETWORK}]")));
    client.apply(&[], true).unwrap();
    assert_eq!(server.request(), request("POST", "/v1/apply?dry_run=true", "[]"));
    client.delete_all(&[reference], true).unwrap();
    let body = r#"[{"kind":"network","name":"red/a"}]"#;
    assert_eq!(server.request(), request("POST", "/v1/delete?dry_run=true", body));
    let attachment = Attachment { netns: "/run/netns/web".into(), device: "eth0".to_owned() };
    client.attach("web", &attachment, false).unwrap();
    let body = r#"{"netns":"/run/netns/web","device":"eth0"}"#;
    assert_eq!(server.request(), request("POST", "/v1/ports/web/attach", body));
    client.attach("web", &attachment, true).unwrap();
    assert_eq!(server.request(), request("POST", "/v1/ports/web/attach?move=true", body));
    client.detach("web").unwrap();
    assert_eq!(server.request(), request("POST", "/v1/ports/web/detach", ""));
    assert_eq!(client.teardown().unwrap(), Vec::<String>::new());
    assert_eq!(server.request(), request("POST", "/v1/teardown", ""));
}

#[test]
fn a_refusal_names_every_object() {
    let server = Server::start("refusal", |_| {
        json(
            422,
            r#"{"errors":[{"object":"subnet/a","message":"overlaps"},{"object":"port/b","message":"no subnet"}]}"#,
        )
    });
    let error = Client::new(server.socket()).apply(&[network()], false).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { status: 422, problems } if problems.len() == 2),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "subnet/a: overlaps\nport/b: no subnet");
}

#[test]
fn no_socket_and_no_listener() {
    let error = Client::new("/nonexistent/weftd.sock").status().unwrap_err();
    assert!(error.is_unreachable());
    let text = error.to_string();
    assert!(
        text.contains("/nonexistent/weftd.sock: No such file") && text.contains("is weftd running"),
        "{text}"
    );

    let server = Server::start("refused", |_| Vec::new());
    let socket = server.folder().join("left-over.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let error = Client::new(&socket).status().unwrap_err();
    let ClientError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("nobody listens"), "{error}");
}

#[test]
fn answers_that_break_off() {
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        ("body", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"host\":".to_vec()),
        ("chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{\"host\":".to_vec()),
    ] {
        let server = Server::start(name, move |_| bytes.clone());
        let error = Client::new(server.socket()).status().unwrap_err();
        assert!(matches!(error, ClientError::Interrupted { .. }), "{name}: {error:?}");
        assert!(error.to_string().starts_with("GET /v1/status: no full answer from weftd"), "{error}");
        assert!(error.to_string().contains("nothing was changed: ask again"), "{error}");
        let error = Client::new(server.socket()).detach("web").unwrap_err();
        assert!(error.to_string().contains("whether it was carried out is unknown"), "{error}");
    }
}

#[test]
fn answers_of_another_program() {
    for (name, bytes) in [
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        ("html", json(404, "<html>not here</html>")),
        ("other", json(200, r#"{"hello":"world"}"#)),
    ] {
        let server = Server::start(name, move |_| bytes.clone());
        let error = Client::new(server.socket()).status().unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("is it weftd that listens"), "{error}");
    }
}

#[test]
fn a_silent_daemon() {
    let server = Server::start("silent", |_| Vec::new());
    let socket = server.folder().join("silent.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let client = Client::new(&socket).with_timeout(Duration::from_millis(100));
    let error = client.status().unwrap_err();
    assert!(
        matches!(&error, ClientError::Interrupted { cause, .. } if cause == "none within 0.1 seconds"),
        "{error:?}"
    );
}

#[test]
fn a_stream_of_changes() {
    let lines = [
        r#"{"revision":4,"action":"create","resource":{"kind":"network","name":"red","tenant":"red","vni":5000}}"#,
        "",
        r#"{"revision":5,"action":"delete","resource":{"kind":"network","name":"red","tenant":"red","vni":5000}}"#,
    ];
    let server = Server::start("stream", move |request| match request.target.as_str() {
        "/v1/watch?since=3" => stream(&lines, true),
        "/v1/watch?since=1" => json(410, r#"{"errors":[{"object":"watch","message":"too old"}]}"#),
        _ => stream(&lines[..1], false),
    });
    let client = Client::new(server.socket());
    let events: Vec<_> = client.watch(Some(3)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(
        events.iter().map(|event| (event.revision, event.action)).collect::<Vec<_>>(),
        [(4, Action::Create), (5, Action::Delete)]
    );
    assert!(matches!(client.watch(Some(1)), Err(ClientError::Refused { status: 410, .. })));
    let mut broken = client.watch(None).unwrap();
    assert_eq!(broken.next().unwrap().unwrap().revision, 4);
    assert!(matches!(broken.next(), Some(Err(ClientError::Interrupted { .. }))));
    assert!(broken.next().is_none());
}
