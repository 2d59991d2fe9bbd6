//! What can go wrong, in words for the person who has to do something about it.

use std::error::Error;
use std::path::PathBuf;

/// Why the data plane could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pin folder is on another file system.
    #[error(
        "pin folder {path} is not on a BPF file system: mount one (`mount -t bpf bpf /sys/fs/bpf`) or configure a \
         folder on one"
    )]
    NotBpffs {
        /// The pin folder.
        path: PathBuf,
    },
    /// The pin folder, or something in it, cannot be read, made or removed.
    #[error("pin folder {path}: {source}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Another process manages the pin folder.
    #[error("pin folder {path} is in use by another weftd: stop it, or give each weftd a folder of its own")]
    InUse {
        /// The pin folder.
        path: PathBuf,
    },
    /// Another process manages the network namespace.
    #[error(
        "another weftd manages this network namespace (`ss -xap | grep @{name}` shows it): stop it, or run this one in \
         a network namespace of its own"
    )]
    NamespaceInUse {
        /// The abstract unix socket that it holds.
        name: &'static str,
    },
    /// It cannot be made sure that no other process manages the network namespace.
    #[error(
        "cannot take the abstract unix socket @{name}, by which one weftd manages a network namespace: {source}"
    )]
    Namespace {
        /// The socket.
        name: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The pinned maps are of another version of weft.
    #[error(
        "the maps pinned in {path} hold ABI version {pinned}, this weftd speaks {ours}: run the weftd that made \
         them, or remove them with `weft teardown`, which interrupts the workloads until weftd runs again. The kernel goes on \
         forwarding as it is"
    )]
    Abi {
        /// The pin folder.
        path: PathBuf,
        /// The version of the maps.
        pinned: u32,
        /// The version of this program.
        ours: u32,
    },
    /// A pinned map has a layout that cannot be carried over: another kind or key, under the same ABI version.
    #[error(
        "the map pinned at {path} is {pinned}, but this weftd makes {ours}, and entries are carried over only between \
         maps of one kind and key size: run the weftd that made it, or remove the maps with `weft teardown`, which \
         interrupts the workloads until weftd runs again. The kernel goes on forwarding as it is"
    )]
    Shape {
        /// The map's pin.
        path: PathBuf,
        /// What is pinned.
        pinned: String,
        /// What this program would make.
        ours: String,
    },
    /// What a map holds does not fit into the size that is configured.
    #[error(
        "{configured} entries fit into the map {map} as configured, but the kernel holds {needed}: raise {key} in \
         weftd.toml, or start with the old size, remove objects, and then make it smaller. The kernel goes on \
         forwarding as it is"
    )]
    TooSmall {
        /// The map.
        map: &'static str,
        /// Key of the configuration.
        key: &'static str,
        /// How many entries would fit.
        configured: u32,
        /// How many there are, or the highest slot in use.
        needed: u32,
    },
    /// The maps of the configured sizes do not fit into memory.
    #[error(
        "the maps of the configured sizes need {at_once} MiB at once and {full} MiB when they are full, but of {total} \
         MiB of memory (the machine's, or the control group's) {available} MiB are available. Most of it is for the map \
         {map}, {largest} MiB: lower {key} in weftd.toml. The kernel goes on forwarding as it is"
    )]
    Memory {
        /// MiB when they are made.
        at_once: u64,
        /// MiB when they are full.
        full: u64,
        /// MiB that are free.
        available: u64,
        /// MiB that there are.
        total: u64,
        /// The map that takes most.
        map: &'static str,
        /// MiB of that map when it is full.
        largest: u64,
        /// Key of the configuration.
        key: &'static str,
    },
    /// A map's entries could not be copied to one of another size or layout.
    #[error(
        "cannot copy the map {map} to one of this weftd's size and layout: {cause}. The kernel goes on forwarding as it is"
    )]
    Copy {
        /// The map.
        map: &'static str,
        /// What happened.
        cause: String,
    },
    /// Another pin folder's programs are on a device of ours.
    #[error(
        "another pin folder than {path} holds weft's program {program} on device {device}, and its programs would drop \
         what those of this folder should get: set bpf.pin_folder in weftd.toml back, or run `weft teardown` with the \
         old configuration"
    )]
    OtherFolder {
        /// The pin folder.
        path: PathBuf,
        /// The program.
        program: String,
        /// The device.
        device: String,
    },
    /// The pinned links are on devices of another network namespace.
    #[error(
        "the programs pinned in {path} are on devices of another network namespace than the one that this was started \
         in: start it there (`nsenter --net=…`), or give each weftd a folder of its own (bpf.pin_folder in weftd.toml)"
    )]
    OtherNamespace {
        /// The pin folder.
        path: PathBuf,
    },
    /// It cannot be asked which programs are on a device.
    #[error("cannot tell which programs are on device {device}: {cause}")]
    Programs {
        /// The device.
        device: String,
        /// What happened.
        cause: String,
    },
    /// The pinned maps follow another store.
    #[error(
        "the kernel follows the store {pinned} (pin folder {path}), but this weftd's store is {ours}, so it would remove \
         what the other one wants. The kernel goes on forwarding as it is. Restore the state folder (state.folder in \
         weftd.toml), or start once with `weftd --take-over`, which removes what only the other store wants, or remove \
         everything with `weft teardown`"
    )]
    OtherOwner {
        /// The pin folder.
        path: PathBuf,
        /// The store that the maps follow.
        pinned: String,
        /// The store that was to be followed.
        ours: String,
    },
    /// A store's id is not lower-case hexadecimal digits.
    #[error("{store:?} is no id of a store: it must be lower-case hexadecimal digits")]
    NoStore {
        /// What was given.
        store: String,
    },
    /// Links are pinned, but not the ABI version of their maps.
    #[error(
        "programs are attached from {path}, but the ABI version of their maps is not pinned there: somebody \
         removed it. Remove the rest with `weft teardown`"
    )]
    Unmarked {
        /// The pin folder.
        path: PathBuf,
    },
    /// A pin cannot be made, opened or replaced.
    #[error("pin {path}: {cause}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// What happened.
        cause: String,
    },
    /// The kernel does not take the object.
    #[error(
        "the eBPF object does not load: {cause}. weft needs root (or CAP_BPF and CAP_NET_ADMIN) and Linux 6.1"
    )]
    Load {
        /// What happened.
        cause: String,
    },
    /// The kernel does not say whether it has tcx.
    #[error(
        "cannot ask the kernel whether it has tcx: {source}. weft needs root (or CAP_BPF and CAP_NET_ADMIN)"
    )]
    Hook {
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The kernel has no tcx, which is asked for.
    #[error(
        "bpf.hook in weftd.toml asks for tcx, which this kernel has not: remove the line, or boot Linux 6.6 or newer"
    )]
    NoTcx,
    /// The kernel does not take a program.
    #[error("the eBPF program {name} does not load: {cause}")]
    Program {
        /// The program.
        name: &'static str,
        /// What happened, with the verifier's words.
        cause: String,
    },
    /// The kernel cannot be asked.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// Why a question to the kernel failed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// By netlink.
    #[error("cannot read the kernel's {what}: {cause}")]
    Netlink {
        /// What was asked for.
        what: &'static str,
        /// What happened.
        cause: String,
    },
    /// In a pinned map.
    #[error("cannot read the map {map}: {cause}")]
    Map {
        /// The map.
        map: &'static str,
        /// What happened.
        cause: String,
    },
    /// In the pin folder.
    #[error("cannot read the pin folder {path}: {source}")]
    Pins {
        /// The pin folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The data plane's thread has ended.
    #[error("the data plane's thread has ended: see the log for the panic that ended it, and restart weftd")]
    Gone,
}

/// Why a program could not be attached to a device.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AttachError(pub(crate) String);

/// An error and its sources in one line. aya's errors show only themselves.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}
