//! Security groups as the programs look them up: three tables, as `docs/design/policy.md` has them, with the number of the
//! policy in front of each key, so that all policies of a host share them. Number 0 is a policy without rules.

use core::net::IpAddr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::address::IpKey;
use crate::seal::sealed;
use crate::{Scope, assert_size};

/// What a peer is to a policy: the value of a prefix and of an identity. Its scope is the policy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PolicyClass {
    class: u32,
    seal: u32,
}
assert_size!(PolicyClass, 8);
sealed!(PolicyClass);

impl PolicyClass {
    /// The class `class` of `policy`.
    #[must_use]
    pub const fn new(policy: u32, class: u32) -> Self {
        Self { class, seal: 0 }.sealed(Scope::raw(policy))
    }

    /// Its number.
    #[must_use]
    #[inline(always)]
    pub const fn get(&self) -> u32 {
        self.class
    }
}

/// The members of the same groups, seen by a policy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IdentityKey {
    /// Number of the policy.
    pub policy: u32,
    /// Number of the set of groups.
    pub identity: u32,
}
assert_size!(IdentityKey, 8);

/// The key of a peer's prefix: as that of a network's, with the policy in its place.
#[must_use]
pub const fn peer_key(policy: u32, address: IpAddr) -> IpKey {
    match address {
        IpAddr::V4(v4) => IpKey::ipv4(policy, v4.octets()),
        IpAddr::V6(v6) => IpKey::ipv6(policy, v6.octets()),
    }
}

/// Services of a class of a policy. As an LPM key its first 64 bits always count, then up to 24 of the service.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ServiceKey {
    policy: u32,
    class: u32,
    /// The protocol; the destination port, or ICMP's type and code.
    service: [u8; 3],
    padding: u8,
}
assert_size!(ServiceKey, 12);

impl ServiceKey {
    /// Bits in front of the service.
    pub const SCOPE_BITS: u32 = 64;
    /// Bits of a service.
    pub const SERVICE_BITS: u32 = 24;

    /// A service of `class` in `policy`; of a prefix its first bits, then zeros.
    #[must_use]
    #[inline(always)]
    pub const fn new(policy: u32, class: u32, service: [u8; 3]) -> Self {
        Self { policy, class, service, padding: 0 }
    }

    /// What an entry is for.
    #[must_use]
    #[inline(always)]
    pub const fn scope(&self) -> Scope {
        Scope::raw(self.policy.rotate_left(16) ^ self.class)
    }

    /// Number of the policy.
    #[must_use]
    pub const fn policy(&self) -> u32 {
        self.policy
    }
}

/// The best rule for a service. The lowest number counts; none is the highest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PolicyRule {
    low: u32,
    high: u32,
    seal: u32,
}
assert_size!(PolicyRule, 12);
sealed!(PolicyRule);

impl PolicyRule {
    /// No rule matches.
    pub const NONE: u64 = u64::MAX;

    /// From the highest bit of `bits`: 16 of the priority, 14 that are 0, one for allow, one for stateless, 32 of the rule's
    /// number.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the number")]
    pub const fn new(key: &ServiceKey, bits: u64) -> Self {
        Self { low: bits as u32, high: (bits >> 32) as u32, seal: 0 }.sealed(key.scope())
    }

    /// The whole number.
    #[must_use]
    #[inline(always)]
    pub const fn bits(&self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }
}

/// What a policy says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it goes on.
    pub allowed: bool,
    /// Whether the next packet of the connection is judged anew.
    pub stateless: bool,
    /// Number of the rule that says so, or [`Ruling::DEFAULT`].
    pub rule: u32,
}

impl Ruling {
    /// In the place of a rule's number: no rule matched.
    pub const DEFAULT: u32 = u32::MAX;
    const ALLOW: u64 = 1 << 33;
    const STATELESS: u64 = 1 << 32;

    /// What the best of all rules that were found says, or else the default.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the rule's number is the lower half")]
    pub const fn of(best: u64, default_allows: bool) -> Self {
        if best == PolicyRule::NONE {
            return Self { allowed: default_allows, stateless: false, rule: Self::DEFAULT };
        }
        Self { allowed: best & Self::ALLOW != 0, stateless: best & Self::STATELESS != 0, rule: best as u32 }
    }
}

/// A rule of a policy, by number: whose hits are counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RuleKey {
    /// Number of the policy.
    pub policy: u32,
    /// Number of the rule, or [`Ruling::DEFAULT`].
    pub rule: u32,
}
assert_size!(RuleKey, 8);

/// One of the groups that a set consists of: the numbers of sets outlive a daemon.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MembershipKey {
    /// Number of the set.
    pub identity: u32,
    /// Number of the group.
    pub group: u32,
}
assert_size!(MembershipKey, 8);

/// A MAC besides its own from which a port may send what has an address of the prefix. Its scope is the interface index, which
/// is also in the place of the network in the key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct AllowedPair {
    mac: [u8; 6],
    padding: [u8; 2],
    seal: u32,
}
assert_size!(AllowedPair, 12);
sealed!(AllowedPair);

impl AllowedPair {
    /// `mac`, for the port behind `ifindex`.
    #[must_use]
    pub const fn new(ifindex: u32, mac: weft_vxlan::MacAddr) -> Self {
        Self { mac: mac.bytes(), padding: [0; 2], seal: 0 }.sealed(Scope::raw(ifindex))
    }

    /// The MAC.
    #[must_use]
    #[inline(always)]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }
}
