//! weft's API: its resources, what can be wrong with them, the files that people write them in, and a client.

pub mod client;
pub mod document;
pub mod kind;
pub mod resource;
pub mod view;
