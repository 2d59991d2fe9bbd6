//! Good input in every form, and every kind of bad input with the exact words of its error.

use super::*;

const NETWORK: &str = "kind: network\nname: red\ntenant: red\nvni: 5000\n";
const SUBNET: &str =
    "kind: subnet\nname: red-a\nnetwork: red\nvni: 5001\nipv4: 10.0.0.0/24\nipv6: fd00::/64\n";

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn yaml(text: &str) -> Result<Vec<Located<Resource>>, ReadError> {
    read(&[source("a.yaml", text)])
}

/// The error, one line each.
fn refusal(name: &str, text: &str) -> String {
    read(&[source(name, text)]).expect_err(text).to_string()
}

fn names(documents: &[Located<Resource>]) -> Vec<String> {
    documents.iter().map(|document| document.value.reference().to_string()).collect()
}

#[test]
fn documents_of_yaml() {
    let text = format!("# two tenants\n---\n{NETWORK}---\n# nothing\n---\n{SUBNET}...\n");
    let documents = yaml(&text).unwrap();
    assert_eq!(names(&documents), ["network/red", "subnet/red-a"]);
    assert_eq!(documents[1].position.to_string(), "a.yaml:10:1 (document 2)");
    let json = r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24","ipv6":"fd00::/64"}"#;
    assert_eq!(documents[1].value, serde_json::from_str(json).unwrap());
}

#[test]
fn fields_have_places_too() {
    let yaml = "kind: remote\nname: h2\nvtep: 192.0.2.2\naddresses:\n  - subnet: red-a\n    address: 10.0.0.9\n    \
                mac: 02:00:00:00:00:09\n  - {subnet: red-a, address: 10.0.0.10, mac: 02:00:00:00:00:10}\n";
    let json = "{\"kind\": \"remote\", \"name\": \"h2\", \"vtep\": \"192.0.2.2\",\n \"addresses\": [\n  {\"subnet\": \
                \"red-a\", \"address\": \"10.0.0.9\",\n   \"mac\": \"02:00:00:00:00:09\"}]}";
    for (name, text, field, line, column) in [
        ("a.yaml", yaml, "vtep", 3, 7),
        ("a.yaml", yaml, "addresses", 5, 3),
        ("a.yaml", yaml, "addresses[0].mac", 7, 10),
        ("a.yaml", yaml, "addresses[1].address", 8, 30),
        ("a.json", json, "name", 1, 28),
        ("a.json", json, "addresses[0].mac", 4, 11),
        // What was left out.
        ("a.yaml", yaml, "router_mac", 1, 1),
        ("a.yaml", yaml, "addresses[0].port", 5, 5),
        ("a.yaml", yaml, "addresses[2].mac", 5, 3),
        ("a.yaml", yaml, "]..[", 1, 1),
    ] {
        let documents = read(&[source(name, text)]).unwrap();
        let position = documents[0].position_of(field);
        assert_eq!((position.line, position.column, position.document), (line, column, 1), "{name}: {field}");
    }
}

#[test]
fn lists_anchors_and_flow_style_of_yaml() {
    let text = "- &net {kind: network, name: red, tenant: &owner acme, vni: 1}\n- kind: network\n  name: blue\n  tenant: *owner\n  vni: 2\n";
    let documents = yaml(text).unwrap();
    assert_eq!(names(&documents), ["network/red", "network/blue"]);
    let Resource::Network(blue) = &documents[1].value else { panic!("{documents:?}") };
    assert_eq!(blue.tenant, "acme");
}

