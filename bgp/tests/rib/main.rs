//! The RIB between peers: what one announces, the others are told, in the bytes of the codec.

mod flow;
mod model;
mod refresh;
mod rules;
mod support;
mod targets;
