//! What a verdict looks like from outside: the program's answer, the frame, and all counters.

use weft_dataplane_abi::{DropReason, PortCounters};

use super::kernel::{Outcome, SLOTS, is_xdp};
use crate::reference::facts::Facts;
use crate::reference::frame::Frame;
use crate::reference::{self, Arrival, Verdict};

/// The kernel's verdicts (`linux/pkt_cls.h`, `enum xdp_action`), at TC and at XDP.
const PASS: (i32, i32) = (-1, 2);
const DROP: (i32, i32) = (2, 1);
const REDIRECT: (i32, i32) = (7, 4);

/// What is wrong with the program's answer, or with what it left of the frame.
pub fn answer(arrival: &Arrival, verdict: &Verdict, outcome: &Outcome) -> Option<String> {
    let (expected, frame): (_, Option<&Frame>) = match verdict {
        Verdict::Pass(frame) => (PASS, Some(frame)),
        Verdict::Drop(_) | Verdict::Copied { .. } => (DROP, None),
        Verdict::Reply(frame)
        | Verdict::Deliver { frame, .. }
        | Verdict::Transmit(frame)
        | Verdict::Answer { frame, .. } => (REDIRECT, Some(frame)),
    };
    let expected = if is_xdp(arrival.place) { expected.1 } else { expected.0 };
    if outcome.answer != expected {
        return Some(format!("the program answers {} instead of {expected}", outcome.answer));
    }
    let wrong = frame?.difference(&outcome.frame)?;
    Some(format!("{wrong}\nthe frame that leaves: {}", hex(&outcome.frame)))
}

/// What is wrong with what was counted.
pub fn counted(
    facts: &Facts,
    arrival: &Arrival,
    verdict: &Verdict,
    before: &[PortCounters; SLOTS],
    now: &[PortCounters; SLOTS],
) -> Option<String> {
    let mut expected = *before;
    count(facts, arrival, verdict, &mut expected);
    if !facts.configured {
        // The limit of events is not the daemon's yet: how many were told is a matter of time.
        expected.iter_mut().zip(now).for_each(|(mine, theirs)| mine.untold = theirs.untold);
    }
    let at = expected.iter().zip(now).position(|(mine, theirs)| mine != theirs)?;
    Some(format!(
        "counted for slot {at}: {} instead of {}",
        grown(&before[at], &now[at]),
        grown(&before[at], &expected[at])
    ))
}

fn count(facts: &Facts, arrival: &Arrival, verdict: &Verdict, counters: &mut [PortCounters; SLOTS]) {
    let index = |slot: u32| usize::try_from(slot).unwrap();
    let from = index(reference::slot_of(facts, arrival));
    let length = arrival.frame.len() as u64;
    let mut passed_on = false;
    let mut dropped = None;
    let mut into = Vec::new();
    match verdict {
        Verdict::Pass(_) => {}
        Verdict::Drop(reason) => dropped = Some(*reason),
        Verdict::Transmit(_) => passed_on = true,
        Verdict::Reply(frame) => {
            passed_on = true;
            into.push((from, frame.bytes.len() as u64));
        }
        Verdict::Deliver { slot, frame } => {
            passed_on = true;
            into.push((index(*slot), frame.bytes.len() as u64));
        }
        Verdict::Answer { reason, frame, to_port } => {
            dropped = Some(*reason);
            if *to_port {
                into.push((from, frame.bytes.len() as u64));
            }
        }
        Verdict::Copied { slots, .. } => {
            // What came out of a tunnel and is copied is counted like what is delivered.
            passed_on = true;
            into.extend(slots.iter().map(|slot| (index(*slot), length)));
        }
    }
    if passed_on {
        counters[from].from_port.packets += 1;
        counters[from].from_port.bytes += length;
    }
    if let Some(reason) = dropped {
        counters[from].drops[reason.index()] += 1;
        counters[from].untold += 1;
    }
    for (slot, length) in into {
        counters[slot].to_port.packets += 1;
        counters[slot].to_port.bytes += length;
    }
}

/// What was counted in between.
fn grown(before: &PortCounters, now: &PortCounters) -> String {
    let drops = DropReason::ALL.into_iter().filter_map(|reason| {
        let more = now.drops[reason.index()] - before.drops[reason.index()];
        (more > 0).then(|| format!("{} {more}", reason.name()))
    });
    format!(
        "from the port {} of {} bytes, to it {} of {}, untold {}, dropped {:?}",
        now.from_port.packets - before.from_port.packets,
        now.from_port.bytes - before.from_port.bytes,
        now.to_port.packets - before.to_port.packets,
        now.to_port.bytes - before.to_port.bytes,
        now.untold - before.untold,
        drops.collect::<Vec<_>>()
    )
}

/// A frame and what is known beside it, as a failed test shows it and as `regressions` takes it.
pub fn described(arrival: &Arrival) -> String {
    let Arrival { place, ifindex, frame, gso_size, tunnel } = arrival;
    format!(
        "{place:?}, ifindex {ifindex}, gso_size {gso_size}, {tunnel:?}, {} bytes:\n{}",
        frame.len(),
        hex(frame)
    )
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
