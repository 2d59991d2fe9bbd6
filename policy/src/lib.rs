//! Security groups, compiled into tables whose look-up costs the same for ten rules and for a hundred thousand.
//!
//! Pure. The [`Rule`]s of a port's groups, for one direction, are a [`Policy`]; [`Policy::evaluate`] walks them, and is
//! what all else here must agree with. [`Tables`] are what a policy compiles to, [`Change`]s lead from one version to
//! the next, and [`Maps`] are the kernel's maps and what its programs look up in them.
//! `docs/design/policy.md` says why it is built so.

mod candidate;
mod cover;
mod maps;
mod packet;
mod peer;
mod policy;
mod profile;
mod rule;
mod service;
mod tables;

pub use candidate::{Candidate, RuleNumber};
pub use maps::{Maps, Verdict};
pub use packet::Packet;
pub use peer::{Family, GroupId, GroupSet, Peer};
pub use policy::{Decision, Origin, Policy, Reason, SecurityGroup, origins};
pub use rule::{Action, Direction, Rule, RuleError, RuleSpec};
pub use service::{Icmp, Protocol, Service, ServicePrefix};
pub use tables::{Change, ClassId, Identity, ServiceKey, Size, Table, Tables, TooLarge, Update};
