//! Security groups and their members: bad input, what is said about it, and what is shared.

use std::sync::Arc;

use weft_api::document::{Source, read};
use weft_api::resource::Resource;
use weft_policy::{Action, GroupId};

use super::*;

/// The groups of red, one of blue, and members in a network that lets everything in.
pub(crate) const WITH_GROUPS: &[&str] = &[
    r#"{"kind":"security-group","name":"lb","tenant":"red","id":1,"rules":[
        {"direction":"ingress","protocol":"tcp","ports":443}]}"#,
    r#"{"kind":"security-group","name":"web","tenant":"red","id":2,"rules":[
        {"description":"from-lb","direction":"ingress","protocol":"tcp","ports":"8000-8010","group":"lb"},
        {"description":"no-mail","direction":"egress","action":"deny","priority":10,"protocol":"tcp","ports":25}]}"#,
    r#"{"kind":"security-group","name":"other","tenant":"blue","id":3}"#,
    r#"{"kind":"network","name":"open","tenant":"red","vni":7000,"default_ingress":"allow","default_egress":"deny"}"#,
    r#"{"kind":"subnet","name":"open-a","network":"open","vni":7001,"ipv4":"10.7.0.0/24"}"#,
    r#"{"kind":"port","name":"web-1","subnet":"red-a","security_groups":["web","lb"],"mac":"02:00:00:00:02:01",
        "allowed_pairs":[{"prefix":"10.99.0.0/16"},{"prefix":"fd99::/64","mac":"02:00:00:00:00:99"}]}"#,
    r#"{"kind":"port","name":"web-2","subnet":"red-a","security_groups":["lb","web"],"any_source":true}"#,
    r#"{"kind":"port","name":"open-1","subnet":"open-a","security_groups":["web"]}"#,
];

pub(crate) fn good() -> Intent {
    GOOD.iter().chain(WITH_GROUPS).map(|document| resource(document)).collect()
}

fn built() -> Model {
    Model::build(&good(), &host(), &[]).unwrap()
}

/// The object, field and message of each thing that is wrong with `document` in place of the one of its name.
fn problems(document: &str) -> Vec<Problem> {
    let mut intent = good();
    let added = resource(document);
    let id = added.reference();
    intent.insert(added);
    built().rebuild(&intent, &host(), &[id]).map(|_| Vec::new()).unwrap_or_else(|problems| problems)
}

/// Documents, the object at fault, its field, and a part of the message.
fn check(table: &[(String, &str, &str, &str)]) {
    for (document, object, field, expected) in table {
        let problems = problems(document);
        let [problem] = problems.as_slice() else { panic!("{document}\ngot {problems:#?}") };
        assert!(
            problem.object == *object
                && problem.field.as_deref() == Some(field)
                && problem.message.contains(expected),
            "{document}\nexpected {object}, {field}: {expected}\ngot {problem:#?}"
        );
    }
}

