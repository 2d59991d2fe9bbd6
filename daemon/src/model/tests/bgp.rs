//! BGP neighbours, their groups and peerings: bad input, and what is said about it.

use weft_api::document::{Source, read};

use super::*;

/// A host of AS 65000.
pub(crate) fn speaking_host() -> Host {
    let text = "[underlay]\ndevice = \"eth0\"\nvtep = \"192.0.2.1\"\n[bgp]\nasn = 65000\n";
    Host::of(&Config::parse(std::path::Path::new("weftd.toml"), text).unwrap())
}

/// Red and blue have the same addresses, green others.
const WITH_PEERS: &[&str] = &[
    r#"{"kind":"network","name":"green","tenant":"green","vni":7000}"#,
    r#"{"kind":"subnet","name":"green-a","network":"green","vni":7001,"ipv4":"10.7.0.0/24","route_distinguisher":"65000:7"}"#,
    r#"{"kind":"peering","name":"red-green","networks":["red","green"]}"#,
    r#"{"kind":"peer-group","name":"leaf","asn":"external","ranges":["10.250.0.0/16"],"max_peers":9}"#,
    r#"{"kind":"peer-group","name":"rr","asn":"internal","hold_time_s":30}"#,
    r#"{"kind":"peer","name":"rr-1","address":"192.0.2.254","group":"rr"}"#,
    r#"{"kind":"peer","name":"tor-1","address":"2001:db8::1","asn":65001}"#,
];

pub(crate) fn good() -> Intent {
    GOOD.iter().chain(WITH_PEERS).map(|document| resource(document)).collect()
}

/// The object, field and message of each thing that is wrong with `document` in place of the one of its name.
fn problems(document: &str) -> Vec<Problem> {
    let mut intent = good();
    let added = resource(document);
    let id = added.reference();
    intent.insert(added);
    Model::build(&intent, &speaking_host(), &[id]).map(|_| Vec::new()).unwrap_or_else(|problems| problems)
}

/// Documents, the field at fault, and a part of the message.
fn check_fields(table: &[(String, &str, &str)]) {
    for (document, field, expected) in table {
        let problems = problems(document);
        let [problem] = problems.as_slice() else { panic!("{document}\ngot {problems:#?}") };
        assert!(
            problem.field.as_deref() == Some(field) && problem.message.contains(expected),
            "{document}\nexpected {field}: {expected}\ngot {problem:#?}"
        );
    }
}

#[test]
fn good_is_good_and_stays() {
    let model = Model::build(&good(), &speaking_host(), &[]).unwrap();
    let stored = model.to_intent();
    assert_eq!(stored.peers["rr-1"], good().peers["rr-1"]);
    assert_eq!(Model::build(&stored, &speaking_host(), &[]).unwrap(), model);
}

