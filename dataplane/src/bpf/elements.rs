//! The elements of a hash map or LPM trie, many at a time: `BPF_MAP_LOOKUP_BATCH`, `_UPDATE_BATCH` and `_DELETE_BATCH`
//! (Linux 5.6; for tries 5.13), which aya has no wrapper for. A system call an element costs more than the element.
//!
//! A map that has no batch operations, or an element that is refused, is worked on one by one.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::maps::Plain;
use super::sys::bpf;

const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: libc::c_long = 21;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_UPDATE_BATCH: libc::c_long = 26;
const BPF_MAP_DELETE_BATCH: libc::c_long = 27;
const BPF_NOEXIST: u64 = 1;

/// Elements a system call: enough that its own cost does not matter.
const BATCH: usize = 4096;
/// Bytes of the longest key: a batch of a trie goes on from a key.
const LONGEST_KEY: usize = 64;

/// The start of the kernel's `union bpf_attr` for one element.
#[repr(C)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The start of the kernel's `union bpf_attr` for many.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    /// In: how many there are, or fit. Out: how many were worked on.
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// An element that the kernel refused, by its place among those given.
pub(crate) type Refused = (usize, io::Error);

/// A walk over a map's entries, a batch after the other. What comes and goes meanwhile may be seen or not.
#[derive(Debug)]
pub(crate) struct Walk<K, V> {
    from: Option<[u8; LONGEST_KEY]>,
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K: Plain, V: Plain> Walk<K, V> {
    const KEY_FITS: () = assert!(size_of::<K>() <= LONGEST_KEY);

    /// From the beginning.
    pub(crate) fn new() -> Self {
        let () = Self::KEY_FITS;
        Self { from: None, keys: vec![K::new_zeroed(); BATCH], values: vec![V::new_zeroed(); BATCH] }
    }

    /// Calls `each` with the entries of the next batch; says whether there is another. Keys and values must be of the
    /// map's sizes.
    pub(super) fn step(&mut self, map: BorrowedFd<'_>, mut each: impl FnMut(K, V)) -> io::Result<bool> {
        let mut to = [0_u8; LONGEST_KEY];
        loop {
            let mut batch = Batch {
                in_batch: self.from.as_mut().map_or(0, |from| address(from)),
                out_batch: address(&mut to),
                keys: address(&mut self.keys),
                values: address(&mut self.values),
                ..Batch::of(map, self.keys.len())
            };
            // SAFETY: the kernel writes at most `count` keys and values, of the map's sizes, into the buffers of as many,
            // and a key or less into `to`; all outlive the call, and any bytes are such values.
            let result = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &raw mut batch) };
            let is_last = match result {
                Ok(_) => false,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
                // A bucket of a hash map is given as a whole.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    let larger = self.keys.len().saturating_mul(2);
                    self.keys.resize(larger, K::new_zeroed());
                    self.values.resize(larger, V::new_zeroed());
                    continue;
                }
                Err(error) => return Err(error),
            };
            let count = usize::try_from(batch.count).unwrap_or(0);
            self.keys.iter().zip(&self.values).take(count).for_each(|(key, value)| each(*key, *value));
            self.from = if is_last { None } else { Some(to) };
            return Ok(!is_last);
        }
    }
}

/// Calls `each` with every entry of the map, in no particular order. Keys and values must be of the map's sizes.
pub(super) fn read<K: Plain, V: Plain>(map: BorrowedFd<'_>, mut each: impl FnMut(K, V)) -> io::Result<()> {
    let mut walk = Walk::new();
    while walk.step(map, &mut each)? {}
    Ok(())
}

