//! weftd's parts: config, store, model, plan, engine and API server.
pub mod change;
pub mod config;
pub mod desired;
pub mod intent;
pub mod model;
pub mod object;
pub mod routes;
pub mod store;
