//! The other end of a packet: where it comes from on ingress, where it goes on egress.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::Packet;

/// A security group's number: the group id that routes carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// A set of groups, such as those that a peer is a member of. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupSet(Arc<[GroupId]>);

/// Which peers a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Every one, of both address families.
    Any,
    /// Those with an address of the prefix, which has no host bits.
    Prefix(IpNet),
    /// The members of a group.
    Group(GroupId),
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl GroupSet {
    /// No group.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// The groups, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = GroupId> {
        self.0.iter().copied()
    }

    /// Whether `group` is one of them.
    #[must_use]
    pub fn contains(&self, group: GroupId) -> bool {
        self.0.binary_search(&group).is_ok()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of the groups that are `wanted`.
    pub(crate) fn only(&self, wanted: impl Fn(GroupId) -> bool) -> Self {
        if self.iter().all(&wanted) {
            self.clone()
        } else {
            self.iter().filter(|group| wanted(*group)).collect()
        }
    }
}

impl FromIterator<GroupId> for GroupSet {
    fn from_iter<T: IntoIterator<Item = GroupId>>(groups: T) -> Self {
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_unstable();
        groups.dedup();
        Self(groups.into())
    }
}

impl Peer {
    /// Whether the packet's peer is one of them.
    pub(crate) fn matches(&self, packet: &Packet<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => prefix.contains(&packet.peer),
            Self::Group(group) => packet.groups.contains(*group),
        }
    }
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The family of a prefix.
    #[must_use]
    pub const fn of_prefix(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }
}
