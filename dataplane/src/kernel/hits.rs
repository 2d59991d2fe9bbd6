//! How often each rule decided, what a rule's number stands for, and what rules say of a packet that nobody sent. What was
//! counted under numbers that went is kept, so that a rule's count goes on when its policy gets another number.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use weft_dataplane_abi::{RuleKey, Ruling, maps};
use weft_policy::{Direction, Rule, Tables};

use super::Kernel;
use crate::bpf::{EntryTable, Table};
use crate::error::{ObserveError, chain};
use crate::flows::RuleId;
use crate::plan::{Left, Policies};
use crate::trial::{self, Trial, TrialError, Verdict};
use crate::{DecidedBy, RuleHits};

/// Rules that no port has any more are kept until there are so many.
const KEPT: usize = 1 << 16;

/// What was counted under numbers that went.
#[derive(Debug, Default)]
pub(super) struct Totals(HashMap<DecidedBy, u64>);

impl Kernel {
    /// As [`Dataplane::rule_hits`](crate::Dataplane::rule_hits).
    pub(crate) fn rule_hits(&self) -> Result<Vec<RuleHits>, ObserveError> {
        let mut hits = self.totals.0.clone();
        let mut counted = Vec::new();
        let each = |key: RuleKey, count: u64| counted.push((key, count));
        let read = self.maps.hits.for_each(each);
        read.map_err(|error| ObserveError::Map { map: maps::HITS, cause: chain(&error) })?;
        let mut names = Names::new(&self.policies);
        for (key, count) in counted {
            if let Some(by) = names.of(RuleId::new(key.policy, key.rule)) {
                *hits.entry(by).or_default() += count;
            }
        }
        let mut hits: Vec<_> = hits.into_iter().map(|(by, hits)| RuleHits { by, hits }).collect();
        hits.sort_unstable_by_key(|hits| hits.by);
        Ok(hits)
    }

    /// As [`Dataplane::rules`](crate::Dataplane::rules). One pass over the rules of each policy: a directory of all of them would
    /// cost more than the search, and changes wait meanwhile.
    pub(crate) fn rules(&self, ids: &[RuleId]) -> Vec<Option<DecidedBy>> {
        let mut wanted: BTreeMap<u32, BTreeMap<u32, Option<Rule>>> = BTreeMap::new();
        for RuleId { policy, rule } in ids {
            wanted.entry(*policy).or_default().extend(rule.map(|rule| (rule, None)));
        }
        for (policy, rules) in &mut wanted {
            let numbered = self.policies.tables(*policy).into_iter().flat_map(Tables::numbered);
            for (number, rule) in numbered {
                if let Some(found) = rules.get_mut(&number.0) {
                    *found = Some(*rule);
                }
            }
        }
        let meaning = |id: &RuleId| {
            let direction = self.policies.tables(id.policy)?.policy().direction();
            let Some(number) = id.rule else { return Some(DecidedBy { direction, rule: None }) };
            let rule = wanted.get(&id.policy)?.get(&number).copied()??;
            Some(DecidedBy { direction, rule: Some(rule) })
        };
        ids.iter().map(meaning).collect()
    }

    /// As [`Dataplane::trial`](crate::Dataplane::trial).
    pub(crate) fn trial(&mut self, trial: &Trial) -> Result<Verdict, TrialError> {
        let (_, observed) = self.last.as_ref().ok_or_else(|| TrialError::NoPort(trial.port.clone()))?;
        let link = observed.host_end(&trial.port).ok_or_else(|| TrialError::NoPort(trial.port.clone()))?;
        let program = self.programs.judge().map_err(|error| TrialError::Run(error.0))?;
        let answer = trial::run(program, link.index, trial)?;
        answer.verdict(trial.direction, |id| self.rules(&[id]).pop().flatten())
    }
}

impl Totals {
    /// Takes over what was counted under numbers that stand for nothing any more.
    pub(super) fn take_over(&mut self, left: &Left, table: &mut EntryTable<RuleKey, u64>) {
        for (key, by) in &left.retired {
            match table.take(key) {
                Ok(count) => self.add(*by, count.unwrap_or(0)),
                Err(error) => tracing::debug!(error = chain(&error), "hits of a rule are lost"),
            }
        }
        if left.gone.is_empty() {
            return;
        }
        let mut counted = Vec::new();
        let read = table.for_each(|key, count| {
            if left.gone.contains_key(&key.policy) {
                counted.push((key, count));
            }
        });
        if let Err(error) = read {
            return tracing::debug!(error = chain(&error), "hits of rules are lost");
        }
        let rules: HashMap<_, HashMap<u32, Rule>> = left
            .tables
            .iter()
            .map(|(number, tables)| (*number, tables.numbered().map(|(rule, it)| (rule.0, *it)).collect()))
            .collect();
        for (key, count) in &counted {
            let direction = left.tables.get(&key.policy).map(|tables| tables.policy().direction());
            let rule = rules.get(&key.policy).and_then(|rules| rules.get(&key.rule)).copied();
            if let Some(direction) = direction.filter(|_| rule.is_some() || key.rule == Ruling::DEFAULT) {
                self.add(DecidedBy { direction, rule }, *count);
            }
        }
        table.remove(&counted.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    }

    fn add(&mut self, by: DecidedBy, count: u64) {
        if count > 0 {
            if self.0.len() >= KEPT && !self.0.contains_key(&by) {
                self.0.clear();
            }
            *self.0.entry(by).or_default() += count;
        }
    }
}

/// What numbers stand for, with a directory of each policy that was asked for.
struct Names<'a> {
    policies: &'a Policies,
    rules: HashMap<u32, HashMap<u32, Rule>>,
}

impl<'a> Names<'a> {
    fn new(policies: &'a Policies) -> Self {
        Self { policies, rules: HashMap::new() }
    }

    fn of(&mut self, RuleId { policy, rule }: RuleId) -> Option<DecidedBy> {
        let tables = self.policies.tables(policy)?;
        let direction: Direction = tables.policy().direction();
        let Some(number) = rule else { return Some(DecidedBy { direction, rule: None }) };
        let directory = || tables.numbered().map(|(rule, it)| (rule.0, *it)).collect();
        let rules = self.rules.entry(policy).or_insert_with(directory);
        Some(DecidedBy { direction, rule: Some(*rules.get(&number)?) })
    }
}