/// Removes an entry of a hash map, and returns what it was at that moment; `None` if there is none.
pub(super) fn take<K: Plain, V: Plain>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = [V::new_zeroed()];
    let mut element = Element::of(map, pointer(std::slice::from_ref(key)), address(&mut value));
    // SAFETY: the kernel reads one key and writes one value, of the map's sizes.
    match unsafe { bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &raw mut element) } {
        Ok(_) => Ok(value.first().copied()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes an entry, unless there is one.
pub(super) fn put_absent<K: Plain, V: Plain>(map: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
    let (key, value) = (std::slice::from_ref(key), std::slice::from_ref(value));
    let mut element = Element { flags: BPF_NOEXIST, ..Element::of(map, pointer(key), pointer(value)) };
    // SAFETY: the kernel reads one key and one value, of the map's sizes.
    match unsafe { bpf(BPF_MAP_UPDATE_ELEM, &raw mut element) } {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other.map(drop),
    }
}

/// Writes entries, new or not. Goes on past those that are refused, and returns them.
pub(super) fn write<K: Plain, V: Plain>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> Vec<Refused> {
    assert_eq!(keys.len(), values.len(), "a value for each key");
    each_batch(keys.len(), |start, end| {
        let (keys, values) = (&keys[start..end], &values[start..end]);
        let mut batch = Batch { keys: pointer(keys), values: pointer(values), ..Batch::of(map, keys.len()) };
        // SAFETY: the kernel reads `count` keys and values, of the map's sizes, from slices of as many.
        let result = unsafe { bpf(BPF_MAP_UPDATE_BATCH, &raw mut batch) };
        batch.outcome(result, || write_one(map, keys, values))
    })
}

/// Removes entries; one that is not there is removed. Goes on past those that are refused, and returns them.
pub(super) fn remove<K: Plain>(map: BorrowedFd<'_>, keys: &[K]) -> Vec<Refused> {
    let mut refused = each_batch(keys.len(), |start, end| {
        let keys = &keys[start..end];
        let mut batch = Batch { keys: pointer(keys), ..Batch::of(map, keys.len()) };
        // SAFETY: the kernel reads `count` keys, of the map's size, from a slice of as many.
        let result = unsafe { bpf(BPF_MAP_DELETE_BATCH, &raw mut batch) };
        batch.outcome(result, || remove_one(map, keys))
    });
    refused.retain(|(_, error)| error.raw_os_error() != Some(libc::ENOENT));
    refused
}

/// How far a batch came: how many were done, and what the next one was refused with.
type Outcome = (usize, Option<io::Error>);

/// Works on `len` elements, a batch after the other. `work` gets the bounds of what is left of a batch, and is called
/// again with what follows an element that was refused.
fn each_batch(len: usize, mut work: impl FnMut(usize, usize) -> Outcome) -> Vec<Refused> {
    let mut refused = Vec::new();
    let mut start = 0;
    while start < len {
        let (done, error) = work(start, len.min(start + BATCH));
        start += done;
        if let Some(error) = error {
            refused.push((start, error));
            start += 1;
        }
    }
    refused
}

impl Batch {
    fn of(map: BorrowedFd<'_>, count: usize) -> Self {
        Self {
            in_batch: 0,
            out_batch: 0,
            keys: 0,
            values: 0,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            map_fd: map.as_raw_fd().cast_unsigned(),
            elem_flags: 0,
            flags: 0,
        }
    }

    /// The outcome of a call of which [`Batch::count`] tells how many were done. The element that stopped it, or the
    /// first one if the kernel has no such call for the map and wrote no count, is tried by itself.
    fn outcome(&self, result: io::Result<libc::c_int>, one: impl FnOnce() -> io::Result<()>) -> Outcome {
        const ENOTSUPP: i32 = 524;
        let done = usize::try_from(self.count).unwrap_or(0);
        match result {
            Ok(_) => (done.max(1), None),
            Err(error)
                if matches!(error.raw_os_error(), Some(ENOTSUPP | libc::EOPNOTSUPP | libc::EINVAL)) =>
            {
                match one() {
                    Ok(()) => (1, None),
                    Err(error) => (0, Some(error)),
                }
            }
            Err(error) => (done, Some(error)),
        }
    }
}

fn write_one<K: Plain, V: Plain>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<()> {
    let mut element = Element::of(map, pointer(keys), pointer(values));
    // SAFETY: the kernel reads one key and value, of the map's sizes, from slices of at least one.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &raw mut element) }.map(drop)
}

fn remove_one<K: Plain>(map: BorrowedFd<'_>, keys: &[K]) -> io::Result<()> {
    let mut element = Element::of(map, pointer(keys), 0);
    // SAFETY: the kernel reads one key, of the map's size, from a slice of at least one.
    unsafe { bpf(BPF_MAP_DELETE_ELEM, &raw mut element) }.map(drop)
}

impl Element {
    fn of(map: BorrowedFd<'_>, key: u64, value: u64) -> Self {
        Self { map_fd: map.as_raw_fd().cast_unsigned(), padding: 0, key, value, flags: 0 }
    }
}

fn pointer<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance() as u64
}

fn address<T>(buffer: &mut [T]) -> u64 {
    buffer.as_mut_ptr().expose_provenance() as u64
}
