//! `weft drops`: what was dropped, one by one, with the packet's addresses and the reason.

use anyhow::Result;
use clap::Args;
use weft_api::client::{Client, Wanted};
use weft_api::resource::security::Direction;
use weft_api::view::security::Judgement;
use weft_api::view::{Drop, DropLine, Frame};

use crate::output::Output;

const AFTER_HELP: &str = "\
Every drop is counted (`weft counters`); only so many of a port are told one by one (drop_events in
weftd's configuration), and a line tells how many more there were. What came from other hosts and
was for no port has the port `underlay`. weftd remembers the last 1024 lines while it runs. The
reference of the reasons says what each means and what to do about it.

Examples:
  weft drops --last 20
  weft drops --follow --port web-1
  weft drops --follow --reason spoofed_ip -o json     a line of JSON for each";

/// Show dropped packets one by one
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Drops {
    /// Go on with those that happen, until interrupted
    #[arg(long, short)]
    follow: bool,

    /// Only those that this port sent, or was not sent because of its rules; '' for what came from other hosts
    #[arg(long)]
    port: Option<String>,

    /// Only those for this reason
    #[arg(long)]
    reason: Option<String>,

    /// At most so many of those that weftd remembers; all, or with --follow none, unless given
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
}

impl Drops {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let wanted = Wanted { port: self.port.as_deref(), reason: self.reason.as_deref(), last: self.last };
        if !self.follow {
            return output.print(&client.drops(&wanted)?, |lines| {
                lines.iter().fold(header(), |text, next| text + &line(next))
            });
        }
        output.follow(&header(), client.follow_drops(&wanted)?, line)
    }
}

fn header() -> String {
    row("TIME", "PORT", "REASON", "PACKET")
}

fn line(line: &DropLine) -> String {
    match line {
        DropLine::Drop(drop) => row(&drop.time, name(&drop.port), &drop.reason, &packet(drop)),
        DropLine::Untold(untold) => {
            row("", name(&untold.port), "", &format!("({} more not shown, only counted)", untold.count))
        }
        DropLine::Missed(count) => row("", "", "", &format!("({count} lines missed: read too slowly)")),
    }
}

/// Lines come one by one, so that a column cannot be as wide as its widest cell.
fn row(time: &str, port: &str, reason: &str, packet: &str) -> String {
    format!("{time:<24}  {port:<15}  {reason:<21}  {packet}\n")
}

fn name(port: &str) -> &str {
    if port.is_empty() { "underlay" } else { port }
}

fn packet(drop: &Drop) -> String {
    let mut text = drop.frame.as_ref().map_or_else(|| "a frame that cannot be read".to_owned(), frame);
    text.push_str(&format!(", {} bytes", drop.length));
    if let (true, Some(frame)) = (drop.reason.ends_with("_mac"), &drop.frame) {
        text.push_str(&format!(", MAC {} > {}", frame.source_mac, frame.destination_mac));
    }
    if let Some(tunnel) = &drop.tunnel {
        text.push_str(&format!(", from VTEP {}", tunnel.vtep));
        match tunnel.vni {
            Some(vni) => text.push_str(&format!(" into VNI {vni}")),
            None => text.push_str(" without a VNI"),
        }
    }
    if let Some(Judgement { port, direction, by }) = &drop.judged {
        let way = match direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        text.push_str(&format!(", {way} of port {}: {by}", name(port)));
    }
    match (&drop.subnet, &drop.network) {
        (Some(subnet), _) => text.push_str(&format!(", subnet {subnet}")),
        (None, Some(network)) => text.push_str(&format!(", network {network}")),
        (None, None) => {}
    }
    text
}

