//! The eBPF side of the kernel: the object with the programs, their maps and links, and the pins that keep them
//! there without a daemon.

mod clsact;
mod elements;
mod guard;
mod hook;
mod inventory;
mod links;
mod maps;
mod mark;
mod memory;
mod object;
mod pins;
mod resize;
mod strangers;
mod sys;

pub(crate) use elements::Refused;
pub(crate) use links::Attachment;
pub(crate) use maps::{Counters, EntryTable, Maps, PrefixKey, Table, size_key};
pub(crate) use object::Programs;
pub(crate) use pins::PinFolder;