#[test]
fn a_field_decides_what_a_word_is() {
    let text = "kind: network\nname: no\ntenant: 007\nvni: 16777215\n";
    let documents = yaml(text).unwrap();
    let Resource::Network(network) = &documents[0].value else { panic!("{documents:?}") };
    assert_eq!((network.name.as_str(), network.tenant.as_str()), ("no", "007"));
    let text = "kind: port\nname: web\nsubnet: red-a\nmac: 02:00:00:00:00:01\naddresses: [10.0.0.2, fd00::2]\n\
                attachment: {netns: /run/netns/web}\n";
    let documents = yaml(text).unwrap();
    let Resource::Port(port) = &documents[0].value else { panic!("{documents:?}") };
    assert_eq!(port.mac.unwrap().to_string(), "02:00:00:00:00:01");
    assert_eq!(port.addresses.len(), 2);
    assert_eq!(port.attachment.as_ref().unwrap().device, "eth0");
}

#[test]
fn json_in_three_forms() {
    let network = r#"{"kind":"network","name":"red","tenant":"r\u00e9d","vni":5000, "revision": 7}"#;
    let subnet = r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":null}"#;
    for (name, text) in [
        ("a.json", format!("[{network},\n {subnet}]")),
        ("stdin", format!("{network}\n{subnet}")),
        ("stdin", format!("\n\u{feff}{network}{subnet}").trim_start().to_owned()),
    ] {
        let documents = read(&[source(name, &text)]).unwrap();
        assert_eq!(names(&documents), ["network/red", "subnet/red-a"], "{text}");
        let Resource::Network(red) = &documents[0].value else { panic!("{documents:?}") };
        assert_eq!(red.tenant, "réd");
    }
    let documents = read(&[source("a.json", &format!("[{network},\n {subnet}]"))]).unwrap();
    assert_eq!(documents[1].position.to_string(), "a.json:2:2 (document 2)");
}

#[test]
fn what_weft_prints_can_be_applied() {
    let stored = r#"[{"kind":"network","name":"red","tenant":"red","vni":5000,"revision":12}]"#;
    assert_eq!(names(&read(&[source("stdin", stored)]).unwrap()), ["network/red"]);
}

#[test]
fn all_problems_at_once() {
    let text = format!("{NETWORK}vnii: 3\nowner: me\n---\nkind: vpc\nname: x\n---\n{SUBNET}---\nname: y\n");
    assert_eq!(
        refusal("a.yaml", &text),
        "a.yaml:5:1 (document 1): network/red: vnii: unknown field; known here: name, tenant, vni, default_ingress, default_egress, route_targets, route_distinguisher\n\
         a.yaml:6:1 (document 1): network/red: owner: unknown field; known here: name, tenant, vni, default_ingress, default_egress, route_targets, route_distinguisher\n\
         a.yaml:8:7 (document 2): vpc/x: unknown kind `vpc`; the kinds are network, security-group, subnet, port, remote, peering, peer-group and peer\n\
         a.yaml:18:1 (document 4): ?/y: `kind` is missing; the kinds are network, security-group, subnet, port, remote, peering, peer-group and peer"
    );
}

