//! The cases of `cases.txt`, against a session without a network. The same file can be played to a daemon over TCP.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod file;
mod speaker;

use file::{Case, Expected};
use speaker::{Outcome, Speaker};

/// Whether what followed is what the case says.
fn fits(case: &Case, outcome: &Outcome) -> bool {
    let quiet = outcome.notification.is_none() && !outcome.closed;
    let Outcome { announced, withdrawn, .. } = *outcome;
    match &case.expected {
        Expected::Notification { code, subcode, data } => outcome.notification.as_ref().is_some_and(|told| {
            outcome.closed
                && (told.code.0, told.subcode) == (*code, *subcode)
                && data.as_ref().is_none_or(|data| *data == told.data)
        }),
        Expected::Word(word) => match word.as_str() {
            "close" => outcome.closed && outcome.notification.is_none(),
            "open-confirm" | "established" => quiet && outcome.state == *word,
            "announce" => quiet && announced > 0 && withdrawn == 0 && outcome.worst.is_none(),
            "withdrawn" => quiet && announced == 0 && withdrawn > 0 && outcome.worst.is_none(),
            "withdraw" => {
                quiet
                    && announced == 0
                    && withdrawn > 0
                    && outcome.worst.as_deref() == Some("TreatAsWithdraw")
            }
            "discard" => {
                quiet
                    && announced > 0
                    && withdrawn == 0
                    && outcome.worst.as_deref() == Some("AttributeDiscard")
            }
            "end-of-rib" => quiet && outcome.ends_of_rib == 1,
            "refresh" => quiet && outcome.refreshes == 1,
            "nothing" => {
                quiet && (announced, withdrawn, outcome.ends_of_rib, outcome.refreshes) == (0, 0, 0, 0)
            }
            other => panic!("line {}: {other} is nothing that can follow", case.line),
        },
    }
}

#[test]
fn every_case_is_followed_by_what_its_rfc_says() {
    let (open, cases) = file::read(include_str!("cases.txt"));
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        // At once, and byte by byte.
        for cut in [usize::MAX, 1] {
            let mut speaker = Speaker::in_state(&case.state, &open);
            for piece in case.bytes.chunks(cut.min(case.bytes.len())) {
                speaker.hear(piece);
            }
            let outcome = speaker.outcome();
            if !fits(case, &outcome) {
                wrong.push(format!("line {}: {} ({}): {outcome:?}", case.line, case.what, case.section));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
