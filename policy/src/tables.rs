//! What a policy compiles to: three tables, and a look-up of at most five entries.
//!
//! A *class* is a kind of peer. The peer's address has one (`peers`, longest prefix), its identity has one (`identities`),
//! and each address family has one for rules about any peer. `services` has the best rule by class and service (longest
//! prefix). Of the rules that the classes of a packet find, the best counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cover::Entry;
use crate::{
    Candidate, Decision, Family, GroupSet, Policy, Reason, Rule, RuleNumber, ServicePrefix, Verdict,
};

mod build;
mod changes;
mod classes;
mod numbers;
mod rows;
mod rules;

pub use changes::Change;
use classes::{Class, ClassKey};
use numbers::Numbers;
use rows::Row;
use rules::NumberedRules;

/// The number of a class. It stands for the same peers as long as the class is there: those that have one prefix of the
/// policy as their longest, or that are members of the same groups of those that the policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u32);

/// The number of a set of groups, given by the caller, such as one for all peers that are members of the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub u32);

/// The key of an entry in `services`: 32 bits of the class, and those of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The class.
    pub class: ClassId,
    /// The services.
    pub prefix: ServicePrefix,
}

/// How many entries each table has, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Prefixes of peers.
    pub peers: usize,
    /// Identities that are members of a group that the policy names.
    pub identities: usize,
    /// Services of all classes.
    pub services: usize,
}

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Class by the peer's address.
    Peers,
    /// Class by the peer's identity.
    Identities,
    /// Rule by class and service.
    Services,
}

/// A policy does not fit. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy takes {needed} entries or more in the table of {table}, which may have {limit}: raise the limit, or name fewer \
     prefixes within each other (each takes the rules of all that contain it) and fewer ranges of ports"
)]
pub struct TooLarge {
    /// The table.
    pub table: Table,
    /// What it takes at least: compiling ends at the first class that does not fit.
    pub needed: usize,
    /// What it may have.
    pub limit: usize,
}

/// A compiled policy. Clones, and versions that follow from each other, share what is the same.
#[derive(Debug, Clone)]
pub struct Tables {
    rules: NumberedRules,
    /// The rules of each peer that one names, by peer.
    rows: Vec<Row>,
    /// By key.
    classes: Vec<(ClassKey, Arc<Class>)>,
    class_ids: Numbers,
    /// By identity.
    identities: Vec<(Identity, ClassId)>,
    size: Size,
}

/// The tables of a changed policy, and the way there.
#[derive(Debug, Clone)]
pub struct Update {
    /// The new tables.
    pub tables: Tables,
    /// What leads from the entries of the old tables to those of the new ones, one by one.
    ///
    /// As long as identities keep their groups, and [`Change::Wait`] is heeded, a packet that is looked up in between finds
    /// by its family, its address and its identity each what it found before or what it will find. If one rule was added,
    /// removed or replaced, its verdict is thus the old or the new one.
    pub changes: Vec<Change>,
    /// How many entries there are at most while the changes are made one by one.
    pub most: Size,
}

impl ClassId {
    /// The class of all peers of a family.
    #[must_use]
    pub const fn any(family: Family) -> Self {
        match family {
            Family::V4 => Self(0),
            Family::V6 => Self(1),
        }
    }
}

impl Tables {
    /// Compiles a policy. `identities` are the sets of groups that peers are known to have.
    ///
    /// # Errors
    /// [`TooLarge`] as soon as a table would have more entries than `limit` says.
    pub fn compile(
        policy: &Policy,
        identities: &BTreeMap<Identity, GroupSet>,
        limit: &Size,
    ) -> Result<Self, TooLarge> {
        let (tables, _) = Self::empty(policy).next(policy, identities, limit)?;
        Ok(tables)
    }

    /// Compiles another version of the policy, or other identities, with the numbers that rules and classes have here.
    /// What a rule does not touch is not compiled again.
    ///
    /// Numbers that become free are given to others by the change after this one. So the changes of each update are to be
    /// made before those of the next.
    ///
    /// # Errors
    /// [`TooLarge`] as soon as a table would have more entries than `limit` says.
    pub fn recompile(
        &self,
        policy: &Policy,
        identities: &BTreeMap<Identity, GroupSet>,
        limit: &Size,
    ) -> Result<Update, TooLarge> {
        let (tables, added) = self.next(policy, identities, limit)?;
        let (changes, most) = changes::between(self, &tables, &added);
        Ok(Update { tables, changes, most })
    }

    /// How many entries there are.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        self.rules.policy()
    }

    /// All entries, as changes that fill empty tables, which nobody looks anything up in yet.
    pub fn entries(&self) -> impl Iterator<Item = Change> {
        let services = self.classes.iter().flat_map(|(_, class)| class.entries());
        let services = services.map(|(key, best)| Change::SetService(key, best));
        let peers = self.peers().map(|(prefix, class)| Change::SetPeer(prefix, class));
        let identities =
            self.identities.iter().map(|(identity, class)| Change::SetIdentity(*identity, *class));
        let default = Change::SetDefault(self.policy().default_action());
        services.chain(peers).chain(identities).chain(std::iter::once(default))
    }

    /// The index in [`Policy::rules`] of the rule with a number that an entry has. It takes a walk over the rules: for
    /// explanations.
    #[must_use]
    pub fn index_of(&self, number: RuleNumber) -> Option<usize> {
        self.rules.index_of(number)
    }

    /// The rules with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (RuleNumber, &Rule)> {
        self.rules.numbered()
    }

    /// What a look-up found, in the words of [`Policy::evaluate`].
    ///
    /// Of rules that are alike in priority, action and state, this may be another one than the evaluator names, if the
    /// tables have seen changes: that with the lowest number, which is the one that was there first.
    #[must_use]
    pub fn explain(&self, verdict: Verdict) -> Decision {
        let rule = verdict.rule.and_then(|number| self.index_of(number));
        let reason = rule.map_or(Reason::Default, Reason::Rule);
        Decision { action: verdict.action, stateless: verdict.stateless, reason }
    }

    fn peers(&self) -> impl Iterator<Item = (IpNet, ClassId)> {
        self.classes.iter().filter_map(|(key, class)| key.prefix().map(|prefix| (prefix, class.id)))
    }
}

impl Class {
    fn entries(&self) -> impl Iterator<Item = (ServiceKey, Candidate)> {
        let id = self.id;
        self.entries
            .iter()
            .map(move |Entry { prefix, best }| (ServiceKey { class: id, prefix: *prefix }, *best))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peers => "peers",
            Self::Identities => "identities",
            Self::Services => "services",
        })
    }
}

#[cfg(test)]
mod tests;
