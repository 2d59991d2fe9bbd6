//! How soon a changed rule counts: the last rule of the far pod's group is turned round under a stream that it lets through,
//! to deny and back, each by one request that replaces the group.
//!
//! The request begins with the group as a value in memory; that it is written as JSON is part of its time. Its answer comes
//! after the kernel is changed: of what is sent later, nothing may be judged by the old rule.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_api::client::Client;
use weft_api::kind::{Kind, Reference};
use weft_api::resource::{Resource, RuleVerdict};
use weft_tests::let_pass;

use super::stream::{Datagram, Stream};
use super::subjects::{Secured, TEN};
use super::{BySubject, constant, nanoseconds};
use crate::plan::Plan;
use crate::report::Row;
use crate::subject::Place;
use crate::subject::secured::{self, GROUPS};

/// How long the stream goes on behind an answer, and before the next request.
const AFTER: Duration = Duration::from_millis(60);

/// The far pod's host.
const HOST: usize = 1;

/// A group with its last rule as it is, and turned round.
struct Group {
    client: Client,
    allowing: Resource,
    denying: Resource,
}

/// What one change took.
struct Change {
    /// Seconds from the request's start to its answer, and to the first datagram that met the new rule.
    answer: f64,
    judged: f64,
    /// Datagrams that were sent after the answer and judged by the old rule.
    late: usize,
}

/// By kind of change: answers and datagrams, each by subject and round.
type Figures = [BySubject; 2];

/// The largest group beside the smallest; and how many datagrams, of all changes, met an old rule after an answer.
pub(super) fn measure(clouds: &[Secured<'_>], plan: &Plan) -> Result<(Vec<Row>, usize)> {
    let most = clouds.first().context("nobody takes part")?;
    let ten = clouds.iter().find(|one| one.group.name == TEN).context("nobody has ten rules")?;
    let both = [most, ten];
    let groups = [Group::of(most)?, Group::of(ten)?];
    let none = || both.map(|one| (one.group.name, Vec::new())).to_vec();
    let mut figures: [(&str, RuleVerdict, Figures); 2] =
        [("deny", RuleVerdict::Deny, [none(), none()]), ("allow", RuleVerdict::Allow, [none(), none()])];
    let mut late = 0;
    for round in 0..=plan.rounds {
        for (number, (one, group)) in both.iter().zip(&groups).enumerate() {
            let subject = secured::subject(&one.cloud, one.group.name, "");
            let stream = Stream::start(subject.path(Place::TwoHosts))?;
            for (name, verdict, [answers, judged]) in &mut figures {
                let change = group.change(*verdict, &stream);
                let change = change.with_context(|| format!("{}, {name}", one.group.name))?;
                late += change.late;
                if round > 0 {
                    answers[number].1.push(change.answer * 1e3);
                    judged[number].1.push(change.judged * 1e3);
                }
            }
            stream.end()?;
        }
    }
    let mut rows = Vec::new();
    for (name, _, [answers, judged]) in &figures {
        rows.extend(milliseconds(&format!("policy/change/{name}/answer"), answers));
        rows.extend(milliseconds(&format!("policy/change/{name}/first-packet"), judged));
    }
    let changes = "policy/change/packets-by-an-old-rule";
    rows.push(constant(changes, "packets", "weft", f64::from(u32::try_from(late)?)));
    Ok((rows, late))
}

fn milliseconds(test: &str, figures: &[(&'static str, Vec<f64>)]) -> Vec<Row> {
    nanoseconds(test, figures).into_iter().map(|row| Row { unit: "ms", ..row }).collect()
}

impl Group {
    fn of(one: &Secured<'_>) -> Result<Self> {
        let client = one.cloud.daemon(HOST).weft().client();
        let reference = Reference { kind: Kind::SecurityGroup, name: GROUPS[HOST].to_owned() };
        let allowing = client.get(&reference)?.resource;
        let mut denying = allowing.clone();
        if let Resource::SecurityGroup(group) = &mut denying {
            group.rules.last_mut().context("a group without rules")?.action = RuleVerdict::Deny;
        }
        Ok(Self { client, allowing, denying })
    }

    /// Has the last rule say `verdict`.
    fn change(&self, verdict: RuleVerdict, stream: &Stream) -> Result<Change> {
        let_pass(AFTER);
        let to = match verdict {
            RuleVerdict::Allow => &self.allowing,
            RuleVerdict::Deny => &self.denying,
        };
        let start = Instant::now();
        self.client.replace(to)?;
        let answered = Instant::now();
        let_pass(AFTER);
        let datagrams = stream.between(start, answered + AFTER)?;
        let (judged, late) = judged(&datagrams, verdict, answered)?;
        let seconds = |end: Instant| end.saturating_duration_since(start).as_secs_f64();
        Ok(Change { answer: seconds(answered), judged: seconds(judged), late })
    }
}

/// When the first datagram was judged by a rule that says `verdict`: when it was sent, if it did not arrive, or arrived. And
/// how many, sent after the answer, were judged by the old one.
fn judged(datagrams: &[Datagram], verdict: RuleVerdict, answered: Instant) -> Result<(Instant, usize)> {
    let new = |arrived: Option<Instant>| arrived.is_some() == (verdict == RuleVerdict::Allow);
    // Behind the last one that met the old rule.
    let old = datagrams.iter().rposition(|(_, arrived)| !new(*arrived));
    let first = datagrams.get(old.map_or(0, |old| old + 1));
    let &(sent, arrived) = first.context("no datagram met the new rule")?;
    ensure!(datagrams.iter().any(|(sent, _)| *sent > answered), "nothing was sent after the answer");
    let late = datagrams.iter().filter(|(sent, arrived)| *sent > answered && !new(*arrived)).count();
    Ok((arrived.unwrap_or(sent), late))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_behind_the_last_old_one_counts_and_late_ones_are_counted() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let arrives_until = |last: u64| -> Vec<Datagram> {
            (0..20).map(|number| (at(number), (number <= last).then(|| at(number)))).collect()
        };
        let (judged_at, late) = judged(&arrives_until(3), RuleVerdict::Deny, at(6)).unwrap();
        assert_eq!((judged_at, late), (at(4), 0));
        assert_eq!(judged(&arrives_until(9), RuleVerdict::Deny, at(6)).unwrap().1, 3);
    }
}
