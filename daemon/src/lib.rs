//! weftd's parts: config, store, model, plan, engine and API server.
pub mod config;
pub mod object;
pub mod store;
