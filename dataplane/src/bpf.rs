//! The eBPF side of the kernel: the object with the programs, their maps and links, and the pins that keep them
//! there without a daemon.

mod clsact;
mod elements;
mod grace;
mod guard;
mod hook;
mod inventory;
mod links;
mod log;
mod maps;
mod mark;
mod memory;
mod object;
mod pins;
mod resize;
mod strangers;
mod sys;
mod tallies;
mod untyped;
mod xdp;

pub(crate) use elements::{Refused, Walk};
pub(crate) use grace::grace_period;
pub(crate) use links::Attachment;
pub(crate) use log::KernelLog;
pub(crate) use maps::{
    Counters, EntryTable, Maps, PathMtuSignal, Plain, PrefixKey, ServicePrefixKey, Table, pinned, size_key,
};
pub(crate) use object::Programs;
pub(crate) use pins::PinFolder;
pub(crate) use tallies::{FlowTallies, Generation};
