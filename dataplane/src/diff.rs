//! Diff: what must change for the kernel to be as planned. Pure.

mod devices;
mod inside;
mod tables;

pub(crate) use devices::{Stage, devices, missing_neighbours};
pub(crate) use tables::MapDiff;
