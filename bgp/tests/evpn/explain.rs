//! Why an address or prefix is where it is.

use std::time::Instant;

use crate::support::{Remote, instances, ip, mac, mobility, port, target, vni};
use weft_bgp::evpn::{Instances, Lost, Refusal, Source, Subject, Verdict};
use weft_bgp::rib::Key;
use weft_bgp::wire::{AsPath, Asn, Attributes, Community, ExtendedCommunity, Origin, TunnelType};

/// The verdicts by source: the name of a port, or the distinguisher of a route.
fn verdicts(here: &Instances, subject: Subject) -> Vec<(String, Verdict)> {
    here.explain(&subject)
        .into_iter()
        .map(|explained| {
            let source = match explained.source {
                Source::Port(name) => name,
                Source::Own => "own".to_owned(),
                Source::Route { key: Key::MacIp { rd, .. } | Key::IpPrefix { rd, .. }, .. } => rd.to_string(),
                Source::Route { key, .. } => panic!("{key:?}"),
            };
            (source, explained.verdict)
        })
        .collect()
}

fn row(source: &str, verdict: Verdict) -> (String, Verdict) {
    (source.to_owned(), verdict)
}

#[test]
fn everything_that_has_the_address_and_why_not() {
    let (mut here, now) = (instances(1), Instant::now());
    let nvgre = ExtendedCommunity::from(TunnelType(9));
    for route in [
        Remote::mac_ip(2, 9, None).with(mobility(3)),
        Remote::mac_ip(3, 9, None).with(mobility(3)),
        Remote::mac_ip(4, 9, None).with(mobility(2)),
        Remote::mac_ip(5, 9, None).without(target(100)).with(target(77)),
        Remote::mac_ip(6, 9, None).without(ExtendedCommunity::VXLAN).with(nvgre),
        Remote::mac_ip(7, 9, None).with(ExtendedCommunity::DEFAULT_GATEWAY),
        Remote::mac_ip(8, 10, None),
    ] {
        here.handle_route(route.comes(), now);
    }
    let subject = Subject::Mac(vni(100), mac(9));
    let told = verdicts(&here, subject);
    assert_eq!(told[0], row("10.250.0.2:100", Verdict::Used));
    for expected in [
        row("10.250.0.3:100", Verdict::Lost(Lost::Vtep)),
        row("10.250.0.4:100", Verdict::Lost(Lost::Sequence)),
        row("10.250.0.5:100", Verdict::NotImported),
        row("10.250.0.6:100", Verdict::Refused(Refusal::Encapsulation(TunnelType(9)))),
        row("10.250.0.7:100", Verdict::Lost(Lost::Gateway)),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    assert_eq!(told.len(), 6);
    here.set_port("web-1", port("web", 9), now).unwrap();
    let told = verdicts(&here, subject);
    assert_eq!(told[0], row("web-1", Verdict::Used));
    assert!(told.contains(&row("10.250.0.2:100", Verdict::Lost(Lost::Sequence))), "{told:?}");
    here.handle_route(Remote::mac_ip(2, 9, None).with(mobility(9)).comes(), now);
    let told = verdicts(&here, subject);
    assert_eq!(told[..1], [row("10.250.0.2:100", Verdict::Used)]);
    assert!(told.contains(&row("web-1", Verdict::Lost(Lost::Sequence))), "{told:?}");
}

#[test]
fn prefixes_and_gateways() {
    let (mut here, now) = (instances(1), Instant::now());
    for route in [
        Remote::prefix(2, "10.9.0.0/16"),
        Remote::prefix(3, "10.9.0.0/16"),
        Remote::prefix(2, "192.168.100.0/24"),
        Remote::mac_ip(2, 9, Some(ip(254))),
    ] {
        here.handle_route(route.comes(), now);
    }
    let prefix = |text: &str| Subject::Prefix(vni(5000), text.parse().unwrap());
    // Both are as good, and share what is sent there.
    let used = |number: &str| row(number, Verdict::Used);
    assert_eq!(verdicts(&here, prefix("10.9.0.0/16")), [used("10.250.0.2:5000"), used("10.250.0.3:5000")]);
    let unusable = |number: &str| row(number, Verdict::NotUsable);
    let own = row("own", Verdict::Used);
    assert_eq!(verdicts(&here, prefix("192.168.100.0/24")), [own, unusable("10.250.0.2:5000")]);
    assert_eq!(verdicts(&here, Subject::Host(vni(5000), ip(254))), [unusable("10.250.0.2:100")]);
    assert_eq!(verdicts(&here, prefix("10.7.0.0/16")), []);
}

/// In: a prefix behind two hosts, whose paths differ in one attribute. Out: the better one alone is used, whichever VTEP is
/// lower, and the other lost by that attribute.
#[test]
fn the_attributes_of_prefixes_count() {
    let prefix = || Subject::Prefix(vni(5000), "10.9.0.0/16".parse().unwrap());
    type Edit = fn(&mut Attributes);
    let worse: [(Edit, Lost); 6] = [
        (|of| of.local_pref = Some(90), Lost::LocalPref),
        (|of| of.as_path = Some(AsPath::sequence([Asn::new(65001)])), Lost::AsPath),
        (|of| of.origin = Some(Origin::Incomplete), Lost::Origin),
        (|of| (of.origin, of.med) = (Some(Origin::Incomplete), Some(1)), Lost::Origin),
        (|of| of.med = Some(1), Lost::Med),
        (|of| of.communities.push(Community::LLGR_STALE), Lost::Stale),
    ];
    for (make_worse, by) in worse {
        let (mut here, now) = (instances(1), Instant::now());
        let mut remote = Remote::prefix(2, "10.9.0.0/16");
        make_worse(&mut remote.attributes);
        here.handle_route(remote.comes(), now);
        here.handle_route(Remote::prefix(3, "10.9.0.0/16").comes(), now);
        let expected = [row("10.250.0.3:5000", Verdict::Used), row("10.250.0.2:5000", Verdict::Lost(by))];
        assert_eq!(verdicts(&here, prefix()), expected);
    }
}
