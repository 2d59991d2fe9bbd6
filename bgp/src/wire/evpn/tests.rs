//! Each route type as (bytes, value), and what no route can be.

use weft_vxlan::MacAddr;

use super::*;

const RD: [u8; 8] = [0, 1, 10, 250, 0, 1, 0, 2];
const ESI: [u8; 10] = [1, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0x64, 0];
const TAG: [u8; 4] = [0, 0, 0, 0];

fn row(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    [&[kind, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
}

fn decode(bytes: &[u8]) -> Option<Result<EvpnRoute, EvpnError>> {
    Some(EvpnRoute::decode(&mut Reader::new(bytes))?.map_err(|unreadable| unreadable.error))
}

fn label(vni: u32) -> Label {
    weft_vxlan::Vni::new(vni).unwrap().into()
}

#[test]
fn bytes_and_values() {
    let rd = RouteDistinguisher::from_bytes(RD);
    let (segment, tag) = (EthernetSegmentId::from_bytes(ESI), EthernetTag::ZERO);
    let mac = MacAddr::new([2, 0, 0, 0, 1, 1]);
    let mac_ip = MacIp { rd, segment, tag, mac, ip: None, label: label(100), l3_label: None };
    let host = [192, 168, 100, 1];
    let v6: Ipv6Addr = "2001:db8::3".parse().unwrap();
    let mac_row: &[u8] = &[48, 2, 0, 0, 0, 1, 1];
    let prefix = |prefix: &str, gateway: Option<&str>| {
        let gateway = gateway.map(|text| text.parse().unwrap());
        let prefix = prefix.parse().unwrap();
        EvpnRoute::IpPrefix(IpPrefixRoute { rd, segment, tag, prefix, gateway, label: label(5000) })
    };
    for (bytes, value) in [
        (
            row(1, &[&RD, &ESI, &[0xff; 4], &[0, 0, 0]]),
            EvpnRoute::EthernetAd(EthernetAd { rd, segment, tag: EthernetTag::MAX, label: Label::ZERO }),
        ),
        (row(2, &[&RD, &ESI, &TAG, mac_row, &[0], &[0, 0, 100]]), EvpnRoute::MacIp(mac_ip)),
        (
            row(2, &[&RD, &ESI, &TAG, mac_row, &[32], &host, &[0, 0, 100], &[0, 0x13, 0x88]]),
            EvpnRoute::MacIp(MacIp { ip: Some(host.into()), l3_label: Some(label(5000)), ..mac_ip }),
        ),
        (
            row(2, &[&RD, &ESI, &TAG, mac_row, &[128], &v6.octets(), &[0, 0, 100]]),
            EvpnRoute::MacIp(MacIp { ip: Some(v6.into()), ..mac_ip }),
        ),
        (
            row(3, &[&RD, &TAG, &[32], &host]),
            EvpnRoute::InclusiveMulticast(InclusiveMulticast { rd, tag, originator: host.into() }),
        ),
        (
            row(4, &[&RD, &ESI, &[128], &v6.octets()]),
            EvpnRoute::EthernetSegment(EthernetSegment { rd, segment, originator: v6.into() }),
        ),
        (
            row(5, &[&RD, &ESI, &TAG, &[24, 172, 16, 1, 0], &[0; 4], &[0, 0x13, 0x88]]),
            prefix("172.16.1.0/24", None),
        ),
        (
            row(5, &[&RD, &ESI, &TAG, &[24, 172, 16, 1, 0], &host, &[0, 0x13, 0x88]]),
            prefix("172.16.1.0/24", Some("192.168.100.1")),
        ),
        (
            row(5, &[&RD, &ESI, &TAG, &[128], &v6.octets(), &v6.octets(), &[0, 0x13, 0x88]]),
            prefix("2001:db8::3/128", Some("2001:db8::3")),
        ),
        (vec![9, 2, 7, 8], EvpnRoute::Unknown(UnknownRoute { kind: 9, value: vec![7, 8] })),
    ] {
        assert_eq!(decode(&bytes), Some(Ok(value.clone())));
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        assert_eq!(out, bytes);
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len} of {bytes:?}");
        }
    }
}