#[test]
fn a_host_without_bgp_takes_nothing_of_it() {
    let problems = Model::build(&good(), &host(), &[]).unwrap_err();
    let objects: Vec<_> = problems.iter().map(|problem| problem.object.as_str()).collect();
    assert_eq!(objects, ["peering/red-green", "peer-group/leaf", "peer-group/rr", "peer/rr-1", "peer/tor-1"]);
    assert_eq!(
        problems[4].message,
        "this host speaks no BGP: weftd.toml has no [bgp] section; add one with its asn and restart weftd, or leave \
         this peer out"
    );
    // What a network's routes carry can be the same text on all hosts.
    let red = GOOD[0].replace("\"vni\"", r#""route_targets":{"import":"any-as"},"vni""#);
    assert!(Model::build(&intent(&[&red]), &host(), &[]).is_ok());
}

#[test]
fn addresses_and_groups_of_peers() {
    let peer = |rest: &str| format!(r#"{{"kind":"peer","name":"x","asn":65001,{rest}}}"#);
    check_fields(&[
        (peer(r#""address":"192.0.2.1""#), "address", "192.0.2.1 is this host's own VTEP"),
        (
            peer(r#""address":"192.0.2.254""#),
            "address",
            "192.0.2.254 is the address of peer/rr-1; keep one of the two",
        ),
        (peer(r#""address":"0.0.0.0""#), "address", "0.0.0.0 is no address; name a unicast address"),
        (peer(r#""address":"224.0.0.5""#), "address", "224.0.0.5 is multicast"),
        (peer(r#""address":"255.255.255.255""#), "address", "is the broadcast address"),
        (peer(r#""address":"::ffff:192.0.2.3""#), "address", "is an IPv4 address; write 192.0.2.3"),
        (
            peer(r#""address":"192.0.2.3","local_address":"192.0.2.3""#),
            "local_address",
            "192.0.2.3 is the peer's; name an address of this host",
        ),
        (peer(r#""address":"fe80::1""#), "address", "fe80::1 is link-local"),
        (
            peer(r#""address":"192.0.2.3","group":"spine""#),
            "group",
            "its peer-group \"spine\" does not exist; create peer-group/spine first",
        ),
        (
            peer(r#""address":"192.0.2.3","local_address":"2001:db8::2""#),
            "local_address",
            "2001:db8::2 is not of the family of 192.0.2.3",
        ),
        (
            peer(r#""address":"192.0.2.3","local_address":"0.0.0.0""#),
            "local_address",
            "is no address of a host",
        ),
    ]);
    check_fields(&[
        (
            r#"{"kind":"peer","name":"x","address":"192.0.2.3"}"#.to_owned(),
            "asn",
            "its AS is missing; name its number, internal or external",
        ),
        (
            r#"{"kind":"peer","name":"x","address":"192.0.2.3","group":"rr","role":"customer"}"#.to_owned(),
            "role",
            "role is for external peers, and it is of this host's AS 65000; leave role out (here or in peer-group/rr)",
        ),
    ]);
}

#[test]
fn fields_of_peers() {
    let peer =
        |rest: &str| format!(r#"{{"kind":"peer","name":"x","address":"192.0.2.3","asn":65001,{rest}}}"#);
    let long = "x".repeat(81);
    let text = "x".repeat(256);
    check_fields(&[
        (peer(r#""password":"""#), "password", "it has 0 bytes, and TCP-MD5 takes 1 to 80"),
        (peer(&format!(r#""password":"{long}""#)), "password", "it has 81 bytes"),
        (peer(r#""password":"********""#), "password", "none is stored; write the password itself"),
        (peer(r#""ttl_security":0"#), "ttl_security", "name 1 (a direct neighbour) to 254"),
        (peer(r#""ttl_security":255"#), "ttl_security", "255 hops cannot be told"),
        (peer(r#""multihop":0"#), "multihop", "name 1 to 255"),
        (peer(r#""multihop":3,"ttl_security":1"#), "multihop", "it excludes ttl_security"),
        (
            peer(r#""hold_time_s":2"#),
            "hold_time_s",
            "2 s is too short (RFC 4271 section 4.2); name 0 (never) or 3",
        ),
        (peer(r#""families":[]"#), "families", "name one, or leave families out for evpn"),
        (peer(r#""families":["evpn","evpn"]"#), "families[1]", "there twice"),
        (peer(r#""max_routes":{"limit":9,"warn_percent":101}"#), "max_routes.warn_percent", "name 1 to 100"),
        (peer(r#""bfd":{"interval_ms":9}"#), "bfd", "the shortest is 10ms"),
        (peer(r#""bfd":{"multiplier":0}"#), "bfd", "a BFD detection multiplier of 0"),
        (peer(r#""long_lived_stale_time_s":16777216"#), "long_lived_stale_time_s", "name 0 to 16777215"),
        (
            peer(r#""graceful_restart":false,"stale_time_s":9"#),
            "stale_time_s",
            "nothing is kept without graceful_restart",
        ),
        (
            peer(r#""graceful_restart":false,"long_lived_stale_time_s":9"#),
            "long_lived_stale_time_s",
            "nothing is kept without graceful_restart",
        ),
        (
            peer(r#""route_reflector_client":true"#),
            "route_reflector_client",
            "routes are reflected within this host's AS 65000, and it is of AS 65001",
        ),
        (
            peer(r#""import":[{"match":{"evpn_type":9},"action":"next"}]"#),
            "import[0].match.evpn_type",
            "9 is no type",
        ),
        (
            peer(r#""export":[{"action":"next"},{"set":{"med":1},"action":"reject"}]"#),
            "export[1].set",
            "what is rejected is not changed",
        ),
        (
            peer(&format!(r#""shutdown":"{text}""#)),
            "shutdown",
            "its text has 256 bytes, and a peer is told at most 255",
        ),
    ]);
    let other = peer("\"port\":179");
    check_fields(&[
        (other.replace("65001", "0"), "asn", "AS 0 is nobody's"),
        (other.replace("65001", "23456"), "asn", "AS 23456 stands for"),
        (
            other.replace("65001,", "\"internal\",\"multihop\":3,"),
            "multihop",
            "multihop is for external peers",
        ),
        (other.replace("65001,", "65000,\"role\":\"peer\","), "role", "it is of this host's AS 65000"),
    ]);
    for good in [
        r#""multihop":3,"hold_time_s":0,"families":["ipv4-unicast","evpn"],"role":"customer","shutdown":"""#,
        r#""ttl_security":254,"bfd":true,"password":"x","graceful_restart":false,"long_lived_stale_time_s":0"#,
    ] {
        assert_eq!(problems(&peer(good)), [], "{good}");
    }
}

#[test]
fn a_password_is_in_no_message() {
    let password = "x".repeat(99);
    let peer = format!(r#"{{"kind":"peer","name":"x","address":"192.0.2.1","password":"{password}"}}"#);
    let told = format!("{:?}", problems(&peer));
    assert!(told.contains("it has 99 bytes") && !told.contains("xx"), "{told}");
}

#[test]
fn groups() {
    let group = |rest: &str| format!(r#"{{"kind":"peer-group","name":"x",{rest}}}"#);
    check_fields(&[
        (
            group(r#""asn":65001,"ranges":["10.0.0.1/8"]"#),
            "ranges[0]",
            "10.0.0.1/8 has host bits set; write 10.0.0.0/8",
        ),
        (
            group(r#""asn":65001,"ranges":["10.0.0.0/8","10.250.0.0/16"]"#),
            "ranges[1]",
            "10.250.0.0/16 is a range of peer-group/leaf already; leave it out of one of them",
        ),
        (
            group(r#""asn":65001,"ranges":["10.0.0.0/8","10.0.0.0/8"]"#),
            "ranges[1]",
            "is a range of peer-group/x already",
        ),
        (group(r#""ranges":["10.0.0.0/8"]"#), "asn", "its AS is missing"),
        (
            group(r#""asn":65001,"max_peers":3"#),
            "max_peers",
            "max_peers is for peers that connect from ranges",
        ),
        (
            group(r#""asn":65001,"ranges":["10.0.0.0/8","2001:db8::/32"],"local_address":"10.0.0.1""#),
            "local_address",
            "10.0.0.1 is not of the family of 2001:db8::",
        ),
        (
            group(r#""asn":"external","ranges":["10.0.0.0/8"],"route_reflector_client":true"#),
            "route_reflector_client",
            "and it is of another",
        ),
        (group(r#""hold_time_s":1"#), "hold_time_s", "too short"),
    ]);
    // The longest range counts, so that one can lie within another; and without ranges an AS is not needed.
    for good in [r#""asn":65001,"ranges":["10.0.0.0/8","10.250.1.0/24"]"#, r#""passive":true"#] {
        assert_eq!(problems(&group(good)), [], "{good}");
    }
}

#[test]
fn peerings() {
    let peering = |rest: &str| format!(r#"{{"kind":"peering","name":"x","networks":{rest}}}"#);
    check_fields(&[
        (peering(r#"["red"]"#), "networks", "it names 1 networks; name the two"),
        (peering(r#"["red","blue","green"]"#), "networks", "it names 3 networks"),
        (peering(r#"["red","red"]"#), "networks", "network/red sees its own routes anyway"),
        (
            peering(r#"["red","black"]"#),
            "networks[1]",
            "its network \"black\" does not exist; create network/black first",
        ),
        (
            peering(r#"["green","red"]"#),
            "networks",
            "network/green and network/red are joined by peering/red-green; keep one of the two",
        ),
        (
            peering(r#"["red","blue"]"#),
            "networks",
            "10.0.0.0/24 of subnet/red-a and 10.0.0.0/24 of subnet/blue-a overlap, and peering/x joins their networks; \
             choose another prefix, or give the peering an order, which tells who wins",
        ),
        // The subnet that is added last is blamed.
        (
            r#"{"kind":"subnet","name":"green-b","network":"green","vni":7002,"ipv4":"10.0.0.128/25"}"#
                .to_owned(),
            "ipv4",
            "10.0.0.128/25 of subnet/green-b overlap, and peering/red-green joins",
        ),
    ]);
    assert_eq!(problems(&peering(r#"["red","blue"],"order":7"#)), []);
}

#[test]
fn route_distinguishers_differ() {
    check_fields(&[
        (
            r#"{"kind":"network","name":"x","tenant":"x","vni":9,"route_distinguisher":"65000:7"}"#.to_owned(),
            "route_distinguisher",
            "route distinguisher 65000:7 is that of subnet/green-a; choose another, or leave it out",
        ),
        (
            r#"{"kind":"subnet","name":"x","network":"green","vni":9,"ipv4":"10.8.0.0/24","route_distinguisher":"65000:7"}"#
                .to_owned(),
            "route_distinguisher",
            "is that of subnet/green-a",
        ),
    ]);
}

/// What people copy from the documentation is taken: a page's examples all together.
#[test]
fn the_examples_of_the_documentation_are_good() {
    let page = include_str!("../../../../docs/reference/resources.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let reference: Vec<_> = blocks.map(str::to_owned).collect();
    let example = include_str!("../../../../docs/examples/peer.yaml").to_owned();
    for (texts, peers) in [(reference, 2), (vec![example], 2)] {
        let sources: Vec<_> = texts
            .into_iter()
            .zip(1..)
            .map(|(text, number)| Source { name: format!("example-{number}.yaml"), text })
            .collect();
        let documents = read(&sources).unwrap();
        let intent: Intent = documents.into_iter().map(|located| located.value).collect();
        let model =
            Model::build(&intent, &speaking_host(), &[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(model.peers.len(), peers);
    }
}

#[test]
fn who_only_connects_has_the_password_of_its_range() {
    let group = r#"{"kind":"peer-group","name":"hosts","asn":"internal","ranges":["192.0.2.0/24"],"password":"sesam"}"#;
    let build = |rest: &str| {
        let peer = format!(r#"{{"kind":"peer","name":"h4","address":"192.0.2.4","asn":"internal"{rest}}}"#);
        Model::build(&intent(&[group, &peer]), &speaking_host(), &[])
    };
    assert!(build("").is_ok() && build(r#","passive":true,"password":"other""#).is_ok());
    let problems = build(r#","passive":true"#).unwrap_err();
    assert_eq!((problems.len(), problems[0].field.as_deref()), (1, Some("passive")));
    assert!(
        problems[0].message.contains("192.0.2.0/24 of peer-group/hosts needs a password"),
        "{problems:?}"
    );
}
