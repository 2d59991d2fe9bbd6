//! Diff: what must change for the kernel to be as planned. Pure.

mod devices;
mod inside;
mod tables;
mod xdp;

pub(crate) use devices::{Stage, devices};
pub(crate) use tables::MapDiff;
pub(crate) use xdp::xdp;
