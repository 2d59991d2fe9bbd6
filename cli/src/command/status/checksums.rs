//! The line about the self-test: what is good is counted, what is not is named, up to [`NAMED`] hosts of a kind.

use std::collections::BTreeMap;

use weft_api::view::{ChecksumState, ChecksumStatus, SelfTestPhase, Status, Workaround};

/// Hosts that are named with the same words; of more than that the rest is counted.
const NAMED: usize = 4;

/// The line, if there is anything to be said.
pub(super) fn line(status: &Status) -> Option<String> {
    let self_test = status.self_test.as_ref()?;
    let text = match self_test.state {
        SelfTestPhase::Off => "not tested (underlay.self_test = false)".to_owned(),
        SelfTestPhase::Failed => {
            format!("not tested: {}", self_test.reason.as_deref().unwrap_or("weftd's log says why"))
        }
        SelfTestPhase::On if status.vteps.is_empty() => return None,
        SelfTestPhase::On => summary(status),
    };
    Some(format!("checksums  {text}\n"))
}

/// What a monitor is to be told: hosts that packets are lost to.
pub(super) fn complaint(status: &Status) -> Option<String> {
    let failing = status.vteps.iter().filter(|vtep| {
        vtep.checksums.as_ref().is_some_and(|found| found.workaround == Some(Workaround::Failing))
    });
    let failing: Vec<_> = failing.map(|vtep| vtep.vtep.to_string()).collect();
    (!failing.is_empty()).then(|| format!("packets with checksums do not arrive at {}", named(&failing)))
}

fn summary(status: &Status) -> String {
    let (mut good, mut testing) = (0, 0);
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for host in &status.vteps {
        let Some(found) = &host.checksums else { continue };
        match found.state {
            ChecksumState::Good => good += 1,
            ChecksumState::Testing => testing += 1,
            ChecksumState::Damaged | ChecksumState::NotTested => {
                others.entry(words(found)).or_default().push(host.vtep.to_string());
            }
        }
    }
    let hosts = |count: usize| if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
    let mut parts = Vec::new();
    if good > 0 {
        parts.push(format!("{} good", hosts(good)));
    }
    parts.extend(others.iter().map(|(words, vteps)| format!("{} {words}", named(vteps))));
    if testing > 0 || parts.is_empty() {
        parts.push(format!("{} being tested", hosts(testing)));
    }
    parts.join(", ")
}

fn words(found: &ChecksumStatus) -> String {
    let reason = || found.reason.as_deref().unwrap_or("no reason");
    match (found.state, found.workaround) {
        (ChecksumState::Damaged, Some(Workaround::Verified)) => {
            "damaged: computed by this host (verified)".to_owned()
        }
        (ChecksumState::Damaged, Some(Workaround::Failing)) => {
            "damaged: computed by this host (they do not arrive either)".to_owned()
        }
        (ChecksumState::Damaged, Some(Workaround::NotTested)) => {
            format!("damaged: computed by this host (not verified: {})", reason())
        }
        (ChecksumState::Damaged, Some(Workaround::Testing) | None) => {
            "damaged: computed by this host (being verified)".to_owned()
        }
        (ChecksumState::Testing | ChecksumState::Good | ChecksumState::NotTested, _) => {
            format!("not tested: {}", reason())
        }
    }
}

fn named(vteps: &[String]) -> String {
    match vteps.get(..NAMED) {
        Some(first) if vteps.len() > NAMED => {
            format!("{} and {} more", first.join(" and "), vteps.len() - NAMED)
        }
        Some(_) | None => vteps.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status with hosts 192.0.2.2 and so on, of which this was found.
    fn status(self_test: &str, found: &[&str]) -> Status {
        let vteps: Vec<_> = (2..)
            .zip(found)
            .map(|(number, found)| format!(r#"{{"vtep":"192.0.2.{number}","checksums":{found}}}"#))
            .collect();
        let text = format!(
            r#"{{"host":"h1","version":"1","abi":1,"hook":"tcx","uptime_seconds":1,"underlay":"eth1",
                "vtep":"192.0.2.1","router_mac":"02:00:c0:00:02:01","revision":1,"resources":{{}},"ports":[],
                "self_test":{self_test},"vteps":[{}],"checked_seconds_ago":1,"failures":[]}}"#,
            vteps.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    const ON: &str = r#"{"state":"on"}"#;
    const GOOD: &str = r#"{"state":"good"}"#;
    const TESTING: &str = r#"{"state":"testing"}"#;
    const VERIFIED: &str = r#"{"state":"damaged","workaround":"verified"}"#;
    const FAILING: &str = r#"{"state":"damaged","workaround":"failing"}"#;
    const SILENT: &str = r#"{"state":"not-tested","reason":"no answer"}"#;

    #[test]
    fn in_one_line() {
        let table: &[(&str, &[&str], &str)] = &[
            (r#"{"state":"off"}"#, &[], "not tested (underlay.self_test = false)"),
            (r#"{"state":"failed","reason":"no namespace"}"#, &[GOOD], "not tested: no namespace"),
            (ON, &[TESTING], "1 host being tested"),
            (ON, &[GOOD, GOOD, TESTING], "2 hosts good, 1 host being tested"),
            (
                ON,
                &[VERIFIED, GOOD, GOOD, GOOD, SILENT],
                "3 hosts good, 192.0.2.2 damaged: computed by this host (verified), 192.0.2.6 not tested: no answer",
            ),
            (
                ON,
                &[SILENT; 250],
                "192.0.2.2 and 192.0.2.3 and 192.0.2.4 and 192.0.2.5 and 246 more not tested: no answer",
            ),
            (
                ON,
                &[FAILING, r#"{"state":"damaged","workaround":"not-tested","reason":"no answer"}"#],
                "192.0.2.3 damaged: computed by this host (not verified: no answer), 192.0.2.2 damaged: computed by \
                 this host (they do not arrive either)",
            ),
        ];
        for (self_test, found, expected) in table {
            assert_eq!(line(&status(self_test, found)), Some(format!("checksums  {expected}\n")));
        }
        assert_eq!(line(&status(ON, &[])), None);
    }

    #[test]
    fn a_monitor_is_told_of_what_is_lost() {
        assert_eq!(complaint(&status(ON, &[GOOD, VERIFIED, SILENT])), None);
        let told = "packets with checksums do not arrive at 192.0.2.3";
        assert_eq!(complaint(&status(ON, &[GOOD, FAILING])).as_deref(), Some(told));
    }
}
