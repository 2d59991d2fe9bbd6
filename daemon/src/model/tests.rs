//! One table of bad input: what is added to a good intent, and what is said about it.

pub(crate) mod bgp;
pub(crate) mod security;

use super::*;
use weft_api::resource::Resource;

pub(crate) fn host() -> Host {
    let text = "[underlay]\ndevice = \"eth0\"\nvtep = \"192.0.2.1\"\n[sizes]\nports = 3\n";
    Host::of(&Config::parse(std::path::Path::new("weftd.toml"), text).unwrap())
}

pub(crate) fn resource(document: &str) -> Resource {
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

pub(crate) fn intent(documents: &[&str]) -> Intent {
    documents.iter().map(|document| resource(document)).collect()
}

/// Tenants red and blue with the same addresses.
pub(crate) const GOOD: &[&str] = &[
    r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
    r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","ipv6":"fd00:1::/64"}"#,
    r#"{"kind":"port","name":"red-1","subnet":"red-a","addresses":["10.0.0.5","fd00:1::5"],"mac":"02:00:00:00:01:05",
        "attachment":{"netns":"/run/netns/red-1"}}"#,
    r#"{"kind":"network","name":"blue","tenant":"blue","vni":6000}"#,
    r#"{"kind":"subnet","name":"blue-a","network":"blue","vni":6001,"ipv4":"10.0.0.0/24"}"#,
    r#"{"kind":"port","name":"blue-1","subnet":"blue-a","addresses":["10.0.0.5"],"mac":"02:00:00:00:01:05"}"#,
    r#"{"kind":"remote","name":"host2","vtep":"192.0.2.2",
        "addresses":[{"subnet":"red-a","address":"10.0.0.9","mac":"02:00:00:00:01:09"}],
        "prefixes":[{"network":"red","prefix":"10.9.0.0/16"}]}"#,
];

/// What is said about GOOD with `document` added, or put in place of the one of its name.
fn faults(document: &str) -> Vec<String> {
    let mut intent = intent(GOOD);
    let added = resource(document);
    let id = added.reference();
    intent.insert(added);
    let problems =
        Model::build(&intent, &host(), &[id]).map(|_| Vec::new()).unwrap_or_else(|problems| problems);
    problems.into_iter().map(|problem| format!("{}: {}", problem.object, problem.message)).collect()
}

fn check(table: &[(&str, &str)]) {
    for (document, expected) in table {
        let faults = faults(document);
        assert!(
            faults.len() == 1 && faults[0].contains(expected),
            "{document}\nexpected {expected}\ngot {faults:#?}"
        );
    }
}

#[test]
fn good_is_good_and_complete() {
    let model = Model::build(&intent(GOOD), &host(), &[]).unwrap();
    assert_eq!(
        model.subnets["red-a"].ipv6,
        Some(("fd00:1::/64".parse().unwrap(), "fd00:1::1".parse().unwrap()))
    );
    assert_eq!(model.remotes["host2"].router_mac, "02:00:c0:00:02:02".parse().unwrap());
    // What was filled in is right, and stays.
    let stored = model.to_intent();
    assert_eq!(Model::build(&stored, &host(), &[]).unwrap(), model);
}

