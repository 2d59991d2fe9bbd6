//! How often which verdict was reached: a generator of packets that all end at the first check must be noticed.

use std::collections::BTreeMap;
use std::fmt;

use weft_dataplane_abi::{DropReason, Place};

use crate::reference::{Arrival, Verdict};

#[derive(Default)]
pub struct Tally(BTreeMap<(Place, &'static str), u64>);

impl Tally {
    pub fn count(&mut self, arrival: &Arrival, verdict: &Verdict) {
        *self.0.entry((arrival.place, name(arrival, verdict))).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        for (key, count) in other.0 {
            *self.0.entry(key).or_default() += count;
        }
    }

    pub fn packets(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each drop reason was met, and each program came to each kind of its verdicts.
    #[track_caller]
    pub fn assert_deep(&self) {
        // What is in the tables is whole here: `seals.rs` plants what is not. And ports judge nothing: `firewall` does.
        let elsewhere = |reason: &DropReason| *reason >= DropReason::TableChanged;
        for reason in DropReason::ALL.into_iter().filter(|reason| !elsewhere(reason)) {
            let met = self.0.keys().any(|(_, name)| *name == reason.name());
            assert!(met, "no packet was dropped for {}", reason.name());
        }
        for (place, verdicts) in [
            (
                Place::Pod,
                &[
                    "reply",
                    "deliver",
                    "encapsulate",
                    "vxlan device",
                    "answer",
                    "copy",
                    "super-packet",
                    "segments too big",
                ][..],
            ),
            (Place::Underlay, &["pass", "deliver", "answer through the tunnel"]),
            (Place::Vxlan, &["deliver", "answer through the tunnel", "copy"]),
            (Place::XdpGuard, &["pass"]),
            (Place::XdpForward, &["pass", "deliver"]),
        ] {
            for verdict in verdicts {
                let met = self.0.get(&(place, *verdict)).copied().unwrap_or_default();
                // Not by chance only.
                let least = self.judged(place) / 2000;
                assert!(met >= least, "{place:?} came to {verdict:?} {met} times, less than {least}");
            }
        }
    }

    fn judged(&self, place: Place) -> u64 {
        self.0.iter().filter(|((of, _), _)| *of == place).map(|(_, count)| count).sum()
    }
}

/// What a verdict is called in the tally.
pub fn name(arrival: &Arrival, verdict: &Verdict) -> &'static str {
    let is_super = arrival.gso_size != 0;
    match verdict {
        Verdict::Transmit(_) if is_super => "super-packet",
        Verdict::Answer { reason: DropReason::TooBig, .. } if is_super => "segments too big",
        Verdict::Pass(_) => "pass",
        Verdict::Drop(reason) => reason.name(),
        Verdict::Reply(_) => "reply",
        Verdict::Deliver { .. } => "deliver",
        Verdict::Transmit(frame) if frame.outer.is_some() => "encapsulate",
        Verdict::Transmit(_) => "vxlan device",
        Verdict::Answer { to_port: true, .. } => "answer",
        Verdict::Answer { .. } => "answer through the tunnel",
        Verdict::Copied { .. } => "copy",
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in Place::ALL {
            writeln!(f, "{:?}: {}", place, self.judged(place))?;
            let mut of: Vec<_> = self.0.iter().filter(|((at, _), _)| *at == place).collect();
            of.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for ((_, verdict), count) in of {
                writeln!(f, "{count:>9} {verdict}")?;
            }
        }
        Ok(())
    }
}
