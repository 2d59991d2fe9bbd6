//! Diff: what must change for the kernel to be as planned. Pure.

mod devices;
mod headroom;
mod inside;
mod tables;
mod xdp;

pub(crate) use devices::{Stage, devices, missing_neighbours};
pub(crate) use tables::MapDiff;
pub(crate) use xdp::xdp;
