//! What belongs to a connection needs no rule, and what belongs to none needs more than one.
//!
//! ```text
//! red-1 (sends nothing by itself) ◄── UDP, TCP, pings, GRE ── red-2, and red-3 on h2 (let nothing in)
//!                                 ── answers ──►
//! ```

use anyhow::{Result, ensure};
use weft_dataplane_abi::DropReason;
use weft_dataplane_abi::flags::{ACK, FIN, RST, SYN};
use weft_tests::cloud::{Cloud, Pod};
use weft_tests::frame::{self, Between};

use super::{Fate, Round, between, intent, is_denied_by_policy, number, tell};

const PEERS: [&str; 2] = ["red-2", "red-3"];
/// Rules for red-1 that let it start nothing, and `rule` besides.
fn closed_but_for(rule: &str) -> String {
    format!(r#"[{{"direction":"egress","action":"deny","priority":2000}},{rule}]"#)
}

/// The rules that everything of the first test is let in by; `more` are further fields of each.
fn lets_in(more: &str) -> String {
    let rule = |protocol: &str| format!(r#"{{"direction":"ingress","protocol":{protocol}{more}}}"#);
    closed_but_for(&["\"udp\"", "\"tcp\"", "\"icmp\"", "\"icmpv6\"", "47"].map(rule).join(","))
}

/// The other way.
fn back(way: Between) -> Between {
    Between {
        source_mac: way.destination_mac,
        destination_mac: way.source_mac,
        source: way.destination,
        destination: way.source,
    }
}

/// What it is, the question, and its answer.
type Exchange = (&'static str, Vec<u8>, Vec<u8>);

/// Questions and their answers, each of another connection.
fn exchanges(way: Between) -> Result<Vec<Exchange>> {
    let (ports, answer) = ((number(), 700), back(way));
    let turned = (ports.1, ports.0);
    let identifier = [number().to_be_bytes(), [0, 1]].concat();
    let word = [identifier[0], identifier[1], 0, 1];
    let (ping, pong) = if way.source.is_ipv4() { (8, 0) } else { (128, 129) };
    Ok(vec![
        ("UDP", frame::udp(way, ports, b"question")?, frame::udp(answer, turned, b"answer")?),
        ("SYN", frame::tcp(way, ports, SYN, (1, 0))?, frame::tcp(answer, turned, SYN | ACK, (9, 2))?),
        (
            "a ping",
            frame::icmp(way, (ping, 0), word, b"question")?,
            frame::icmp(answer, (pong, 0), word, b"question")?,
        ),
        ("GRE", frame::ip(way, 47, b"a question of it")?, frame::ip(answer, 47, b"an answer to it ")?),
    ])
}

/// In: red-1 may start nothing, and the others let nothing in; questions to red-1, each before its answer, and then the same
/// answers to others who have not asked. Then the same with rules that keep no connections. Out: the questions arrive, and with
/// connections the answers too; to who has not asked, and without connections, they are denied by the host of red-1, since a
/// question needs a rule of its own there.
pub fn follow_questions_only(cloud: &Cloud<'_>) -> Result<()> {
    let to = cloud.pod("red-1");
    for (rules, keeps) in [(lets_in(""), true), (lets_in(r#","stateless":true"#), false)] {
        tell(cloud, &intent(&rules, "[]")?)?;
        let mut round = Round::begin(cloud, &["red-1", "red-2", "red-3", "red-4", "red-5"])?;
        for from in PEERS.map(|name| cloud.pod(name)) {
            let stranger = cloud.pod(if from.host == 0 { "red-4" } else { "red-5" });
            for (way, unasked) in between(from, to).into_iter().zip(between(to, stranger)) {
                for (what, question, answer) in exchanges(way)? {
                    round.send(what, from, &question, Fate::Arrives)?;
                    let fate = if keeps { Fate::Arrives } else { is_denied_by_policy(to.host) };
                    round.send(&format!("answer to {what}"), to, &answer, fate)?;
                }
                for (what, _, answer) in exchanges(back(unasked))? {
                    let what = format!("answer to no {what}");
                    round.send(&what, to, &answer, is_denied_by_policy(to.host))?;
                }
            }
        }
        let (passed, denied) = round.end()?;
        println!("connections are kept: {keeps}: {passed} arrived, {denied} were denied");
        ensure!(passed > 0 && denied > 0);
    }
    Ok(())
}

/// In: to red-1, which lets in TCP and pings: segments without SYN, answers that nobody asked for, and segments that contradict
/// themselves or their connection; and to red-2, which lets in nothing, answers that it has not asked for. Out: none arrives;
/// where a rule would let it in it is told that there is no connection, and where none would, that it is denied. The same
/// segments of a connection arrive.
pub fn start_connections_only(cloud: &Cloud<'_>) -> Result<()> {
    const NO_CONNECTION: DropReason = DropReason::NoConnection;
    tell(cloud, &intent(&lets_in(""), "[]")?)?;
    let to = cloud.pod("red-1");
    let mut round = Round::begin(cloud, &["red-1", "red-2", "red-3"])?;
    for from in PEERS.map(|name| cloud.pod(name)) {
        for way in between(from, to) {
            for flags in [ACK, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN, 0, SYN | FIN, SYN | RST] {
                let segment = frame::tcp(way, (number(), 700), flags, (5, 5))?;
                round.send(&segment_of(flags), from, &segment, Fate::Denied(from.host, NO_CONNECTION))?;
            }
            let pong = if way.source.is_ipv4() { 0 } else { 129 };
            let word = [9, 9, 0, 1];
            let answer = frame::icmp(way, (pong, 0), word, b"answer")?;
            round.send("answer to no ping", from, &answer, Fate::Denied(from.host, NO_CONNECTION))?;
            story(&mut round, from, to, way)?;
        }
    }
    let (closed, from) = (cloud.pod("red-2"), cloud.pod("red-3"));
    for way in between(from, closed) {
        for (what, _, answer) in exchanges(back(way))? {
            // Its own host lets out what starts something; the rest starts nothing there already.
            let starts = ["UDP", "GRE"].contains(&what);
            let fate = if starts {
                is_denied_by_policy(closed.host)
            } else {
                Fate::Denied(from.host, NO_CONNECTION)
            };
            round.send(&format!("answer to no {what}"), from, &answer, fate)?;
        }
    }
    let (passed, dropped) = round.end()?;
    println!("connections only: {passed} arrived, {dropped} were dropped");
    Ok(())
}

fn segment_of(flags: u8) -> String {
    format!("a segment with flags {flags:#04x}")
}

/// A connection from its SYN to its RST, with segments between that are of none.
fn story(round: &mut Round<'_>, from: &Pod, to: &Pod, way: Between) -> Result<()> {
    let (ports, answer) = ((number(), 700), back(way));
    let turned = (ports.1, ports.0);
    let invalid = |host| Fate::Denied(host, DropReason::InvalidState);
    for (sender, flags, fate) in [
        (from, SYN, Fate::Arrives),
        // Nobody has agreed.
        (from, FIN | ACK, invalid(from.host)),
        (to, SYN | ACK, Fate::Arrives),
        (from, ACK, Fate::Arrives),
        (from, SYN | FIN, invalid(from.host)),
        (to, 0, invalid(to.host)),
        (to, ACK, Fate::Arrives),
        (to, RST | ACK, Fate::Arrives),
    ] {
        let (way, ports) = if sender.name == from.name { (way, ports) } else { (answer, turned) };
        let segment = frame::tcp(way, ports, flags, (2, 2))?;
        round.send(&segment_of(flags), sender, &segment, fate)?;
    }
    Ok(())
}
