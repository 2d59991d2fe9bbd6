//! BGP neighbours as resources of a real weftd, and the paths that ask about BGP.

use weft_api::client::Rib;
use weft_api::kind::Kind;
use weft_api::resource::Resource;
use weft_api::view::Event;
use weft_api::view::bgp::Clear;
use weft_daemon::store::Store;

use crate::api::{answer, raw, reference, refusal, resource};
use crate::daemon::Daemon;

const GROUP: &str = r#"{"kind":"peer-group","name":"rr","asn":"internal","password":"of-the-group"}"#;
const PEER: &str =
    r#"{"kind":"peer","name":"rr-1","address":"192.0.2.254","group":"rr","password":"of-the-peer"}"#;

#[test]
fn a_host_without_bgp_says_so() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    let words =
        "this host speaks no BGP: weftd.toml has no [bgp] section; add one with its asn and restart weftd";
    for (status, problems) in [
        refusal(client.bgp_summary()),
        refusal(client.bgp_neighbors()),
        refusal(client.bgp_neighbor("rr-1")),
        refusal(client.bgp_rib(&Rib::default())),
        refusal(client.bgp_explain("10.0.0.9", None)),
        refusal(client.bgp_clear(&Clear::default())),
    ] {
        assert_eq!((status, problems[0].object.as_str(), problems[0].message.as_str()), (409, "bgp", words));
    }
    let (status, problems) = refusal(client.create(&resource(PEER)));
    assert_eq!((status, problems.len()), (422, 2), "{problems:?}");
    assert!(problems[1].message.starts_with(words), "{problems:?}");
}

#[test]
fn a_password_is_stored_and_never_told() {
    let Some(daemon) = Daemon::start_speaking() else { return };
    let client = daemon.client();
    let mut watch = client.watch(None).unwrap();
    client.apply(&[GROUP, PEER].map(resource), false).unwrap();
    let shown = client.list(Kind::Peer).unwrap().remove(0).resource;
    let events: Vec<Event> = (0..2).map(|_| watch.next().unwrap().unwrap()).collect();
    let group = client.get(&reference(Kind::PeerGroup, "rr")).unwrap().resource;
    let told = serde_json::to_string(&(&shown, &events, &group)).unwrap();
    assert!(!told.contains("of-the") && told.matches("********").count() == 4, "{told}");

    // What was read can be written: nothing changes, or only what was changed beside it.
    assert_eq!(client.apply(&[shown.clone(), group], false).unwrap().revision, 1);
    let Resource::Peer(mut peer) = shown else { panic!("{shown:?}") };
    peer.description = Some("rack 7".to_owned());
    assert_eq!(client.replace(&Resource::Peer(peer.clone())).unwrap().revision, 2);
    peer.name = "rr-2".to_owned();
    peer.address = "192.0.2.253".parse().unwrap();
    let (status, problems) = refusal(client.create(&Resource::Peer(peer)));
    assert_eq!((status, problems[0].field.as_deref()), (422, Some("password")), "{problems:?}");

    let folder = daemon.state_folder();
    let state = daemon.stop();
    let (_, stored) = Store::open(&folder).unwrap().load().unwrap();
    let text = serde_json::to_string(&stored).unwrap();
    assert!(
        text.contains("of-the-peer") && text.contains("of-the-group") && text.contains("rack 7"),
        "{text}"
    );
    drop(state);
}

#[test]
fn questions_that_make_no_sense() {
    let Some(daemon) = Daemon::start_speaking() else { return };
    let client = daemon.client();
    for (path, message) in [
        ("/v1/bgp/rib?in=a&out=b", "in and out exclude each other"),
        ("/v1/bgp/rib?family=vpls", "there are evpn, ipv4-unicast, ipv6-unicast and route-targets"),
        ("/v1/bgp/rib?peer=a", "unknown field `peer`"),
        ("/v1/bgp/explain", "missing field `address`"),
        ("/v1/bgp/explain?address=web-1", "\"web-1\" is no address, prefix or MAC"),
    ] {
        let (status, problems) = raw(&client, "GET", path, "");
        assert_eq!((status, problems[0].object.as_str()), (400, "query"), "{path}");
        assert!(problems[0].message.contains(message), "{path}: {problems:?}");
    }
    for (body, message) in [("", "EOF"), (r#"{"hard":true}"#, "unknown field `hard`")] {
        let (status, problems) = raw(&client, "POST", "/v1/bgp/clear", body);
        assert_eq!((status, problems[0].object.as_str()), (400, "clear"), "{body}");
        assert!(problems[0].message.contains(message), "{body}: {problems:?}");
    }
    // Without a speaker that answers, nobody waits for one.
    let (status, problems) = refusal(client.bgp_summary());
    assert_eq!(
        (status, problems[0].message.as_str()),
        (503, "the speaker does not run; weftd's log says why")
    );
}

#[test]
fn metrics_are_read_by_any_scraper() {
    let Some(daemon) = Daemon::start() else { return };
    let answer = answer(&daemon.client(), "GET", "/v1/metrics", "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n# EOF\n"), "{answer}");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(answer.contains(kind), "{answer}");
}
