//! What people see of security groups: verdicts on packets that nobody sent, connections, hits, and why a packet was denied.
//!
//! ```text
//! red-1 mesh ┐
//! red-3 mesh ┴ h1 192.0.2.1 ──┐
//!                reflector     ├ sw ── 192.0.2.3 h3 ── red-5 (no group)
//! red-2 mesh ─ h2 192.0.2.2 ──┘
//! ```
//! To a member of mesh come members, and everybody's pings; nobody's UDP from red-5.

use std::fs;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use weft_api::client::{TestPacket, WantedFlows};
use weft_api::resource::RuleVerdict;
use weft_api::resource::security::{Direction, Protocol};
use weft_api::view::DropLine;
use weft_api::view::security::{
    DecidedBy, FlowEvent, FlowLine, FlowState, FlowTop, Flows, Hits, Judgement, PolicyTest, RuleReference,
};
use weft_tests::cloud::{Cloud, Fabric};
use weft_tests::probe::Steady;
use weft_tests::{Lab, PATIENCE, Weft, Wire, underlay, wait_for};

use crate::security_groups::intent;

const RULES: &str = r#"[{"direction":"ingress","group":"mesh","description":"members"},
    {"direction":"ingress","protocol":"icmp","icmp":{"type":8}},
    {"direction":"ingress","protocol":"icmpv6","icmp":{"type":128}},
    {"direction":"ingress","protocol":"udp","prefix":"10.0.0.15/32","action":"deny","priority":5,
     "description":"red-5 is loud"}]"#;

fn cloud(lab: &Lab) -> Result<Cloud<'_>> {
    let below = underlay::three_hosts(lab, Wire::default())?;
    let mut cloud = Cloud::start_evpn_with(
        lab,
        below,
        |vteps| Fabric::reflector(vteps, 0),
        |settings| {
            let file = settings.folder.join("flows.jsonl");
            settings.flows = "icmp = 1\n".to_owned();
            settings.more = format!("[flow_log]\nfile = \"{}\"\n", file.display());
        },
    )?;
    cloud.deploy(&intent(RULES)?)?;
    for (from, to) in [("red-1", "red-2"), ("red-1", "red-3"), ("red-5", "red-1"), ("red-5", "red-2")] {
        for address in cloud.pod(to).addresses() {
            cloud.pod(from).namespace.ping_until(address, PATIENCE)?;
        }
    }
    Ok(cloud)
}

fn answer<T: DeserializeOwned>(weft: &Weft, arguments: &[&str]) -> Result<T> {
    let text = weft.must(&[arguments, &["-o", "json"]].concat())?;
    serde_json::from_str(&text).with_context(|| format!("reading {text}"))
}

fn rule(index: usize, description: Option<&str>) -> DecidedBy {
    let (group, description) = ("mesh".to_owned(), description.map(str::to_owned));
    DecidedBy::Rule(RuleReference { group, index, description })
}

/// In: packets between all pods of three hosts, which nobody sends: pings, TCP, UDP and GRE, over IPv4 and IPv6, asked for on
/// each host. Out: the stored rules and the programs in the kernel say the same of each: members and pings pass, all else to a
/// member and all to red-5 does not.
#[test]
fn rules_and_programs_agree() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let names = ["red-1", "red-2", "red-3", "red-5"];
        let (mut asked, mut allowed) = (0, 0);
        for host in 0..3 {
            let client = cloud.daemon(host).weft().client();
            for (from, to) in names.iter().flat_map(|from| names.map(|to| (cloud.pod(from), cloud.pod(to)))) {
                if from.name == to.name || (from.host != host && to.host != host) {
                    continue;
                }
                for (source, destination) in from.addresses().into_iter().zip(to.addresses()) {
                    let ping = if source.is_ipv4() { 1 } else { 58 };
                    for (protocol, port) in [(ping, None), (6, Some(22)), (17, Some(53)), (47, None)] {
                        let (source, destination) = (source.to_string(), destination.to_string());
                        let told = client.policy_test(&TestPacket {
                            source: &source,
                            destination: &destination,
                            protocol: Protocol::Number(protocol),
                            port,
                            icmp: None,
                            network: Some("red"),
                        })?;
                        ensure!(told.agree, "{source} > {destination} {protocol}: {told:?}");
                        let ends = usize::from(from.host == host) + usize::from(to.host == host);
                        ensure!(told.ends.len() == ends, "{told:?}");
                        let passes = from.name != "red-5" || to.host != host || protocol == ping;
                        let refused = to.name == "red-5" && to.host == host;
                        let verdict = if passes && !refused { RuleVerdict::Allow } else { RuleVerdict::Deny };
                        ensure!(told.verdict == verdict, "{source} > {destination} {protocol}: {told:?}");
                        asked += 1;
                        allowed += usize::from(verdict == RuleVerdict::Allow);
                    }
                }
            }
        }
        println!("{asked} packets were judged twice alike: {allowed} allowed");
        Ok(())
    })
}

