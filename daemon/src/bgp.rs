//! BGP as the daemon sees it: what the resources ask of a session, and of the instances of EVPN.
//!
//! [`session`] fills in what a peer and its group leave out, [`policy`] turns their rules into those of the RIB, [`plan`]
//! says what the speaker is to do for a model, and [`neighbours`] says it in the speaker's words. Whoever asks sends a
//! [`command`], which [`answers`] answers; [`groups`] are those of ports, [`subject`] reads what is to be explained, [`words`] writes what the speaker knows
//! as users read it.

pub mod answers;
pub mod command;
pub mod groups;
pub mod learned;
pub mod neighbours;
pub mod plan;
pub mod policy;
pub mod session;
pub mod subject;
pub mod task;
mod underlay;
pub mod words;

/// Said to whoever wants BGP of a host that speaks none.
pub const NO_BGP: &str = "this host speaks no BGP: weftd.toml has no [bgp] section";
