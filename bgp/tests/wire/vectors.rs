//! Captured messages of FRR and GoBGP: what weft reads is what the annotation says, and what it writes is what
//! they wrote, but for the order of attributes and the size of length fields.

use std::fmt::Write as _;

use crate::support::{attributes, decode, encode, hex, vectors};
use weft_bgp::wire::{
    Attributes, EvpnRoute, ExtendedCommunityValue as Value, Family, Label, MacMobility, Message, NextHop,
    PmsiTunnel, Reachable, RouteDistinguisher, Routes, TunnelId, Update,
};

#[test]
fn every_message_says_what_its_annotation_says() {
    for vector in vectors() {
        let received = decode(&vector.bytes, &vector.dialect).unwrap_or_else(|error| {
            panic!("{}: {error}", vector.name);
        });
        assert_eq!(received.faults, [], "{}", vector.name);
        let notes = match &received.message {
            Message::Open(_) => open_notes(&encode(&received.message, &vector.dialect)),
            Message::Update(update) => update_notes(&vector.bytes, update),
            Message::EndOfRib(family) => end_of_rib_notes(*family),
            Message::Notification(_) => vec![],
            Message::Keepalive | Message::RouteRefresh(_) => panic!("{}: not in the files", vector.name),
        };
        assert_eq!(notes, vector.notes, "{}", vector.name);
    }
}

#[test]
fn what_weft_writes_it_reads_as_the_same() {
    let mut equal = Vec::new();
    for vector in vectors() {
        let message = decode(&vector.bytes, &vector.dialect).unwrap().message;
        let written = encode(&message, &vector.dialect);
        let again = decode(&written, &vector.dialect).unwrap();
        assert_eq!(again.message, message, "{}", vector.name);
        if written == vector.bytes {
            equal.push(vector.name);
        } else if matches!(message, Message::Update(_)) {
            assert_eq!(values(&written), values(&vector.bytes), "{}", vector.name);
        }
    }
    // FRR puts each capability into a parameter of its own and always uses two length bytes; GoBGP puts
    // MP_REACH_NLRI behind others. The rest is equal byte for byte.
    let expected = [
        "frr-ibgp-irb [19] NOTIFICATION 21 bytes",
        "frr-ibgp-irb [20] NOTIFICATION 21 bytes",
        "frr-ebgp-as4 [8] UPDATE 29 bytes",
        "gobgp-ibgp [1] OPEN 71 bytes",
    ];
    assert_eq!(equal, expected);
}

/// The attributes by code, each with its value.
fn values(message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut values: Vec<_> = attributes(message).into_iter().map(|(_, code, value)| (code, value)).collect();
    values.sort();
    values
}

/// From an OPEN as weft writes it: all capabilities in one parameter.
fn open_notes(message: &[u8]) -> Vec<String> {
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let id = std::net::Ipv4Addr::new(message[24], message[25], message[26], message[27]);
    let mut notes = vec![format!("version {} AS {} hold {} id {id}", message[19], number(20), number(22))];
    let mut rest = &message[31..];
    while let [code, len, more @ ..] = rest {
        let (value, more) = more.split_at(usize::from(*len));
        notes.push(format!("capability {code:3} len {len:2} {}", hex(value)).trim_end().to_owned());
        rest = more;
    }
    notes
}

fn end_of_rib_notes(Family { afi, safi }: Family) -> Vec<String> {
    vec![format!("MP_UNREACH_NLRI flags 0x80 len 3: AFI {} SAFI {}  (End-of-RIB)", afi.0, safi.0)]
}

/// Order, flags and lengths from the bytes; all else from what was decoded.
fn update_notes(message: &[u8], update: &Update) -> Vec<String> {
    let mut notes = Vec::new();
    for (flags, code, value) in attributes(message) {
        let head = format!("flags {flags:#04x} len {}", value.len());
        match code {
            14 => {
                let Reachable { next_hop, routes } = update.reachable.as_ref().unwrap();
                let len = if matches!(next_hop, NextHop::V4(_)) { 4 } else { 16 };
                let next_hop = next_hop.address();
                notes.push(format!("MP_REACH_NLRI {head}: AFI 25 SAFI 70 next hop len {len} {next_hop}"));
                notes.extend(route_notes(routes));
            }
            15 => {
                notes.push(format!("MP_UNREACH_NLRI {head}: AFI 25 SAFI 70"));
                notes.extend(route_notes(&update.unreachable[0]));
            }
            _ => notes.extend(attribute_notes(code, &head, &update.attributes)),
        }
    }
    notes
}

