//! A set of the families that the RIB holds routes of.

use crate::wire::Family;

/// The families in a fixed order: route targets first, for they say which of the others are wanted.
pub(super) const ALL: [Family; 4] =
    [Family::ROUTE_TARGETS, Family::EVPN, Family::IPV4_UNICAST, Family::IPV6_UNICAST];

/// A set of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Families(u8);

/// Where the family stands in [`ALL`].
pub(super) fn index(family: Family) -> Option<usize> {
    ALL.iter().position(|held| *held == family)
}

impl Families {
    pub(super) const NONE: Self = Self(0);
    pub(super) const EVERY: Self = Self(0b1111);

    pub(super) fn of(families: &[Family]) -> Self {
        families.iter().fold(Self::NONE, |set, family| set.with(*family))
    }

    pub(super) fn with(self, family: Family) -> Self {
        index(family).map_or(self, |bit| Self(self.0 | 1 << bit))
    }

    pub(super) fn without(self, family: Family) -> Self {
        index(family).map_or(self, |bit| Self(self.0 & !(1 << bit)))
    }

    /// Of these, this one.
    pub(super) fn only(self, family: Family) -> Self {
        if self.has(family) { Self::of(&[family]) } else { Self::NONE }
    }

    pub(super) const fn with_all(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, family: Family) -> bool {
        index(family).is_some_and(|bit| self.0 & 1 << bit != 0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Family> {
        ALL.into_iter().filter(move |family| self.has(*family))
    }
}