#[test]
fn ports_get_what_is_free_in_the_order_of_the_request() {
    let mut intent = intent(GOOD);
    let mut ids = Vec::new();
    for name in ["web-10", "web-9"] {
        let port = resource(&format!(r#"{{"kind":"port","name":"{name}","subnet":"red-a"}}"#));
        ids.push(port.reference());
        intent.insert(port);
    }
    let model = Model::build(&intent, &host(), &ids).unwrap();
    let addresses = |name: &str| model.ports[name].addresses().map(|ip| ip.to_string()).collect::<Vec<_>>();
    assert_eq!(addresses("web-10"), ["10.0.0.2", "fd00:1::2"]);
    assert_eq!(addresses("web-9"), ["10.0.0.3", "fd00:1::3"]);
    assert!(model.ports["web-9"].mac.is_unicast());
    assert_ne!(model.ports["web-9"].mac, model.ports["web-10"].mac);
}

#[test]
fn names_and_references() {
    check(&[
        (r#"{"kind":"network","name":"","tenant":"red","vni":1}"#, "network/: its name is empty"),
        (r#"{"kind":"network","name":"Red","tenant":"red","vni":1}"#, "other characters than lower-case"),
        (r#"{"kind":"network","name":"a/b","tenant":"red","vni":1}"#, "other characters than lower-case"),
        (r#"{"kind":"network","name":"red-","tenant":"red","vni":1}"#, "begins or ends with a hyphen"),
        (r#"{"kind":"network","name":"x","tenant":"","vni":1}"#, "its tenant's name \"\" is empty"),
        (
            r#"{"kind":"network","name":"a123456789012345678901234567890123456789012345678901234567890123","tenant":"t","vni":1}"#,
            "longer than 63 bytes",
        ),
        (
            r#"{"kind":"subnet","name":"x","network":"green","vni":1,"ipv4":"10.1.0.0/24"}"#,
            "subnet/x: its network \"green\" does not exist; create network/green first",
        ),
        (r#"{"kind":"port","name":"x","subnet":"red-b"}"#, "port/x: its subnet \"red-b\" does not exist"),
        (
            r#"{"kind":"remote","name":"x","vtep":"192.0.2.3","prefixes":[{"network":"green","prefix":"10.1.0.0/24"}]}"#,
            "remote/x: prefix 10.1.0.0/24: its network \"green\" does not exist",
        ),
        (
            r#"{"kind":"remote","name":"x","vtep":"192.0.2.3","addresses":[{"subnet":"red-b","address":"10.1.0.1","mac":"02:00:00:00:00:01"}]}"#,
            "remote/x: address 10.1.0.1: its subnet \"red-b\" does not exist",
        ),
    ]);
}

#[test]
fn the_self_test_takes_only_the_room_that_tenants_leave() {
    let with = |adapt: fn(&mut Host)| {
        let mut host = host();
        adapt(&mut host);
        Model::build(&intent(GOOD), &host, &[]).map(|model| model.no_self_test_for)
    };
    // Good has one attached port, four VNIs, and takes 3 + 2 + 1 addresses.
    assert_eq!(with(|_| ()), Ok(None));
    assert_eq!(with(|host| host.sizes.ports = 2), Ok(None));
    assert_eq!(with(|host| host.sizes.ports = 1), Ok(Some("ports")));
    assert_eq!(with(|host| host.sizes.vnis = 6), Ok(None));
    assert_eq!(with(|host| host.sizes.vnis = 5), Ok(Some("vnis")));
    assert_eq!(with(|host| host.sizes.addresses = 9), Ok(None));
    assert_eq!(with(|host| host.sizes.addresses = 8), Ok(Some("addresses")));
    assert_eq!(with(|host| host.sizes.addresses = 6), Ok(Some("addresses")));
    assert!(with(|host| host.sizes.addresses = 5).is_err());
}

#[test]
fn the_self_tests_numbers_are_nobodys_unless_it_is_off() {
    check(&[
        (
            r#"{"kind":"network","name":"x","tenant":"x","vni":16777214}"#,
            "network/x: VNI 16777214 is that of weft's own self-test",
        ),
        (
            r#"{"kind":"subnet","name":"x","network":"red","vni":16777215,"ipv4":"10.7.0.0/24"}"#,
            "subnet/x: VNI 16777215 is that of weft's own self-test",
        ),
    ]);
    let mut intent = intent(GOOD);
    intent.insert(resource(r#"{"kind":"network","name":"x","tenant":"x","vni":16777214}"#));
    assert!(Model::build(&intent, &Host { self_test: false, ..host() }, &[]).is_ok());
}

#[test]
fn vnis() {
    check(&[
        (
            r#"{"kind":"network","name":"x","tenant":"x","vni":5000}"#,
            "network/x: VNI 5000 is taken by network/red",
        ),
        (
            r#"{"kind":"network","name":"x","tenant":"x","vni":5001}"#,
            "network/x: VNI 5001 is taken by subnet/red-a",
        ),
        (
            r#"{"kind":"subnet","name":"a","network":"red","vni":6000,"ipv4":"10.1.0.0/24"}"#,
            "subnet/a: VNI 6000 is taken by network/blue",
        ),
    ]);
    for vni in ["0", "16777216", "-1", "\"red\""] {
        let document = format!(r#"{{"kind":"network","name":"x","tenant":"x","vni":{vni}}}"#);
        assert!(serde_json::from_str::<Resource>(&document).is_err(), "{document}");
    }
}

#[test]
fn prefixes_and_gateways() {
    let subnet = |rest: &str| format!(r#"{{"kind":"subnet","name":"x","network":"red","vni":1,{rest}}}"#);
    let table = [
        (r#""ipv4":"10.1.0.5/24""#, "subnet/x: 10.1.0.5/24 has host bits set; write 10.1.0.0/24"),
        (r#""ipv6":"fd00::5/64""#, "subnet/x: fd00::5/64 has host bits set; write fd00::/64"),
        (r#""ipv4":"10.1.0.0/32""#, "of a length that a subnet can have: /8 to /31"),
        (r#""ipv4":"10.0.0.0/7""#, "10.0.0.0/7 is not of a length"),
        (r#""ipv6":"fd00::/128""#, "of a length that a subnet can have: /32 to /127"),
        (r#""ipv6":"fd00::/16""#, "fd00::/16 is not of a length"),
        (r#""ipv4":"127.1.0.0/16""#, "127.1.0.0/16 lies inside 127.0.0.0/8, which is loopback"),
        (r#""ipv4":"224.1.0.0/16""#, "which is multicast"),
        (r#""ipv6":"fe80::/64""#, "which is link-local"),
        (r#""ipv6":"::ffff:10.0.0.0/120""#, "reserved by IANA"),
        (
            r#""ipv4":"10.1.0.0/24","gateway4":"10.2.0.1""#,
            "its gateway 10.2.0.1 is outside 10.1.0.0/24; choose one inside it, or leave gateway4 out",
        ),
        (
            r#""ipv4":"10.1.0.0/24","gateway4":"10.1.0.0""#,
            "its gateway 10.1.0.0 is the address of the network",
        ),
        (
            r#""ipv4":"10.1.0.0/24","gateway4":"10.1.0.255""#,
            "its gateway 10.1.0.255 is the broadcast address",
        ),
        (r#""ipv6":"fd00::/64","gateway6":"fd01::1""#, "its gateway fd01::1 is outside fd00::/64"),
        (r#""ipv4":"10.1.0.0/24","gateway6":"fd01::1""#, "gateway6 fd01::1 without an ipv6 prefix"),
        (r#""ipv4":"10.0.0.128/25""#, "10.0.0.128/25 overlaps 10.0.0.0/24 of subnet/red-a in network/red"),
        (r#""ipv4":"10.0.0.0/16""#, "10.0.0.0/16 overlaps 10.0.0.0/24 of subnet/red-a in network/red"),
        (r#""ipv6":"fd00:1::/64""#, "fd00:1::/64 overlaps fd00:1::/64 of subnet/red-a"),
        (r#""ipv4":"10.9.1.0/24""#, ""),
    ];
    for (rest, expected) in table {
        if expected.is_empty() {
            assert_eq!(faults(&subnet(rest)), Vec::<String>::new(), "{rest}");
        } else {
            check(&[(&subnet(rest), expected)]);
        }
    }
    check(&[(r#"{"kind":"subnet","name":"x","network":"red","vni":1}"#, "subnet/x: it has no prefix")]);
}

#[test]
fn addresses_and_macs() {
    let port = |rest: &str| format!(r#"{{"kind":"port","name":"x","subnet":"red-a",{rest}}}"#);
    let table = [
        (
            r#""addresses":["10.0.1.5"]"#,
            "port/x: address 10.0.1.5 is outside 10.0.0.0/24 in subnet/red-a; choose one inside it, or leave it out",
        ),
        (r#""addresses":["10.0.0.0"]"#, "is the address of the network"),
        (r#""addresses":["10.0.0.255"]"#, "is the broadcast address"),
        (
            r#""addresses":["10.0.0.1"]"#,
            "address 10.0.0.1 is the gateway of 10.0.0.0/24 in subnet/red-a; choose another",
        ),
        (
            r#""addresses":["10.0.0.5"]"#,
            "address 10.0.0.5 is taken by port/red-1 in subnet/red-a; choose another, or leave it out",
        ),
        (r#""addresses":["10.0.0.9"]"#, "address 10.0.0.9 is taken by remote/host2"),
        (r#""addresses":["fd00:1::5"]"#, "address fd00:1::5 is taken by port/red-1"),
        (r#""addresses":["fd00:1::"]"#, "address fd00:1:: is the address of the network"),
        (r#""addresses":["10.0.0.6","10.0.0.7"]"#, "it has 2 IPv4 addresses"),
        (r#""mac":"02:00:00:00:01:05""#, "MAC 02:00:00:00:01:05 is taken by port/red-1 in subnet/red-a"),
        (r#""mac":"02:00:00:00:01:09""#, "MAC 02:00:00:00:01:09 is taken by remote/host2 in subnet/red-a"),
        (r#""mac":"01:00:00:00:01:05""#, "MAC 01:00:00:00:01:05 is not a unicast address"),
        (r#""mac":"ff:ff:ff:ff:ff:ff""#, "is not a unicast address"),
        (r#""mac":"00:00:00:00:00:00""#, "is not a unicast address"),
        (r#""mac":"00:00:5e:00:01:01""#, "MAC 00:00:5e:00:01:01 is the gateways' own"),
    ];
    for (rest, expected) in table {
        check(&[(&port(rest), expected)]);
    }
    check(&[(
        r#"{"kind":"port","name":"x","subnet":"blue-a","addresses":["fd00::5"]}"#,
        "address fd00::5: subnet/blue-a has no ipv6 prefix; give the subnet one, or leave the address out",
    )]);
}

#[test]
fn a_full_subnet_is_named() {
    let mut intent = intent(&[
        r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
        r#"{"kind":"subnet","name":"tiny","network":"red","vni":5001,"ipv4":"10.0.0.0/30"}"#,
        r#"{"kind":"port","name":"a","subnet":"tiny"}"#,
        r#"{"kind":"port","name":"b","subnet":"tiny"}"#,
    ]);
    let problems = Model::build(&intent, &host(), &[]).unwrap_err();
    assert_eq!(problems[0].object, "port/b");
    assert!(problems[0].message.starts_with("subnet/tiny: 10.0.0.0/30 is full"), "{problems:?}");
    intent.ports.clear();
    assert!(Model::build(&intent, &host(), &[]).is_ok());
}

#[test]
fn remotes() {
    let remote = |rest: &str| format!(r#"{{"kind":"remote","name":"x",{rest}}}"#);
    let table = [
        (r#""vtep":"192.0.2.1""#, "remote/x: VTEP 192.0.2.1 is this host's own"),
        (r#""vtep":"192.0.2.2""#, "remote/x: VTEP 192.0.2.2 is that of remote/host2"),
        (r#""vtep":"2001:db8::1""#, "is not of the family of this host's VTEP 192.0.2.1"),
        (
            r#""vtep":"192.0.2.3","router_mac":"01:00:00:00:00:01""#,
            "its router MAC 01:00:00:00:00:01 is not a unicast",
        ),
        (r#""vtep":"192.0.2.3","router_mac":"00:00:5e:00:01:01""#, "is the gateways' own"),
        (
            r#""vtep":"192.0.2.3","prefixes":[{"network":"red","prefix":"10.0.0.0/24"}]"#,
            "prefix 10.0.0.0/24 is that of subnet/red-a",
        ),
        (
            r#""vtep":"192.0.2.3","prefixes":[{"network":"red","prefix":"10.0.0.64/26"}]"#,
            "prefix 10.0.0.64/26 lies inside that of subnet/red-a (10.0.0.0/24)",
        ),
        (
            r#""vtep":"192.0.2.3","prefixes":[{"network":"red","prefix":"10.9.0.0/16"}]"#,
            "10.9.0.0/16 of network/red is already behind remote/host2",
        ),
        (
            r#""vtep":"192.0.2.3","prefixes":[{"network":"red","prefix":"10.8.0.1/16"}]"#,
            "10.8.0.1/16 has host bits set; write 10.8.0.0/16",
        ),
        (
            r#""vtep":"192.0.2.3","addresses":[{"subnet":"red-a","address":"10.0.0.1","mac":"02:00:00:00:00:01"}]"#,
            "remote/x: address 10.0.0.1 is the gateway",
        ),
        (
            r#""vtep":"192.0.2.3","addresses":[{"subnet":"red-a","address":"10.0.0.5","mac":"02:00:00:00:00:01"}]"#,
            "remote/x: address 10.0.0.5 is taken by port/red-1 in subnet/red-a; leave it to one of the two",
        ),
        (
            r#""vtep":"192.0.2.3","addresses":[{"subnet":"red-a","address":"10.0.0.7","mac":"02:00:00:00:01:05"}]"#,
            "remote/x: MAC 02:00:00:00:01:05 is taken by port/red-1",
        ),
        (
            r#""vtep":"192.0.2.3","addresses":[{"subnet":"red-a","address":"10.0.0.7","mac":"33:33:00:00:00:01"}]"#,
            "remote/x: MAC 33:33:00:00:00:01 is not a unicast",
        ),
    ];
    for (rest, expected) in table {
        check(&[(&remote(rest), expected)]);
    }
    let good = [
        r#""vtep":"192.0.2.3","prefixes":[{"network":"red","prefix":"0.0.0.0/0"},{"network":"red","prefix":"10.0.0.0/16"}]"#,
        r#""vtep":"192.0.2.3","addresses":[
            {"subnet":"red-a","address":"10.0.0.7","mac":"02:00:00:00:00:07"},
            {"subnet":"red-a","address":"fd00:1::7","mac":"02:00:00:00:00:07"}]"#,
    ];
    for rest in good {
        assert_eq!(faults(&remote(rest)), Vec::<String>::new(), "{rest}");
    }
}

/// `count` remotes that take part in subnet red-a, the last as it is asked for.
fn remotes_in_red_a(count: u16) -> (Intent, Reference) {
    let mut intent = intent(&GOOD[..2]);
    let mut last = intent.ids().next().unwrap();
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let remote = resource(&format!(
            r#"{{"kind":"remote","name":"r{number}","vtep":"198.51.{high}.{low}","subnets":["red-a"]}}"#
        ));
        last = remote.reference();
        intent.insert(remote);
    }
    (intent, last)
}

#[test]
fn a_subnet_has_an_end_to_its_vteps() {
    let (full, last) = remotes_in_red_a(1024);
    assert!(Model::build(&full, &host(), &[last]).is_ok());
    let (more, last) = remotes_in_red_a(1025);
    let problems = Model::build(&more, &host(), &[last]).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(
        (problem.object.as_str(), problem.message.as_str()),
        (
            "remote/r1024",
            "it would be VTEP 1025 of subnet \"red-a\", whose broadcasts are copied to at most 1024; divide the \
             subnet, or remove remotes from it"
        )
    );
}

#[test]
fn subnets_of_a_remote() {
    check(&[
        (
            r#"{"kind":"remote","name":"host3","vtep":"192.0.2.3","subnets":["nowhere"]}"#,
            "its subnet \"nowhere\" does not exist",
        ),
        (
            r#"{"kind":"remote","name":"host3","vtep":"192.0.2.3","subnets":["red-a","red-a"]}"#,
            "its subnet \"red-a\" is named twice; keep one",
        ),
    ]);
}

#[test]
fn attachments_and_sizes() {
    let port = |rest: &str| format!(r#"{{"kind":"port","name":"x","subnet":"red-a","attachment":{rest}}}"#);
    let table = [
        (r#"{"netns":"/run/netns/red-1"}"#, "device eth0 in /run/netns/red-1 is that of port/red-1"),
        (r#"{"netns":"red-1"}"#, "netns \"red-1\" is not a path from the root"),
        (r#"{"netns":"/run/netns/x","device":"a/b"}"#, "device \"a/b\": a device's name has no slash"),
        (r#"{"netns":"/run/netns/x","device":""}"#, "device \"\": a device's name has 1 to 15 bytes"),
    ];
    for (rest, expected) in table {
        check(&[(&port(rest), expected)]);
    }
    let mut intent = intent(GOOD);
    for number in 0..3 {
        let attachment = format!(r#"{{"netns":"/run/netns/{number}"}}"#);
        let document = port(&attachment).replace("\"x\"", &format!("\"x-{number}\""));
        intent.insert(resource(&document));
    }
    let problems = Model::build(&intent, &host(), &[]).unwrap_err();
    assert!(
        problems[0].message.contains("room for 3 ports, this needs 4; raise sizes.ports"),
        "{problems:?}"
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    let faults = faults(
        r#"{"kind":"port","name":"X","subnet":"red-a","mac":"01:00:00:00:00:00","addresses":["10.0.0.5","10.0.1.5"]}"#,
    );
    assert_eq!(faults.len(), 5, "{faults:#?}");
}

/// The field that is blamed, so that whoever wrote a file sees the line.
#[test]
fn the_field_at_fault_is_named() {
    let remote = |rest: &str| format!(r#"{{"kind":"remote","name":"x","vtep":"192.0.2.3",{rest}}}"#);
    let subnet = |rest: &str| format!(r#"{{"kind":"subnet","name":"x","network":"red","vni":1,{rest}}}"#);
    let port = |rest: &str| format!(r#"{{"kind":"port","name":"x","subnet":"red-a",{rest}}}"#);
    let good = r#"{"subnet":"red-a","address":"10.0.0.7","mac":"02:00:00:00:00:07"}"#;
    let table = [
        (r#"{"kind":"network","name":"X","tenant":"x","vni":1}"#.to_owned(), Some("name")),
        (r#"{"kind":"network","name":"x","tenant":"X","vni":1}"#.to_owned(), Some("tenant")),
        (r#"{"kind":"network","name":"x","tenant":"x","vni":5000}"#.to_owned(), Some("vni")),
        (r#"{"kind":"subnet","name":"x","network":"red","vni":1}"#.to_owned(), None),
        (
            r#"{"kind":"subnet","name":"x","network":"no","vni":1,"ipv4":"10.1.0.0/24"}"#.to_owned(),
            Some("network"),
        ),
        (subnet(r#""ipv4":"10.1.0.5/24""#), Some("ipv4")),
        (subnet(r#""ipv6":"fd00:1::/64""#), Some("ipv6")),
        (subnet(r#""ipv4":"10.1.0.0/24","gateway4":"10.2.0.1""#), Some("gateway4")),
        (subnet(r#""ipv4":"10.1.0.0/24","gateway6":"fd01::1""#), Some("gateway6")),
        (r#"{"kind":"port","name":"x","subnet":"no"}"#.to_owned(), Some("subnet")),
        (port(r#""addresses":["fd00:1::7","10.0.0.5"]"#), Some("addresses[1]")),
        (port(r#""addresses":["10.0.0.6","10.0.0.7"]"#), Some("addresses")),
        (port(r#""mac":"02:00:00:00:01:05""#), Some("mac")),
        (port(r#""attachment":{"netns":"x"}"#), Some("attachment.netns")),
        (port(r#""attachment":{"netns":"/run/netns/red-1"}"#), Some("attachment.device")),
        (r#"{"kind":"remote","name":"x","vtep":"192.0.2.2"}"#.to_owned(), Some("vtep")),
        (remote(r#""router_mac":"01:00:00:00:00:01""#), Some("router_mac")),
        (
            remote(&format!(r#""addresses":[{good},{}]"#, good.replace("10.0.0.7", "10.0.0.1"))),
            Some("addresses[1].address"),
        ),
        (
            remote(&format!(r#""addresses":[{}]"#, good.replace("02:00:00:00:00:07", "01:00:00:00:00:07"))),
            Some("addresses[0].mac"),
        ),
        (remote(&format!(r#""addresses":[{}]"#, good.replace("red-a", "no"))), Some("addresses[0].subnet")),
        (
            remote(
                r#""prefixes":[{"network":"red","prefix":"10.8.0.0/16"},{"network":"no","prefix":"10.8.0.0/16"}]"#,
            ),
            Some("prefixes[1].network"),
        ),
        (remote(r#""prefixes":[{"network":"red","prefix":"10.0.0.0/24"}]"#), Some("prefixes[0].prefix")),
    ];
    for (document, field) in table {
        let mut intent = intent(GOOD);
        let added = resource(&document);
        let id = added.reference();
        intent.insert(added);
        let problems = Model::build(&intent, &host(), &[id]).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_deref()).collect();
        assert_eq!(fields, [field], "{document}: {problems:?}");
    }
}