fn attribute_notes(code: u8, head: &str, attributes: &Attributes) -> Vec<String> {
    let one = |name: &str, value: String| vec![format!("{name} {head}: {value}")];
    match code {
        1 => one("ORIGIN", format!("{:02x}", attributes.origin.unwrap() as u8)),
        2 => {
            let path = attributes.as_path.as_ref().unwrap();
            let text = if path.hops() == 0 { "empty".into() } else { format!("seg type 2 [{path}]") };
            one("AS_PATH", text)
        }
        4 => one("MED", format!("{:08x}", attributes.med.unwrap())),
        5 => one("LOCAL_PREF", format!("{:08x}", attributes.local_pref.unwrap())),
        9 => one("ORIGINATOR_ID", hex(&attributes.originator_id.unwrap().get().octets())),
        10 => one("CLUSTER_LIST", hex(&attributes.cluster_list[0].octets())),
        16 => {
            let mut notes = vec![format!("EXTENDED_COMMUNITIES {head}")];
            notes.extend(attributes.extended_communities.iter().map(|community| {
                format!("    {}  {}", hex(&community.to_bytes()), community_note(community.value()))
            }));
            notes
        }
        22 => {
            let PmsiTunnel { flags, label, tunnel } = attributes.pmsi.as_ref().unwrap();
            let TunnelId::IngressReplication(id) = tunnel else { panic!("tunnel {tunnel:?}") };
            let vni = label.vni().unwrap().get();
            let label = format!("label field {vni:06x} (24 bit {vni}, 20 bit {})", vni >> 4);
            one("PMSI_TUNNEL", format!("flags {flags:#04x} tunnel type 6 {label} tunnel id {id}"))
        }
        other => panic!("attribute {other} is not in the files"),
    }
}

fn community_note(value: Value) -> String {
    match value {
        Value::Encapsulation(kind) => format!("Encapsulation, tunnel type {} (VXLAN)", kind.0),
        Value::RouteTarget(target) => format!("Route Target {target}"),
        Value::RouterMac(mac) => format!("Router's MAC {mac}"),
        Value::EsImport(mac) => format!("ES-Import {mac}"),
        Value::DefaultGateway => "Default Gateway".into(),
        Value::MacMobility(MacMobility { sticky: true, sequence }) => {
            format!("MAC Mobility flags 0x01 seq {sequence} (sticky)")
        }
        Value::MacMobility(MacMobility { sticky: false, sequence }) => {
            format!("MAC Mobility flags 0x00 seq {sequence}")
        }
        Value::EsiLabel(label) => {
            format!("ESI Label flags {:#04x} label {}", u8::from(label.single_active), label.label)
        }
        Value::RouteOrigin(_) | Value::Group(_) | Value::NdFlags(_) | Value::Other => {
            panic!("{value:?} is not in the files")
        }
    }
}

fn route_notes(routes: &Routes) -> Vec<String> {
    let Routes::Evpn(routes) = routes else { panic!("{routes:?} is not in the files") };
    routes.iter().map(|nlri| route_note(&nlri.route)).collect()
}

fn route_note(route: &EvpnRoute) -> String {
    let rd = |rd: RouteDistinguisher| format!("RD type {} {rd}", rd.to_bytes()[1]);
    let bits = |address: std::net::IpAddr| if address.is_ipv4() { 32_u8 } else { 128 };
    let bytes = |address: std::net::IpAddr| usize::from(bits(address)) / 8;
    let (len, text) = match route {
        EvpnRoute::EthernetAd(r) => {
            (25, format!("{} ESI {} EthTag {} label {}", rd(r.rd), r.segment, r.tag, r.label))
        }
        EvpnRoute::MacIp(r) => {
            let mut text = format!("{} ESI {} EthTag {} MACLen 48 MAC {}", rd(r.rd), r.segment, r.tag, r.mac);
            match r.ip {
                Some(ip) => write!(text, " IPLen {} IP {ip}", bits(ip)).unwrap(),
                None => text.push_str(" IPLen 0 IP -"),
            }
            let l3 = r.l3_label.map(|label: Label| format!(",{label}")).unwrap_or_default();
            write!(text, " label(s) {}{l3}", r.label).unwrap();
            (33 + r.ip.map_or(0, bytes) + if l3.is_empty() { 0 } else { 3 }, text)
        }
        EvpnRoute::InclusiveMulticast(r) => {
            let (bits, len) = (bits(r.originator), 13 + bytes(r.originator));
            (len, format!("{} EthTag {} IPLen {bits} originator {}", rd(r.rd), r.tag, r.originator))
        }
        EvpnRoute::EthernetSegment(r) => {
            let (bits, len) = (bits(r.originator), 19 + bytes(r.originator));
            (len, format!("{} ESI {} IPLen {bits} originator {}", rd(r.rd), r.segment, r.originator))
        }
        EvpnRoute::IpPrefix(r) => {
            let (len, none) =
                if r.prefix.addr().is_ipv4() { (34, "0.0.0.0".to_owned()) } else { (58, "::".to_owned()) };
            let gateway = r.gateway.map_or(none, |gateway| gateway.to_string());
            let (segment, prefix) = (r.segment, r.prefix);
            let head = format!("{} ESI {segment} EthTag {}", rd(r.rd), r.tag);
            (len, format!("{head} prefix {prefix} gateway {gateway} label {}", r.label))
        }
        EvpnRoute::Unknown(r) => panic!("type {} is not in the files", r.kind),
    };
    format!("    type {} len {len} {text}", route.kind())
}
