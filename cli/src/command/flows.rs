//! `weft flows`: the connections of this host's ports, who has the most, and those that begin and end.

use anyhow::Result;
use clap::Args;
use weft_api::client::{Client, WantedFlows};
use weft_api::resource::security::{Direction, Protocol};
use weft_api::view::security::{DecidedBy, Flow, FlowCount, FlowEvent, FlowLine, FlowTop, Flows};

use crate::output::Output;
use crate::output::table::{Table, or_dash};

const AFTER_HELP: &str = "\
Only ports that have a firewall have connections. The source is who began it. A connection between two
ports of this host is shown for each of them. States are those of TCP; others are `single` until the other
side answers, then `open`. A half-open connection is one whose other side has yet to answer: those have room
of their own, so that a flood of requests takes none of the open ones'. REFUSED are packets that a port of this
host sent; those that came from other hosts are under `underlay` in `weft counters`.

Examples:
  weft flows --port web-1
  weft flows --peer 10.0.0.0/24 --protocol tcp
  weft flows --top                             who has the most, of how many, and who was refused
  weft flows --follow --port web-1 -o json     a line of JSON for each that begins or ends";

/// Show the connections of ports with a firewall
#[derive(Debug, Args)]
#[command(name = "flows", after_help = AFTER_HELP)]
pub(crate) struct Show {
    /// Go on with those that begin and end, within seconds, until interrupted
    #[arg(long, short, conflicts_with_all = ["top", "limit"])]
    follow: bool,

    /// Count them: by host, tenant, port and peer
    #[arg(long, conflicts_with_all = ["peer", "protocol"])]
    top: bool,

    /// Only those of this port
    #[arg(long)]
    port: Option<String>,

    /// Only those with this address, or one in this prefix, at the other side
    #[arg(long, value_name = "ADDRESS|PREFIX")]
    peer: Option<String>,

    /// Only those of this protocol, by name or number
    #[arg(long)]
    protocol: Option<Protocol>,

    /// At most so many; 1000 unless given, or with --top 10 of each kind
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl Show {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let port = self.port.as_deref();
        if self.top {
            return output.print(&client.top_flows(port, self.limit)?, top);
        }
        let peer = self.peer.as_deref();
        let wanted = WantedFlows { port, peer, protocol: self.protocol, limit: self.limit };
        if !self.follow {
            return output.print(&client.flows(&wanted)?, all);
        }
        output.follow(&header(), client.follow_flows(&wanted)?, line)
    }
}

fn all(Flows { flows, left_out }: &Flows) -> String {
    let mut table = Table::new([
        "PORT",
        "DIRECTION",
        "PROTOCOL",
        "SOURCE",
        "DESTINATION",
        "STATE",
        "IDLE",
        "PACKETS",
        "BYTES",
        "BY",
    ]);
    for flow in flows {
        let idle = format!("{} s", flow.idle_seconds);
        let (packets, bytes) = (flow.packets.to_string(), flow.bytes.to_string());
        let (source, destination) = ends(flow);
        let way = direction(flow.direction).to_owned();
        let by = by(&flow.by);
        let protocol = flow.protocol.to_string();
        table.row([
            name(&flow.port),
            way,
            protocol,
            source,
            destination,
            state(flow),
            idle,
            packets,
            bytes,
            by,
        ]);
    }
    let more =
        if *left_out > 0 { format!("({left_out} more not shown; see --limit)\n") } else { String::new() };
    format!("{table}{more}")
}

fn top(FlowTop { host, tenants, ports, peers }: &FlowTop) -> String {
    let mut table = Table::new(["WHO", "OPEN", "OF", "HALF-OPEN", "OF", "REFUSED"]);
    let mut rows = |kind: &str, counts: &[FlowCount]| {
        for count in counts {
            let who = if count.name.is_empty() { "gone" } else { &count.name };
            table.row([
                format!("{kind}{who}"),
                count.open.to_string(),
                or_dash(count.open_limit),
                count.half_open.to_string(),
                or_dash(count.half_open_limit),
                or_dash(count.refused),
            ]);
        }
    };
    rows("", std::slice::from_ref(host));
    rows("tenant ", tenants);
    rows("port ", ports);
    rows("peer ", peers);
    table.to_string()
}

fn header() -> String {
    row("TIME", "EVENT", "PORT", "CONNECTION")
}

fn line(line: &FlowLine) -> String {
    match line {
        FlowLine::Started(event) => told("started", event, &format!("by {}", by(&event.flow.by))),
        FlowLine::Ended(event) => {
            let Flow { packets, bytes, age_seconds, .. } = &event.flow;
            told("ended", event, &format!("{packets} packets, {bytes} bytes, after {age_seconds} s"))
        }
        FlowLine::Missed(count) => row("", "", "", &format!("({count} lines missed: read too slowly)")),
    }
}

