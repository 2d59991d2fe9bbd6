//! What decided about packets, in the words of the API: from the numbers that the kernel tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_api::resource::security::Direction;
use weft_api::view::security::DecidedBy;
use weft_dataplane::RuleId;
use weft_policy::Rule;

use crate::engine::Handle;
use crate::names::Names;

/// How long an answer may take: whoever changes rules meanwhile has the data plane's thread, and a drop without its rule is
/// better than none.
const PATIENCE: Duration = Duration::from_secs(2);

/// What decided, by the port whose rules they are and the kernel's number.
#[derive(Debug, Default)]
pub struct Decided(BTreeMap<(String, RuleId), DecidedBy>);

impl Decided {
    /// Asks what `numbers` stand for.
    pub async fn ask(engine: &Handle, names: &Names, numbers: BTreeSet<(String, RuleId)>) -> Self {
        if numbers.is_empty() {
            return Self::default();
        }
        let ids: Vec<RuleId> =
            numbers.iter().map(|(_, id)| *id).collect::<BTreeSet<_>>().into_iter().collect();
        let answer = tokio::time::timeout(PATIENCE, engine.rules(ids.clone())).await;
        let told = answer.ok().and_then(Result::ok).unwrap_or_default();
        let meaning = ids.into_iter().zip(told).filter_map(|(id, by)| Some((id, by?))).collect();
        Self::of(names, numbers, &meaning)
    }

    fn of(
        names: &Names,
        numbers: BTreeSet<(String, RuleId)>,
        meaning: &BTreeMap<RuleId, weft_dataplane::DecidedBy>,
    ) -> Self {
        let mut wanted: BTreeMap<&str, BTreeSet<Rule>> = BTreeMap::new();
        for (port, id) in &numbers {
            let rule = meaning.get(id).and_then(|by| by.rule);
            wanted.entry(port).or_default().extend(rule);
        }
        let places: BTreeMap<_, _> =
            wanted.iter().map(|(port, wanted)| (*port, names.rules_of(port, wanted))).collect();
        let by = |port: &str, id: RuleId| match meaning.get(&id).map(|by| by.rule) {
            // A policy without rules has no number.
            None if id.policy == 0 && id.rule.is_none() => DecidedBy::Default,
            None => DecidedBy::Unknown,
            Some(None) => DecidedBy::Default,
            Some(Some(rule)) => {
                let place = places.get(port).and_then(|places| places.get(&rule));
                place.cloned().map_or(DecidedBy::Unknown, DecidedBy::Rule)
            }
        };
        let decided = numbers.iter().map(|(port, id)| ((port.clone(), *id), by(port, *id)));
        Self(decided.collect())
    }

    /// What decided for a port; `None` is what was decided by rules that have changed.
    #[must_use]
    pub fn by_now(&self, port: &str, id: Option<RuleId>) -> DecidedBy {
        id.map_or(DecidedBy::Unknown, |id| self.by(port, id))
    }

    /// What decided for a port.
    #[must_use]
    pub fn by(&self, port: &str, id: RuleId) -> DecidedBy {
        self.0.get(&(port.to_owned(), id)).cloned().unwrap_or(DecidedBy::Unknown)
    }
}

/// The same in the API's words.
#[must_use]
pub const fn direction(direction: weft_policy::Direction) -> Direction {
    match direction {
        weft_policy::Direction::Ingress => Direction::Ingress,
        weft_policy::Direction::Egress => Direction::Egress,
    }
}