/// In: the questions of a person: members on one host and on two, one who is none, and ends that there are not. Out: verdict,
/// rule and groups; the exit status says it too.
#[test]
fn a_person_is_told_by_which_rule() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let (h1, h2) = (cloud.daemon(0).weft(), cloud.daemon(1).weft());
        let told: PolicyTest = answer(h1, &["policy", "test", "red-1", "red-3", "tcp", "443"])?;
        let [sends, gets] = told.ends.as_slice() else { anyhow::bail!("{told:?}") };
        ensure!((sends.direction, gets.direction) == (Direction::Egress, Direction::Ingress), "{told:?}");
        ensure!(gets.peer_groups == ["mesh"] && gets.rules == gets.programs, "{told:?}");

        let member = cloud.pod("red-1").v4.to_string();
        let text = h2.must(&["policy", "test", &member, "red-2", "udp", "53"])?;
        ensure!(text.starts_with("allowed") && text.contains("allow: mesh rule 0 (members)"), "{text}");
        ensure!(text.contains("is behind VTEP 192.0.2.1: its own rules are judged there"), "{text}");

        let loud = cloud.pod("red-5").v4.to_string();
        let output = h2.run(&["policy", "test", &loud, "red-2", "udp", "53"])?;
        ensure!(!output.success && output.stderr.contains("the packet is denied"), "{output:?}");
        ensure!(output.stdout.contains("deny: mesh rule 3 (red-5 is loud)"), "{output:?}");
        let output = h2.run(&["policy", "test", &loud, "red-2", "tcp", "53"])?;
        ensure!(output.stdout.contains("deny: the network's default"), "{output:?}");
        for (arguments, words) in [
            (&["nobody", "red-2", "tcp", "53"][..], "port/nobody does not exist"),
            (&[&member, &loud, "tcp", "53", "--network", "red"], "is a port of this host"),
            (&[&member, "red-2", "tcp"], "destination port"),
            (&[&member, "red-2", "tpc", "53"], "there is no protocol"),
        ] {
            let output = h2.run(&[&["policy", "test"], arguments].concat())?;
            ensure!(!output.success && output.stderr.contains(words), "{arguments:?}: {output:?}");
        }
        Ok(())
    })
}