fn told(what: &str, FlowEvent { time, flow }: &FlowEvent, more: &str) -> String {
    let (source, destination) = ends(flow);
    let (protocol, way, state) = (flow.protocol, direction(flow.direction), state(flow));
    let connection = format!("{way} {protocol} {source} > {destination}, {state}, {more}");
    row(time, what, &name(&flow.port), &connection)
}

/// Lines come one by one, so that a column cannot be as wide as its widest cell.
fn row(time: &str, event: &str, port: &str, connection: &str) -> String {
    format!("{time:<24}  {event:<7}  {port:<15}  {connection}\n")
}

fn ends(flow: &Flow) -> (String, String) {
    let end = |address: std::net::IpAddr, port: Option<u16>| match port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    };
    let source = end(flow.source, flow.source_port);
    let source = flow.icmp_id.map_or(source.clone(), |id| format!("{source} id {id}"));
    (source, end(flow.destination, flow.destination_port))
}

fn name(port: &str) -> String {
    if port.is_empty() { "(gone)".to_owned() } else { port.to_owned() }
}

fn state(flow: &Flow) -> String {
    if flow.half_open { format!("{} (half-open)", flow.state) } else { flow.state.to_string() }
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

fn by(by: &DecidedBy) -> String {
    match by {
        DecidedBy::Rule(rule) => rule.to_string(),
        DecidedBy::Default => "default".to_owned(),
        DecidedBy::Unknown => "judged again at its next packet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(more: &str) -> String {
        format!(
            r#"{{"port":"web-1","direction":"ingress","protocol":"tcp","source":"10.0.0.9","source_port":40000,
                "destination":"10.0.0.2","destination_port":443,"state":"open","half_open":false,
                "by":{{"rule":{{"group":"web","index":3,"description":"https"}}}},"age_seconds":70,"idle_seconds":2,
                "packets":12,"bytes":3400{more}}}"#
        )
    }

    #[test]
    fn a_row_for_each_and_how_many_more() {
        let ping = r#"{"port":"","direction":"egress","protocol":"icmpv6","source":"fd00::2","icmp_id":7,
            "destination":"fd00::9","state":"single","half_open":true,"by":"unknown","age_seconds":1,"idle_seconds":1,
            "packets":1,"bytes":98}"#;
        let flows = serde_json::from_str(&format!(r#"{{"flows":[{},{ping}],"left_out":5}}"#, flow("")));
        assert_eq!(
            all(&flows.unwrap()),
            "PORT    DIRECTION  PROTOCOL  SOURCE          DESTINATION   STATE               IDLE  PACKETS  BYTES  BY\n\
             web-1   ingress    tcp       10.0.0.9:40000  10.0.0.2:443  open                2 s   12       3400   web rule 3 (https)\n\
             (gone)  egress     icmpv6    fd00::2 id 7    fd00::9       single (half-open)  1 s   1        98     judged again at its next packet\n\
             (5 more not shown; see --limit)\n"
        );
    }

    #[test]
    fn a_line_for_what_begins_and_ends() {
        let event = |what: &str| format!(r#"{{"{what}":{}}}"#, flow(r#","time":"2026-01-31T23:59:59.123Z""#));
        let line = |json: &str| line(&serde_json::from_str(json).unwrap());
        let start = "ingress tcp 10.0.0.9:40000 > 10.0.0.2:443, open, ";
        assert_eq!(
            line(&event("started")),
            format!("2026-01-31T23:59:59.123Z  started  web-1            {start}by web rule 3 (https)\n")
        );
        assert!(line(&event("ended")).ends_with(&format!("{start}12 packets, 3400 bytes, after 70 s\n")));
        assert_eq!(line(r#"{"missed":3}"#).trim_start(), "(3 lines missed: read too slowly)\n");
    }

    #[test]
    fn who_has_the_most() {
        let count =
            |name: &str, limits: &str| format!(r#"{{"name":"{name}","open":4,"half_open":1{limits}}}"#);
        let json = format!(
            r#"{{"host":{},"tenants":[],"ports":[{}],"peers":[{}]}}"#,
            count("host", r#","open_limit":100,"half_open_limit":50"#),
            count("web", r#","open_limit":10,"half_open_limit":5,"refused":7"#),
            count("10.0.0.9", ""),
        );
        assert_eq!(
            top(&serde_json::from_str(&json).unwrap()),
            "WHO            OPEN  OF   HALF-OPEN  OF  REFUSED\n\
             host           4     100  1          50  -\n\
             port web       4     10   1          5   7\n\
             peer 10.0.0.9  4     -    1          -   -\n"
        );
    }
}