#[test]
fn what_no_route_can_be() {
    let mac_row: &[u8] = &[48, 2, 0, 0, 0, 1, 1];
    let length = |kind, len| EvpnError::Length { kind, len };
    for (bytes, error) in [
        (row(1, &[&RD, &ESI, &TAG, &[0; 2]]), length(1, 24)),
        (row(1, &[&RD, &ESI, &TAG, &[0; 6]]), length(1, 28)),
        (row(2, &[&RD]), length(2, 8)),
        (row(2, &[&RD, &ESI, &TAG, &[47, 2, 0, 0, 0, 1, 1, 0, 0, 0, 1]]), EvpnError::MacLength(47)),
        // An IPv6 length where four bytes of an IPv4 address stand.
        (row(2, &[&RD, &ESI, &TAG, mac_row, &[128, 10, 0, 0, 1, 0, 0, 100]]), length(2, 37)),
        (
            row(2, &[&RD, &ESI, &TAG, mac_row, &[31, 10, 0, 0, 1, 0, 0, 100]]),
            EvpnError::IpLength { kind: 2, bits: 31 },
        ),
        (row(2, &[&RD, &ESI, &TAG, mac_row, &[0], &[0; 5]]), length(2, 35)),
        (row(2, &[&RD, &ESI, &TAG, mac_row, &[0], &[0; 9]]), length(2, 39)),
        (row(3, &[&RD, &TAG, &[0]]), EvpnError::IpLength { kind: 3, bits: 0 }),
        (row(3, &[&RD, &TAG, &[32, 10, 0, 0]]), length(3, 16)),
        (row(4, &[&RD, &ESI, &[32, 10, 0, 0, 1, 9]]), length(4, 24)),
        (row(5, &[&RD, &ESI, &TAG, &[33], &[10; 4], &[0; 7]]), EvpnError::PrefixLength(33)),
        (row(5, &[&RD, &ESI, &TAG, &[129], &[10; 16], &[0; 19]]), EvpnError::PrefixLength(129)),
        (row(5, &[&RD, &ESI, &TAG, &[24], &[10; 4], &[0; 8]]), length(5, 35)),
        (row(5, &[&RD, &ESI, &TAG]), length(5, 22)),
    ] {
        assert_eq!(decode(&bytes), Some(Err(error)), "{bytes:?}");
    }
}

#[test]
fn the_key_of_an_unreadable_route() {
    let mac_row: &[u8] = &[48, 2, 0, 0, 0, 1, 1];
    let key = |bytes: &[u8]| EvpnRoute::decode(&mut Reader::new(bytes)).unwrap().unwrap_err().key();
    let zero = |bytes: &[u8]| decode(bytes).unwrap().ok();
    let ad: [&[u8]; 3] = [&RD, &ESI, &TAG];
    assert_eq!(key(&row(1, &ad)), zero(&row(1, &[&ad.concat(), &[0; 3]])));
    let host: [&[u8]; 5] = [&RD, &ESI, &TAG, mac_row, &[32, 10, 0, 0, 1]];
    for labels in [&[][..], &[0, 0], &[0, 0, 100, 0], &[9; 9]] {
        let expected = zero(&row(2, &[&host.concat(), &[0; 3]]));
        assert!(expected.is_some());
        assert_eq!(key(&row(2, &[&host.concat(), labels])), expected, "{labels:?}");
    }
    assert_eq!(key(&row(2, &[&RD, &ESI, &TAG, mac_row, &[128, 10, 0, 0, 1, 0, 0, 100]])), None);
    assert_eq!(key(&row(2, &[&RD, &ESI, &TAG, mac_row, &[33, 10, 0, 0, 1, 0, 0, 100]])), None);
    assert_eq!(key(&row(5, &[&RD, &ESI, &TAG, &[33], &[10; 4], &[0; 7]])), None);
}

#[test]
fn an_unknown_route_is_not_a_known_one() {
    let route = EvpnRoute::Unknown(UnknownRoute { kind: 2, value: vec![] });
    assert!(matches!(route.encode(&mut Vec::new()), Err(EncodeError::NotEncodable(_))));
}
