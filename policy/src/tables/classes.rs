//! Classes in the making: those that are as they were are taken from the tables before, with their numbers.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::slice;
use std::sync::Arc;

use ipnet::IpNet;

use super::{ClassId, Numbers, Size, Table, Tables, TooLarge};
use crate::cover::{Cover, Entry};
use crate::profile::Profile;
use crate::{Family, GroupSet};

/// Which peers a class stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClassKey {
    /// All of a family.
    Any(Family),
    /// Those whose longest prefix this is.
    Prefix(IpNet),
    /// Those that are members of just these groups of the policy.
    Groups(GroupSet),
}

/// A class's number and its entries in `services`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) id: ClassId,
    pub(super) entries: Box<[Entry]>,
}

/// Collects classes in the order of their keys.
pub(super) struct Classes<'a> {
    /// Those of the tables before whose keys are still to come.
    old: Peekable<slice::Iter<'a, (ClassKey, Arc<Class>)>>,
    classes: Vec<(ClassKey, Arc<Class>)>,
    ids: Numbers,
    /// Numbers of classes that are no more.
    gone: Vec<u32>,
    services: usize,
    limit: &'a Size,
    cover: Cover,
}

impl ClassKey {
    pub(super) const fn prefix(&self) -> Option<IpNet> {
        match self {
            Self::Prefix(prefix) => Some(*prefix),
            Self::Any(_) | Self::Groups(_) => None,
        }
    }

    pub(super) const fn groups(&self) -> Option<&GroupSet> {
        match self {
            Self::Groups(groups) => Some(groups),
            Self::Any(_) | Self::Prefix(_) => None,
        }
    }
}

impl<'a> Classes<'a> {
    pub(super) fn new(old: &'a Tables, limit: &'a Size) -> Self {
        Self {
            old: old.classes.iter().peekable(),
            classes: Vec::with_capacity(old.classes.len()),
            ids: old.class_ids.clone(),
            gone: Vec::new(),
            services: 0,
            limit,
            cover: Cover::default(),
        }
    }

    /// Adds the class of `key`; its `profile` is asked for if it is new or its rules are `touched`.
    pub(super) fn add(
        &mut self,
        key: ClassKey,
        touched: bool,
        profile: impl FnOnce() -> Profile,
    ) -> Result<ClassId, TooLarge> {
        while let Some((_, gone)) = self.old.next_if(|(other, _)| *other < key) {
            self.gone.push(gone.id.0);
        }
        let old = self.old.next_if(|(other, _)| other.cmp(&key) == Ordering::Equal).map(|(_, class)| class);
        let class = match old {
            Some(class) if !touched => Arc::clone(class),
            _ => {
                let id = old.map_or_else(|| ClassId(self.ids.take()), |class| class.id);
                Arc::new(Class { id, entries: self.cover.entries(&profile()) })
            }
        };
        self.services += class.entries.len();
        fits(Table::Services, self.services, self.limit.services)?;
        let id = class.id;
        self.classes.push((key, class));
        Ok(id)
    }

    /// The classes, and the numbers for those to come.
    pub(super) fn finish(mut self) -> (Vec<(ClassKey, Arc<Class>)>, Numbers, usize) {
        self.gone.extend(self.old.map(|(_, class)| class.id.0));
        self.ids.give_back(self.gone);
        (self.classes, self.ids, self.services)
    }
}

/// Refuses what is more than the limit.
pub(super) const fn fits(table: Table, needed: usize, limit: usize) -> Result<(), TooLarge> {
    if needed > limit { Err(TooLarge { table, needed, limit }) } else { Ok(()) }
}