#[test]
fn values_that_do_not_fit() {
    let port = "kind: port\nname: web\nsubnet: red-a\n";
    let remote = "kind: remote\nname: h2\nvtep: 192.0.2.2\n";
    for (text, error) in [
        (
            "kind: network\nname: red\ntenant: red\nvni: 0\n".to_owned(),
            "4:6 (document 1): network/red: vni: VNI 0 is outside 1 to 16777215 (24 bits, 0 is reserved)",
        ),
        (
            "kind: network\nname: red\ntenant: red\nvni: 16777216\n".to_owned(),
            "4:6 (document 1): network/red: vni: VNI 16777216 is outside 1 to 16777215 (24 bits, 0 is reserved)",
        ),
        (
            "kind: network\nname: red\ntenant: red\nvni: \"5000\"\n".to_owned(),
            "4:6 (document 1): network/red: vni: expected a positive whole number, found string \"5000\"",
        ),
        (
            "kind: network\nname: red\ntenant: red\nvni: -1\n".to_owned(),
            "4:6 (document 1): network/red: vni: expected a positive whole number, found integer `-1`",
        ),
        (
            "kind: network\nname: red\ntenant: red\n".to_owned(),
            "1:1 (document 1): network/red: `vni` is missing",
        ),
        (
            "kind: network\nname: [red]\ntenant: red\nvni: 1\n".to_owned(),
            "2:7 (document 1): network: name: expected a string, found a list",
        ),
        (
            "kind: network\nname:\ntenant: red\nvni: 1\n".to_owned(),
            "2:5 (document 1): network: name: expected a string, found nothing",
        ),
        (
            "kind: network\nname: red\nname: blue\ntenant: red\nvni: 1\n".to_owned(),
            "3:1 (document 1): network/red: name: given twice, first in line 2",
        ),
        (
            "kind: subnet\nname: s\nnetwork: n\nvni: 1\nipv4: 10.0.0.0/33\n".to_owned(),
            "5:7 (document 1): subnet/s: ipv4: \"10.0.0.0/33\": invalid IP address syntax",
        ),
        (
            "kind: subnet\nname: s\nnetwork: n\nvni: 1\ngateway4: fd00::1\n".to_owned(),
            "5:11 (document 1): subnet/s: gateway4: \"fd00::1\": invalid IPv4 address syntax",
        ),
        (
            format!("{port}addresses: 10.0.0.2\n"),
            "4:12 (document 1): port/web: addresses: expected a list, found string \"10.0.0.2\"",
        ),
        (
            format!("{port}addresses:\n  - 10.0.0.2\n  - 10.0.0.300\n"),
            "6:5 (document 1): port/web: addresses[1]: \"10.0.0.300\": invalid IP address syntax",
        ),
        (
            format!("{port}mac: 2:0:0:0:0:1\n"),
            "4:6 (document 1): port/web: mac: \"2:0:0:0:0:1\": a MAC address is six hexadecimal bytes joined by \
          colons, such as 02:00:c0:00:02:01",
        ),
        (
            format!("{port}attachment: /run/netns/web\n"),
            "4:13 (document 1): port/web: attachment: expected a map, found string \"/run/netns/web\"",
        ),
        (
            format!("{port}attachment:\n  namespace: web\n"),
            "5:3 (document 1): port/web: attachment.namespace: unknown field; known here: netns, device\n\
          a.yaml:5:3 (document 1): port/web: attachment: `netns` is missing",
        ),
        (
            format!("{remote}addresses:\n  - subnet: s\n    address: 10.0.0.9\n    mac: red\n"),
            "7:10 (document 1): remote/h2: addresses[0].mac: \"red\": a MAC address is six hexadecimal bytes joined \
          by colons, such as 02:00:c0:00:02:01",
        ),
        (
            "kind: remote\nname: h2\nvtep: 127.0.0.1\n".to_owned(),
            "3:7 (document 1): remote/h2: vtep: \"127.0.0.1\": VTEP 127.0.0.1 is not a unicast address that another \
          host can reach",
        ),
        (
            "hello\n".to_owned(),
            "1:1 (document 1): a resource is a map with `kind`, `name` and the fields of the kind",
        ),
        (
            "kind: !secret network\nname: x\n".to_owned(),
            "1:7 (document 1): the tag !secret means nothing here: leave it out",
        ),
    ] {
        assert_eq!(refusal("a.yaml", &text), format!("a.yaml:{error}"), "{text}");
    }
}

#[test]
fn syntax_errors_keep_what_came_before() {
    let text = format!("{NETWORK}oops: 1\n---\nkind: [subnet\nname: x\n");
    let error = refusal("a.yaml", &text);
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("network/red: oops: unknown field"), "{error}");
    assert!(lines[1].contains("(document 2): not YAML: "), "{error}");
    assert_eq!(
        refusal("a.json", "{\"kind\": \"network\",\n  \"name\": }"),
        "a.json:2:11 (document 1): not JSON: expected value"
    );
    assert_eq!(
        refusal("stdin", "{\"kind\": \"network\""),
        "stdin:1:18 (document 1): not JSON: EOF while parsing an object"
    );
}

