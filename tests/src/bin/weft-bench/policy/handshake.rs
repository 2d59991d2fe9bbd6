//! What the programs take for each packet of a connection, by the kernel's test run: a SYN is judged by the rules and makes
//! an entry, its answer and the third packet open it, and what follows finds it open.
//!
//! ```text
//! client from_pod ── SYN, ACK, a byte ──► from_underlay far
//!   from_underlay ◄────── SYN-ACK ─────── from_pod
//! ```

use anyhow::{Context as _, Result};

use super::frames::{Kind, Pair, pair};
use super::hosts::{self, Host};
use super::subjects::Secured;
use super::{BySubject, nanoseconds};
use crate::plan::Plan;
use crate::report::Row;

/// New connections of a round: fewer than a port may have half-open.
const CONNECTIONS: u16 = 500;
/// Packets of one established connection.
const RUNS: usize = 2000;

/// What is measured: the packet's name, what it is, who sends it, and whether all connections or one of them have it.
const STEPS: [(&str, Kind, usize, bool); 5] = [
    ("1-syn", Kind::Syn, 0, true),
    ("2-syn-ack", Kind::SynAck, 1, true),
    ("3-ack", Kind::Ack { payload: false }, 0, true),
    ("established-one-of-500", Kind::Ack { payload: true }, 0, true),
    ("established", Kind::Ack { payload: true }, 0, false),
];

/// All steps, on the hosts of all clouds.
pub(super) fn measure(clouds: &[Secured<'_>], plan: &Plan) -> Result<Vec<Row>> {
    // By step, then the sender's and the receiver's host, then subject, then round.
    let of_subjects = || clouds.iter().map(|one| (one.group.name, Vec::new())).collect::<Vec<_>>();
    let mut figures: Vec<[BySubject; 2]> = STEPS.iter().map(|_| [of_subjects(), of_subjects()]).collect();
    let mut nothing = Vec::new();
    for round in 0..plan.rounds {
        for turn in 0..clouds.len() {
            let number = (turn + round as usize) % clouds.len();
            let one = &clouds[number];
            let measured = connect(one, round).with_context(|| one.group.name)?;
            for (figures, measured) in figures.iter_mut().zip(measured) {
                for (figures, measured) in figures.iter_mut().zip(measured) {
                    figures[number].1.push(measured);
                }
            }
        }
        let frame = pair(&clouds[0].cloud, 0, Kind::Datagram, (1, 1))?;
        nothing.push(hosts::nothing(&frame.sent, RUNS)?);
    }
    let mut rows = nanoseconds("policy/programs/empty", &[("nothing", nothing)]);
    for ((name, ..), [sender, receiver]) in STEPS.iter().zip(&figures) {
        rows.extend(nanoseconds(&format!("policy/programs/from_pod/{name}"), sender));
        rows.extend(nanoseconds(&format!("policy/programs/from_underlay/{name}"), receiver));
    }
    Ok(rows)
}

/// Opens connections of their own ports: by step, what the sender's host takes and what the receiver's does.
fn connect(one: &Secured<'_>, round: u32) -> Result<Vec<[f64; 2]>> {
    let cloud = &one.cloud;
    let hosts = [Host::of(cloud, 0)?, Host::of(cloud, 1)?];
    let mut times = Vec::new();
    for (_, kind, from, all) in STEPS {
        let frames = (0..CONNECTIONS).map(|connection| {
            let ports = (10_000 + connection, 20_000 + u16::try_from(round)?);
            let ports = if from == 0 { ports } else { (ports.1, ports.0) };
            pair(cloud, from, kind, ports)
        });
        let frames = frames.take(if all { CONNECTIONS.into() } else { 1 }).collect::<Result<Vec<Pair>>>()?;
        let runs = if all { frames.len() } else { RUNS };
        let (sender, receiver) = (&hosts[from], &hosts[1 - from]);
        let sent = frames.iter().map(|pair| &*pair.sent).cycle().take(runs);
        let received = frames.iter().map(|pair| &*pair.received).cycle().take(runs);
        times.push([
            sender.meet(&sender.from_pod, sent).context("the sender's host")?,
            receiver.meet(&receiver.from_underlay, received).context("the receiver's host")?,
        ]);
    }
    Ok(times)
}
