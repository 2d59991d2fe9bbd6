//! weft's API: its resources, what can be wrong with them, and a client.

pub mod resource;
pub mod view;
