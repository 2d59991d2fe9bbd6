//! weftd's parts: config, store, model, plan, engine and API server.
//!
//! An intent's walk: [`server`] reads a request, [`change`] says what the [`intent`] would become, [`model`] checks it
//! as a whole, [`store`] keeps it, [`desired`] turns it into what the kernel should do, and the data plane does it.
//! [`engine`] is where these meet; all before it is pure.

pub mod bgp;
pub mod board;
pub mod change;
pub mod config;
pub mod decided;
pub mod desired;
pub mod drops;
pub mod engine;
pub mod flows;
pub mod intent;
pub mod model;
pub mod names;
pub mod netns;
pub mod policy_test;
pub mod routes;
pub mod run;
pub mod self_test;
pub mod server;
pub mod store;
pub mod time;