#[test]
fn json_values_are_typed() {
    let error = refusal(
        "a.json",
        "{\"kind\": \"network\", \"name\": 5,\n \"tenant\": \"é\", \"vni\": \"x\", \"a\": 1}",
    );
    assert_eq!(
        error,
        "a.json:2:29 (document 1): network: a: unknown field; known here: name, tenant, vni, default_ingress, default_egress, route_targets, route_distinguisher\n\
         a.json:1:29 (document 1): network: name: expected a string, found integer `5`"
    );
}

#[test]
fn a_resource_given_twice() {
    let sources = [source("a.yaml", NETWORK), source("b.yaml", &format!("{SUBNET}---\n{NETWORK}"))];
    let error = read(&sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "b.yaml:8:1 (document 2): network/red: given twice, first at a.yaml:1:1 (document 1): keep one of them"
    );
    assert_eq!(error.problems()[0].object, "network/red at b.yaml:8:1 (document 2)");
}

#[test]
fn empty_input() {
    for text in ["", "\n\n", "# nothing\n", "---\n---\n", "[]"] {
        let error = read(&[source("stdin", text)]).unwrap_err();
        assert!(matches!(&error, ReadError::Empty(name) if name == "stdin"), "{text:?}: {error}");
    }
    assert!(matches!(read(&[]), Err(ReadError::Empty(_))));
    // A file of comments beside a good one is no error.
    assert_eq!(read(&[source("a.yaml", "# later\n"), source("b.yaml", NETWORK)]).unwrap().len(), 1);
}

#[test]
fn files_made_to_exhaust_memory_or_stack() {
    let deep = format!("kind: network\nname: {}", "[".repeat(10_000));
    assert!(refusal("a.yaml", &deep).contains("recursion limit"));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(refusal("a.json", &deep).contains("more than 32 deep"));
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(","));
    }
    assert!(refusal("a.yaml", &bomb).contains("aliases add more than"));
}

#[test]
fn references_need_only_kind_and_name() {
    let text = "kind: subnet\nname: red-a\n---\nkind: port\nname: web\nwhatever: 1\n";
    let references = read_references(&[source("a.yaml", text)]).unwrap();
    let words: Vec<_> = references.iter().map(|reference| reference.value.to_string()).collect();
    assert_eq!(words, ["subnet/red-a", "port/web"]);
    let error = read_references(&[source("a.yaml", "kind: subnet\n")]).unwrap_err().to_string();
    assert_eq!(error, "a.yaml:1:1 (document 1): subnet: `name` is missing, or not a string");
}

/// Whatever stands in a file, reading it ends with resources or with errors that have a place.
#[test]
fn damaged_files_never_panic() {
    let json = r#"[{"kind":"port","name":"é\"\\","addresses":["10.0.0.2"],"attachment":{"netns":"/a"}},{"kind":"network"}]"#;
    let yaml = "- &a {kind: port, name: \"é\"}\n- *a\n---\nkind: network\nname: |\n  red\nvni: 0x10\n";
    for (name, text) in [("a.json", json), ("stdin", json), ("a.yaml", yaml), ("a.yaml", json)] {
        let characters: Vec<char> = text.chars().collect();
        for (index, damage) in
            (0..characters.len()).flat_map(|index| "\"\\{}[]:,-&*\n\t \0é".chars().map(move |c| (index, c)))
        {
            let mut damaged = characters.clone();
            damaged[index] = damage;
            let damaged: String = damaged.into_iter().collect();
            let cut: String = characters[..index].iter().collect();
            for text in [damaged, cut] {
                if let Err(ReadError::Invalid(errors)) = read(&[source(name, &text)]) {
                    assert!(errors.iter().all(|error| error.position.line > 0), "{text:?}");
                }
            }
        }
    }
}