fn web(rules: &str) -> String {
    format!(r#"{{"kind":"security-group","name":"web","tenant":"red","id":2,"rules":[{rules}]}}"#)
}

fn port(rest: &str) -> String {
    format!(r#"{{"kind":"port","name":"x","subnet":"red-a",{rest}}}"#)
}

#[test]
fn good_is_good_and_stays() {
    let model = built();
    let stored = model.to_intent();
    assert_eq!(stored.security_groups, good().security_groups);
    assert_eq!(stored.ports["web-1"].allowed_pairs, good().ports["web-1"].allowed_pairs);
    assert_eq!(Model::build(&stored, &host(), &[]).unwrap(), model);
}

#[test]
fn what_members_may_receive_and_send() {
    let model = built();
    let security = &model.ports["web-1"].security;
    let rules =
        |policy: &weft_policy::Policy| policy.rules().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        rules(&security.ingress),
        ["allow tcp 443 from any, priority 1000", "allow tcp 8000-8010 from group 1, priority 1000"]
    );
    assert_eq!(rules(&security.egress), ["deny tcp 25 to any, priority 10"]);
    let defaults =
        |security: &Security| (security.ingress.default_action(), security.egress.default_action());
    assert_eq!(defaults(security), (Action::Deny, Action::Allow));
    assert_eq!(defaults(&model.ports["open-1"].security), (Action::Allow, Action::Deny));
    assert_eq!(security.groups, [GroupId(1), GroupId(2)].into_iter().collect());
    let pairs: Vec<_> = security.pairs.iter().map(|(prefix, mac)| format!("{prefix} {mac}")).collect();
    assert_eq!(pairs, ["10.99.0.0/16 02:00:00:00:02:01", "fd99::/64 02:00:00:00:00:99"]);
    assert!(!security.any_source && model.ports["web-2"].security.any_source);
    // A port of no group has the defaults of its network, and so has one where both allow no firewall.
    let alone = &model.ports["red-1"].security;
    assert!(alone.groups.is_empty() && alone.ingress.rules().is_empty() && alone.is_firewall());
    let mut intent = good();
    intent.insert(resource(&GOOD[0].replace("5000", r#"5000,"default_ingress":"allow""#)));
    let model = Model::build(&intent, &host(), &[]).unwrap();
    assert!(!model.ports["red-1"].security.is_firewall());
}

#[test]
fn what_is_the_same_is_shared() {
    let before = built();
    // Between ports, in whatever order they name their groups.
    let rules = |model: &Model, port: &str| model.ports[port].security.ingress.rules().as_ptr();
    assert_eq!(rules(&before, "web-1"), rules(&before, "web-2"));
    // Between models, also if a document is given again.
    let mut intent = before.to_intent();
    intent.insert(resource(WITH_GROUPS[1]));
    let id = reference(Kind::SecurityGroup, "web");
    let same = before.rebuild(&intent, &host(), std::slice::from_ref(&id)).unwrap();
    assert!(Arc::ptr_eq(&before.security_groups["web"].rules, &same.security_groups["web"].rules));
    assert_eq!(rules(&before, "web-1"), rules(&same, "web-1"));
    assert_eq!(same, before);

    // Another group of theirs has changed.
    intent.insert(resource(&WITH_GROUPS[1].replace("8010", "8020")));
    let changed = before.rebuild(&intent, &host(), &[id]).unwrap();
    let shared =
        |name: &str| Arc::ptr_eq(&before.security_groups[name].rules, &changed.security_groups[name].rules);
    assert!(shared("lb") && !shared("web"));
    assert_ne!(before.ports["web-1"].security.ingress, changed.ports["web-1"].security.ingress);
    assert_eq!(changed, Model::build(&intent, &host(), &[]).unwrap());
}

#[test]
fn a_rule_follows_the_id_of_the_group_that_it_names() {
    let before = built();
    let mut intent = before.to_intent();
    intent.insert(resource(&WITH_GROUPS[0].replace("\"id\":1", "\"id\":77")));
    let after = before.rebuild(&intent, &host(), &[reference(Kind::SecurityGroup, "lb")]).unwrap();
    let rule = after.security_groups["web"].rules.rules[0].to_string();
    assert_eq!(rule, "allow tcp 8000-8010 from group 77, priority 1000");
    assert_eq!(after, Model::build(&intent, &host(), &[]).unwrap());
    assert!(after.ports["web-1"].security.groups.contains(GroupId(77)));
}

#[test]
fn groups_and_their_rules() {
    let group = |rest: &str| format!(r#"{{"kind":"security-group","name":"x","tenant":"red",{rest}}}"#);
    let object = "security-group/web";
    let described = |text: &str| web(&format!(r#"{{"direction":"ingress","description":"{text}"}}"#));
    check(&[
        (
            described(&"x".repeat(256)),
            object,
            "rules[0].description",
            "rule 0: its description has 256 bytes; it may have 255",
        ),
        (described(r"two\nlines"), object, "rules[0].description", "control character '\\n'"),
        (group(r#""id":0"#), "security-group/x", "id", "id 0 is no group's; give it a number from 1"),
        (
            group(r#""id":2"#),
            "security-group/x",
            "id",
            "id 2 is that of security-group/web; choose another, groups of all tenants share the numbers",
        ),
        (
            r#"{"kind":"security-group","name":"X","tenant":"red","id":9}"#.to_owned(),
            "security-group/X",
            "name",
            "its name has other characters",
        ),
        (
            r#"{"kind":"security-group","name":"x","tenant":"","id":9}"#.to_owned(),
            "security-group/x",
            "tenant",
            "its tenant's name \"\" is empty",
        ),
        (
            web(r#"{"direction":"ingress"},{"description":"www","direction":"ingress","ports":80}"#),
            object,
            "rules[1]",
            "rule 1 (www): ports 80-80 with protocol any: only tcp, udp and sctp (132) have ports",
        ),
        (
            web(r#"{"direction":"ingress","protocol":"tcp","ports":"90-80"}"#),
            object,
            "rules[0]",
            "rule 0: ports 90-80 are none: the first is above the last",
        ),
        (
            web(r#"{"direction":"ingress","protocol":"tcp","icmp":{"type":8}}"#),
            object,
            "rules[0]",
            "rule 0: icmp type 8 with protocol tcp",
        ),
        (
            web(r#"{"direction":"egress","prefix":"10.0.0.1/8"}"#),
            object,
            "rules[0]",
            "rule 0: prefix 10.0.0.1/8 has bits set behind its length; it may be meant as 10.0.0.0/8",
        ),
        (
            web(r#"{"direction":"egress","protocol":"icmpv6","prefix":"10.0.0.0/8"}"#),
            object,
            "rules[0]",
            "never matches: icmp is of IPv4, icmpv6 of IPv6",
        ),
        (
            web(r#"{"description":"both","direction":"ingress","prefix":"10.0.0.0/8","group":"lb"}"#),
            object,
            "rules[0]",
            "rule 0 (both): it names the prefix 10.0.0.0/8 and a group; make it two rules",
        ),
        (
            web(r#"{"description":"db","direction":"egress","group":"db"}"#),
            object,
            "rules[0].group",
            "rule 0 (db): its security-group \"db\" does not exist; create security-group/db first",
        ),
        (
            web(r#"{"direction":"egress","group":"other"}"#),
            object,
            "rules[0].group",
            "rule 0: security-group/other is of tenant \"blue\", this one of \"red\"; name a group of the same tenant",
        ),
    ]);
    // A group may name itself.
    assert_eq!(problems(&web(r#"{"direction":"ingress","group":"web"}"#)), []);
}

#[test]
fn a_group_has_an_end_to_its_rules() {
    let document = web(r#"{"direction":"ingress","protocol":"tcp","ports":80}"#);
    let Resource::SecurityGroup(mut group) = resource(&document) else { panic!("{document}") };
    group.rules = vec![group.rules[0].clone(); 100_001];
    let mut intent = good();
    intent.insert(Resource::SecurityGroup(group.clone()));
    let problems = Model::build(&intent, &host(), &[]).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
    assert_eq!(problem.field.as_deref(), Some("rules"));
    assert!(problem.message.starts_with("it has 100001 rules; a group has at most 100000"), "{problem:?}");
    group.rules.pop();
    intent.insert(Resource::SecurityGroup(group));
    assert!(Model::build(&intent, &host(), &[]).is_ok());
}

#[test]
fn members_and_allowed_pairs() {
    let object = "port/x";
    let many =
        |text: &str, count: usize| (0..count).map(|n| text.replace('N', &n.to_string())).collect::<Vec<_>>();
    check(&[
        (
            port(r#""security_groups":["web","db"]"#),
            object,
            "security_groups[1]",
            "its security-group \"db\" does not exist; create security-group/db first",
        ),
        (
            port(r#""security_groups":["web","lb","web"]"#),
            object,
            "security_groups[2]",
            "its security-group \"web\" is named twice; keep one",
        ),
        (
            port(r#""security_groups":["other"]"#),
            object,
            "security_groups[0]",
            "security-group/other is of tenant \"blue\", and network/red of \"red\"; name a group of that tenant",
        ),
        (
            port(r#""allowed_pairs":[{"prefix":"10.9.0.0/16"},{"prefix":"10.9.0.1/16"}]"#),
            object,
            "allowed_pairs[1].prefix",
            "prefix 10.9.0.1/16 has bits set behind its length; it may be meant as 10.9.0.0/16",
        ),
        (
            port(
                r#""allowed_pairs":[{"prefix":"10.9.0.0/16"},{"prefix":"10.9.0.0/16","mac":"02:00:00:00:00:09"}]"#,
            ),
            object,
            "allowed_pairs[1].prefix",
            "prefix 10.9.0.0/16 is given twice",
        ),
        (
            port(r#""allowed_pairs":[{"prefix":"fd00::/64"}]"#).replace("red-a", "blue-a"),
            object,
            "allowed_pairs[0].prefix",
            "prefix fd00::/64: subnet/blue-a has no ipv6 prefix",
        ),
        (
            port(r#""allowed_pairs":[{"prefix":"10.9.0.0/16","mac":"01:00:00:00:00:09"}]"#),
            object,
            "allowed_pairs[0].mac",
            "MAC 01:00:00:00:00:09 is not a unicast address",
        ),
        (
            port(r#""allowed_pairs":[{"prefix":"10.9.0.0/16","mac":"00:00:5e:00:01:01"}]"#),
            object,
            "allowed_pairs[0].mac",
            "MAC 00:00:5e:00:01:01 is the gateways' own",
        ),
        (
            port(&format!(r#""allowed_pairs":[{}]"#, many(r#"{"prefix":"10.9.N.0/24"}"#, 17).join(","))),
            object,
            "allowed_pairs",
            "it has 17 allowed pairs; a port has at most 16",
        ),
    ]);
    let pairs = many(r#"{"prefix":"10.9.N.0/24"}"#, 16).join(",");
    assert_eq!(problems(&port(&format!(r#""allowed_pairs":[{pairs}]"#))), []);

    let mut intent = good();
    let names: Vec<_> = (0..17).map(|n| format!("g-{n}")).collect();
    for (name, id) in names.iter().zip(100..) {
        let group = format!(r#"{{"kind":"security-group","name":"{name}","tenant":"red","id":{id}}}"#);
        intent.insert(resource(&group));
    }
    let mut member = |count: usize| {
        let names = serde_json::to_string(&names[..count]).unwrap();
        intent.insert(resource(&port(&format!(r#""security_groups":{names}"#))));
        Model::build(&intent, &host(), &[])
    };
    assert!(member(16).is_ok());
    let problems = member(17).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .message
            .starts_with("it is a member of 17 security groups; a port is a member of at most 16")
    );
}

#[test]
fn whoever_leaves_a_tenant_is_blamed() {
    check(&[
        (
            WITH_GROUPS[3].replace("\"red\"", "\"green\""),
            "network/open",
            "tenant",
            "port/open-1 in network/open is a member of security-group/web, and the one would be of tenant \"green\", the \
             other of \"red\"; take the port out of the group first",
        ),
        (
            r#"{"kind":"port","name":"open-1","subnet":"blue-a","security_groups":["web"]}"#.to_owned(),
            "port/open-1",
            "security_groups[0]",
            "security-group/web is of tenant \"red\", and network/blue of \"blue\"",
        ),
    ]);
    // Its members, and each group that names it, once.
    let problems = problems(&WITH_GROUPS[0].replace("\"tenant\":\"red\"", "\"tenant\":\"blue\""));
    let objects: Vec<_> =
        problems.iter().map(|problem| (problem.object.as_str(), problem.field.as_deref())).collect();
    assert_eq!(objects, [("security-group/lb", Some("tenant")); 3], "{problems:#?}");
    assert_eq!(
        problems[0].message,
        "security-group/web is of tenant \"red\" and names it in rule 0 (from-lb); leave it to that tenant, or \
         change that rule first"
    );
}

#[test]
fn the_examples_of_the_documentation_are_good() {
    let page = include_str!("../../../../docs/security-groups.md");
    let red = "kind: network\nname: red\ntenant: acme\nvni: 5000\n---\nkind: subnet\nname: red-a\nnetwork: red\nvni: 5001\n\
               ipv4: 10.0.0.0/24\n";
    let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let sources: Vec<_> = std::iter::once(red)
        .chain(blocks)
        .zip(1..)
        .map(|(text, number)| Source { name: format!("example-{number}.yaml"), text: text.to_owned() })
        .collect();
    let documents = read(&sources).unwrap();
    let intent: Intent = documents.into_iter().map(|located| located.value).collect();
    let model = Model::build(&intent, &host(), &[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(model.ports["db-1"].security.ingress.rules().len(), 3);
    assert_eq!(model.ports["vip-1"].security.pairs.len(), 1);
}