/// `udp 10.0.0.5:4000 > 10.9.0.1:53`; without addresses, the MACs.
fn frame(frame: &Frame) -> String {
    let protocol = match (frame.ethertype, frame.protocol) {
        (0x0806, _) => "arp".to_owned(),
        (_, Some(1)) => "icmp".to_owned(),
        (_, Some(6)) => "tcp".to_owned(),
        (_, Some(17)) => "udp".to_owned(),
        (_, Some(58)) => "icmpv6".to_owned(),
        (0x0800 | 0x86dd, Some(other)) => format!("ip protocol {other}"),
        (other, _) => format!("ethertype 0x{other:04x}"),
    };
    let (Some(source), Some(destination)) = (frame.source, frame.destination) else {
        return format!("{protocol} {} > {}", frame.source_mac, frame.destination_mac);
    };
    if let (Some(from), Some(to)) = (frame.source_port, frame.destination_port) {
        let (source, destination) = ((source, from), (destination, to));
        let end = |end: (std::net::IpAddr, u16)| std::net::SocketAddr::from(end);
        return format!("{protocol} {} > {}", end(source), end(destination));
    }
    let icmp = frame.icmp.map_or_else(String::new, |(kind, code)| format!(" type {kind} code {code}"));
    format!("{protocol} {source} > {destination}{icmp}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(json: &str) -> String {
        line(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_line_for_each() {
        let start =
            r#"{"drop":{"time":"2026-01-31T23:59:59.123Z","program":"from_pod","ifindex":7,"length":142,"#;
        let macs = r#""source_mac":"02:00:00:00:00:01","destination_mac":"02:00:00:00:00:02""#;
        assert_eq!(
            rendered(&format!(
                r#"{start}"reason":"no_route","port":"web-1","network":"red","subnet":"red-a","frame":{{{macs},"ethertype":2048,
                "source":"10.0.0.5","destination":"10.9.0.1","protocol":17,"source_port":4000,"destination_port":53}}}}}}"#
            )),
            "2026-01-31T23:59:59.123Z  web-1            no_route               udp 10.0.0.5:4000 > 10.9.0.1:53, 142 \
             bytes, subnet red-a\n"
        );
        assert_eq!(
            rendered(&format!(
                r#"{start}"reason":"unknown_vni","port":"","tunnel":{{"vtep":"192.0.2.9","vni":77}},"frame":{{{macs},
                "ethertype":34525,"source":"fd00::5","destination":"fd00::6","protocol":58,"icmp":[128,0]}}}}}}"#
            )),
            "2026-01-31T23:59:59.123Z  underlay         unknown_vni            icmpv6 fd00::5 > fd00::6 type 128 code \
             0, 142 bytes, from VTEP 192.0.2.9 into VNI 77\n"
        );
        assert_eq!(
            rendered(&format!(
                r#"{start}"reason":"unsupported_ethertype","port":"web-1","frame":{{{macs},"ethertype":35020}}}}}}"#
            )),
            "2026-01-31T23:59:59.123Z  web-1            unsupported_ethertype  ethertype 0x88cc 02:00:00:00:00:01 > \
             02:00:00:00:00:02, 142 bytes\n"
        );
        assert_eq!(
            rendered(&format!(
                r#"{start}"reason":"policy_denied","port":"web-1","judged":{{"port":"db-1","direction":"ingress",
                "by":{{"rule":{{"group":"db","index":2}}}}}},"frame":{{{macs},"ethertype":2048,
                "source":"10.0.0.5","destination":"10.9.0.1","protocol":6,"source_port":4000,"destination_port":25}}}}}}"#
            )),
            "2026-01-31T23:59:59.123Z  web-1            policy_denied          tcp 10.0.0.5:4000 > 10.9.0.1:25, 142 bytes, \
             ingress of port db-1: db rule 2\n"
        );
        assert_eq!(
            rendered(r#"{"untold":{"port":"web-1","count":4812}}"#).trim_start(),
            "web-1                                   (4812 more not shown, only counted)\n"
        );
        assert_eq!(rendered(r#"{"missed":3}"#).trim_start(), "(3 lines missed: read too slowly)\n");
    }
}
