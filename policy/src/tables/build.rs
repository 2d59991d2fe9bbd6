//! From a policy and the tables before to the next tables.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use ipnet::IpNet;

use super::classes::{ClassKey, Classes, fits};
use super::rows::{PeerKey, Row, edited};
use super::{ClassId, Identity, NumberedRules, Numbers, Size, Table, Tables, TooLarge};
use crate::profile::{Profile, Spec};
use crate::{Family, GroupId, GroupSet, Policy, RuleNumber};

impl Tables {
    /// Tables of no rule, with the direction and default of `policy`.
    pub(super) fn empty(policy: &Policy) -> Self {
        Self {
            rules: NumberedRules::empty(policy),
            rows: Vec::new(),
            classes: Vec::new(),
            class_ids: Numbers::default(),
            identities: Vec::new(),
            size: Size::default(),
        }
    }

    /// The tables after these, and the rules that are new in them.
    pub(super) fn next(
        &self,
        policy: &Policy,
        identities: &BTreeMap<Identity, GroupSet>,
        limit: &Size,
    ) -> Result<(Self, Vec<RuleNumber>), TooLarge> {
        let (rules, changes) = self.rules.next(policy);
        let mut rows = edited(&self.rows, &changes);
        let (any, rest) = rows.split_at(rows.partition_point(|row| matches!(row.key, PeerKey::Any(_))));
        let (prefixes, groups) =
            rest.split_at(rest.partition_point(|row| matches!(row.key, PeerKey::Prefix(_))));
        let peers = prefixes.iter().filter(|row| !row.specs.is_empty()).count();
        fits(Table::Peers, peers, limit.peers)?;

        let mut classes = Classes::new(self, limit);
        add_any(any, &mut classes)?;
        add_prefixes(prefixes, &mut classes)?;
        let identities = add_groups(groups, identities, &mut classes)?;
        fits(Table::Identities, identities.len(), limit.identities)?;

        let (classes, class_ids, services) = classes.finish();
        rows.retain(|row| !row.specs.is_empty());
        let size = Size { peers, identities: identities.len(), services };
        let added = changes.added.into_iter().map(|(_, number)| number).collect();
        Ok((Self { rules, rows, classes, class_ids, identities, size }, added))
    }
}

/// The classes of both families are always there, so that their numbers are 0 and 1.
fn add_any(rows: &[Row], classes: &mut Classes<'_>) -> Result<(), TooLarge> {
    for family in [Family::V4, Family::V6] {
        let row = rows.iter().find(|row| row.key == PeerKey::Any(family));
        let profile = || Profile::of(row.map_or(&[], |row| &row.specs));
        classes.add(ClassKey::Any(family), row.is_some_and(|row| row.touched), profile)?;
    }
    Ok(())
}

/// A prefix on the way from the widest one to that at hand.
struct Level<'a> {
    prefix: IpNet,
    specs: &'a [Spec],
    /// Whether its rules, or those of a wider one, are not what they were.
    touched: bool,
    /// The best of its rules and those of the wider ones, once it was needed.
    profile: Option<Profile>,
}

/// A class for each prefix, with the rules of all prefixes that contain it.
fn add_prefixes(rows: &[Row], classes: &mut Classes<'_>) -> Result<(), TooLarge> {
    let mut levels: Vec<Level<'_>> = Vec::new();
    for row in rows {
        let PeerKey::Prefix(prefix) = row.key else { continue };
        while levels.pop_if(|level| !level.prefix.contains(&prefix)).is_some() {}
        let touched = row.touched || levels.last().is_some_and(|level| level.touched);
        levels.push(Level { prefix, specs: &row.specs, touched, profile: None });
        if !row.specs.is_empty() {
            classes.add(ClassKey::Prefix(prefix), touched, || profile(&mut levels))?;
        }
    }
    Ok(())
}

/// The profile of the last level.
fn profile(levels: &mut [Level<'_>]) -> Profile {
    let mut wider: Option<&Profile> = None;
    for level in levels {
        let specs = level.specs;
        wider = Some(level.profile.get_or_insert_with(|| {
            let own = Profile::of(specs);
            wider.map_or_else(|| own.clone(), |wider| own.best(wider))
        }));
    }
    wider.cloned().unwrap_or_else(|| Profile::of(&[]))
}

/// A class for each set of groups that an identity has of those that the policy names, and the classes of identities.
fn add_groups(
    rows: &[Row],
    identities: &BTreeMap<Identity, GroupSet>,
    classes: &mut Classes<'_>,
) -> Result<Vec<(Identity, ClassId)>, TooLarge> {
    let row =
        |group| rows.binary_search_by_key(&PeerKey::Group(group), |row| row.key).ok().map(|at| &rows[at]);
    let named = |group| row(group).is_some_and(|row| !row.specs.is_empty());
    let mut sets: Vec<_> = identities
        .iter()
        .map(|(identity, groups)| (groups.only(named), *identity))
        .filter(|(set, _)| !set.is_empty())
        .collect();
    sets.sort_unstable();

    let mut profiles: HashMap<GroupId, Profile> = HashMap::new();
    let mut of_identities = Vec::with_capacity(sets.len());
    for same in sets.chunk_by(|(one, _), (other, _)| one == other) {
        let set = &same[0].0;
        let touched = set.iter().any(|group| row(group).is_some_and(|row| row.touched));
        let profile = || {
            set.iter().filter_map(|group| row(group).map(|row| (group, row))).fold(
                Profile::of(&[]),
                |best, (group, row)| {
                    best.best(profiles.entry(group).or_insert_with(|| Profile::of(&row.specs)))
                },
            )
        };
        let class = classes.add(ClassKey::Groups(set.clone()), touched, profile)?;
        of_identities.extend(same.iter().map(|(_, identity)| (*identity, class)));
    }
    of_identities.sort_unstable();
    Ok(of_identities)
}