#[test]
fn words_lists_and_numbers_of_a_peer() {
    let text = "kind: peer\nname: tor-1\naddress: 192.0.2.254\nasn: 65001\nfamilies: [evpn, ipv4-unicast]\nbfd: true\n\
                next_hop: self\npassword: 12345\nmax_routes: {limit: 1000}\nimport:\n  - match:\n      communities: \
                [65000:1]\n      prefix: {within: 10.0.0.0/8, most: 24}\n    set: {med: none, local_pref: 200}\n    \
                action: accept\n---\nkind: network\nname: red\ntenant: acme\nvni: 5000\nroute_targets: {import: any-as, \
                export: [65000:5000, 192.0.2.1:7]}\nroute_distinguisher: 192.0.2.1:5000\n";
    let documents = yaml(text).unwrap();
    let json = r#"{"kind":"peer","name":"tor-1","address":"192.0.2.254","asn":65001,"families":["evpn","ipv4-unicast"],
        "bfd":{"interval_ms":300,"multiplier":3},"next_hop":"self","password":"12345","max_routes":{"limit":1000},
        "import":[{"match":{"communities":["65000:1"],"prefix":{"within":"10.0.0.0/8","most":24}},
            "set":{"med":"none","local_pref":200},"action":"accept"}]}"#;
    assert_eq!(documents[0].value, serde_json::from_str(json).unwrap());
    let json = r#"{"kind":"network","name":"red","tenant":"acme","vni":5000,"route_distinguisher":"192.0.2.1:5000",
        "route_targets":{"import":"any-as","export":["65000:5000","192.0.2.1:7"]}}"#;
    assert_eq!(documents[1].value, serde_json::from_str(json).unwrap());
}

#[test]
fn bad_values_of_a_peer_have_places() {
    let text = "kind: peer\nname: tor-1\naddress: 192.0.2.254\n";
    for (line, expected) in [
        (
            "asn: inside",
            "4:6 (document 1): peer/tor-1: asn: expected the number of an AS, `internal` or `external`, found string \"inside\"",
        ),
        (
            "families: [evpn, vpls]",
            "4:18 (document 1): peer/tor-1: families[1]: \"vpls\" is not known here; known here: evpn, ipv4-unicast, ipv6-unicast",
        ),
        ("families: evpn", "4:11 (document 1): peer/tor-1: families: expected a list, found string \"evpn\""),
        (
            "port: 0",
            "4:7 (document 1): peer/tor-1: port: expected a whole number from 1 to 65535, found integer `0`",
        ),
        (
            "hold_time_s: 70000",
            "4:14 (document 1): peer/tor-1: hold_time_s: expected a whole number up to 65535, found integer `70000`",
        ),
        (
            "bfd: {interval: 3}",
            "4:7 (document 1): peer/tor-1: bfd.interval: unknown field `interval`, expected `interval_ms` or `multiplier`",
        ),
        (
            "bfd: {multiplier: x}",
            "4:19 (document 1): peer/tor-1: bfd.multiplier: expected a whole number up to 255, found string \"x\"",
        ),
        (
            "import: [{action: drop}]",
            "4:19 (document 1): peer/tor-1: import[0].action: \"drop\" is not known here; known here: accept, reject, next",
        ),
        (
            "import: [{match: {communities: [x]}, action: next}]",
            "4:33 (document 1): peer/tor-1: import[0].match.communities[0]: \"x\" is not AS:VALUE with both",
        ),
        (
            "ranges: [10.0.0.0/8]",
            "4:1 (document 1): peer/tor-1: ranges: unknown field; known here: name, address, group, description, asn, port",
        ),
    ] {
        let error = refusal("a.yaml", &format!("{text}{line}\n"));
        assert!(
            error.starts_with(&format!("a.yaml:{expected}")),
            "{line}:\n{error}\nexpected\na.yaml:{expected}"
        );
    }
}