/// In: TCP between members that goes on; pings that end. Out: the connection on both hosts with its rule; who has how many; a
/// stream of those that begin and end, and a line in the log for each that ended.
#[test]
fn connections_are_listed_followed_and_logged() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let (near, far) = (cloud.pod("red-1"), cloud.pod("red-2"));
        let weft = cloud.daemon(1).weft();
        let wanted = WantedFlows { port: Some("red-2"), ..WantedFlows::default() };
        let mut lines = weft.client().follow_flows(&wanted)?;
        let tcp = Steady::tcp(&near.namespace, &far.namespace, far.v4.into(), 100)?;
        tcp.wait_for_more(50)?;
        let source: IpAddr = near.v4.into();
        for (host, port, direction) in [(0, "red-1", Direction::Egress), (1, "red-2", Direction::Ingress)] {
            let flows: Flows =
                answer(cloud.daemon(host).weft(), &["flows", "--port", port, "--protocol", "tcp"])?;
            let [flow] = flows.flows.as_slice() else { anyhow::bail!("{flows:?}") };
            ensure!(
                (flow.source, flow.direction, flow.state) == (source, direction, FlowState::Open),
                "{flow:?}"
            );
            ensure!(
                flow.packets >= 50 && !flow.half_open && flow.network.as_deref() == Some("red"),
                "{flow:?}"
            );
            let by = if host == 0 { DecidedBy::Default } else { rule(0, Some("members")) };
            ensure!(flow.by == by, "{flow:?}");
        }
        let top: FlowTop = answer(weft, &["flows", "--top"])?;
        let source_name = source.to_string();
        for (counts, name) in
            [(&top.ports, "red-2"), (&top.tenants, "red"), (&top.peers, source_name.as_str())]
        {
            ensure!(counts.iter().any(|count| count.name == name && count.open > 0), "{name}: {top:?}");
        }

        let output = weft.run(&["flows", "--port", "red-22"])?;
        ensure!(!output.success && output.stderr.contains("port/red-22"), "{output:?}");

        // Pings of all pods to this one end, a second after their last packet.
        let begins = |line: &FlowLine, wanted: Protocol| matches!(line, FlowLine::Started(event) if event.flow.protocol == wanted);
        let ends = |line: &FlowLine| matches!(line, FlowLine::Ended(event) if event.flow.protocol == Protocol::Number(1));
        let mut seen = (false, false);
        while seen != (true, true) {
            let line = lines.next().context("the stream ended")??;
            seen.0 |= begins(&line, Protocol::Number(6));
            seen.1 |= ends(&line);
        }
        let log = cloud.daemon(1).settings().folder.join("flows.jsonl");
        let event = wait_for(PATIENCE, "a ping in the flow log", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let of_loud = |event: &FlowEvent| event.flow.source == IpAddr::from(cloud.pod("red-5").v4);
            let mut events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            events.find(of_loud).ok_or(text.clone())
        })?;
        let flow = event.flow;
        ensure!((flow.port.as_str(), flow.direction) == ("red-2", Direction::Ingress), "{flow:?}");
        ensure!(
            (flow.protocol, flow.icmp_id.is_some(), flow.packets) == (Protocol::Number(1), true, 2),
            "{flow:?}"
        );
        ensure!(flow.by == rule(1, None), "{flow:?}");
        tcp.stop().map(drop)
    })
}

/// In: UDP and TCP of one who is no member. Out: each drop tells whose rules denied it, and which: a rule of the group, or the
/// default; and the rules' hits say how often.
#[test]
fn a_denied_packet_names_its_rule() -> Result<()> {
    Lab::test(|lab| {
        let cloud = cloud(lab)?;
        let (loud, to) = (cloud.pod("red-5"), cloud.pod("red-2"));
        let weft = cloud.daemon(1).weft();
        for (protocol, by) in [(17, rule(3, Some("red-5 is loud"))), (6, DecidedBy::Default)] {
            let sent = match protocol {
                17 => loud.namespace.udp_echo(to.v4.into(), "hello"),
                _ => loud.namespace.tcp_echo(to.v4.into(), "hello"),
            };
            ensure!(sent.is_err(), "{sent:?}");
            let expected =
                Judgement { port: "red-2".to_owned(), direction: Direction::Ingress, by: by.clone() };
            wait_for(PATIENCE, "a drop that names its rule", || {
                let drops: Vec<DropLine> = answer(weft, &["drops", "--reason", "policy_denied"])
                    .map_err(|error| error.to_string())?;
                let is_it = |line: &&DropLine| match line {
                    DropLine::Drop(drop) => {
                        drop.frame.as_ref().and_then(|frame| frame.protocol) == Some(protocol)
                            && drop.judged.as_ref() == Some(&expected)
                    }
                    DropLine::Untold(_) | DropLine::Missed(_) => false,
                };
                drops.iter().find(is_it).map(drop).ok_or(format!("{drops:?}"))
            })?;
            let hits: Vec<Hits> = answer(weft, &["policy", "hits"])?;
            let hit = hits.iter().find(|hits| hits.by == by && hits.direction == Direction::Ingress);
            ensure!(hit.is_some_and(|hit| hit.hits > 0), "{hits:?}");
        }
        let text = weft.must(&["drops", "--reason", "policy_denied"])?;
        ensure!(text.contains("ingress of port red-2: mesh rule 3 (red-5 is loud)"), "{text}");
        let text = weft.must(&["sg", "get", "mesh"])?;
        let line = text.lines().find(|line| line.ends_with("red-5 is loud")).unwrap_or_default();
        ensure!(line.starts_with("3 ") && !line.contains("  0  "), "{text}");
        Ok(())
    })
}
