//! What weft writes, as Wireshark reads it: no packet is malformed, and the values are those that were written.

mod pcap;
mod said;

use std::io::Write as _;
use std::process::{Command, Stdio};

use said::{Said, messages};
use weft_bgp::wire::Dialect;

use crate::support::{attributes, encode};

const DIALECT: Dialect =
    Dialect { internal: true, four_octet_as: true, extended_next_hop: true, ..Dialect::plain() };

/// Wireshark's fields for what is wrong with a packet. Of its remarks, those from an error upwards count.
const WRONG: [&str; 3] = ["_ws.malformed", "_ws.expert.severity", "_ws.expert.message"];
const ERROR: u64 = 0x0080_0000;

/// What tshark reads: of each packet the fields, in their order, each with all its values.
fn read(capture: &[u8], fields: &[&str]) -> Vec<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.args([
        "-r",
        "-",
        "-T",
        "fields",
        "-E",
        "separator=/t",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=;",
    ]);
    tshark.args([
        "-o",
        "bgp.asn_len:4 octet",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "tcp.check_checksum:TRUE",
    ]);
    tshark.args(fields.iter().flat_map(|field| ["-e", *field]));
    let mut tshark =
        tshark.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tshark.stdin.take().unwrap().write_all(capture).unwrap();
    let output = tshark.wait_with_output().unwrap();
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn reads_what_weft_writes() {
    if let Err(error) = Command::new("tshark").arg("--version").output() {
        assert!(std::env::var_os("CI").is_none(), "CI must have tshark: {error}");
        println!("skipped, because tshark cannot be run, which `cargo xtask test` installs: {error}");
        return;
    }
    let messages = messages();
    let mut fields = WRONG.to_vec();
    fields.extend(messages.iter().flat_map(|Said { fields, .. }| fields.iter().map(|(field, _)| *field)));
    fields.sort_unstable();
    fields.dedup();
    let written: Vec<_> = messages.iter().map(|said| encode(&said.message, &DIALECT)).collect();
    let routes_last = written.iter().map(|message| routes_last(message)).collect();
    let mut wrong = Vec::new();
    for (order, messages_in_order) in [("as written", written), ("routes last", routes_last)] {
        let packets = read(&pcap::capture(&messages_in_order), &fields);
        assert_eq!(packets.len(), messages.len());
        for (said, packet) in messages.iter().zip(&packets) {
            let is_vni = |field: &str| field == said::VNI;
            let checked = said.fields.iter().filter(|(field, _)| order != "as written" || !is_vni(field));
            wrong.extend(
                check(packet, &fields, checked).iter().map(|text| format!("{}, {order}: {text}", said.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What of a packet is wrong to Wireshark, or other than expected.
fn check<'a>(
    packet: &[String],
    fields: &[&str],
    expected: impl Iterator<Item = &'a (&'static str, String)>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let value = |name: &str| &packet[fields.iter().position(|field| *field == name).unwrap()];
    let severities = value("_ws.expert.severity").split(';').filter_map(|text| text.parse::<u64>().ok());
    if !value("_ws.malformed").is_empty() || severities.max() >= Some(ERROR) {
        wrong.push(format!("{} {}", value("_ws.malformed"), value("_ws.expert.message")));
    }
    let others = expected.filter(|(field, expected)| value(field) != expected);
    wrong.extend(others.map(|(field, expected)| format!("{field} is {:?}, not {expected:?}", value(field))));
    wrong
}

/// An UPDATE with its first attribute, the routes (RFC 7606 section 5.1), behind the others. Wireshark takes a label for a
/// VNI if it has seen the encapsulation before (RFC 8365 section 5.1.3).
fn routes_last(message: &[u8]) -> Vec<u8> {
    let begins_with_routes = message[18] == 2 && message.get(24) == Some(&14);
    match begins_with_routes.then(|| attributes(message)).as_deref() {
        Some([first, others @ ..]) => {
            let mut all = message[..23].to_vec();
            for (flags, code, value) in others.iter().chain([first]) {
                all.extend([*flags, *code]);
                // The length has two bytes if the flags say so.
                let len = u16::try_from(value.len()).unwrap().to_be_bytes();
                all.extend(&len[usize::from(flags & 0x10 == 0)..]);
                all.extend(value);
            }
            all
        }
        _ => message.to_vec(),
    }
}
