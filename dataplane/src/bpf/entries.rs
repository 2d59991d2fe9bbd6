//! A pinned map as the bytes of its entries: what it takes to carry them over to a map whose values are longer or
//! shorter. By the rule of the contract (`weft_dataplane_abi`) what differs is at a value's end, and zero means "as
//! before".

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use aya::maps::{MapData, MapError, MapInfo, MapType};
use aya::util::nr_cpus;

use super::maps::Shape;
use super::sys;

const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;

/// The start of the kernel's `union bpf_attr` for commands on entries. `value` is the next key for
/// `BPF_MAP_GET_NEXT_KEY`.
#[repr(C)]
struct Entry {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// A map whose entries are bytes.
pub(super) struct Entries {
    map: MapData,
    shape: Shape,
}

impl Entries {
    /// Those of the map that is pinned at `path`.
    pub(super) fn at(path: &Path) -> Result<Self, MapError> {
        let map = MapData::from_pin(path)?;
        let shape = Shape::of(&MapInfo::from_pin(path)?)?;
        Ok(Self { map, shape })
    }

    /// How many entries fit.
    pub(super) fn capacity(&self) -> u32 {
        self.shape.max_entries
    }

    /// All keys, one after the other; none if it is no map of entries, but of what passes through. Nobody may change the
    /// map meanwhile.
    pub(super) fn keys(&self) -> io::Result<Keys> {
        let size = usize_of(self.shape.key_size);
        let mut keys = Keys { size: size.max(1), bytes: Vec::new() };
        if size == 0 {
            return Ok(keys);
        }
        let mut next = vec![0; size];
        let mut last: Option<Vec<u8>> = None;
        loop {
            let key = last.as_ref().map_or(0, |key| key.as_ptr().expose_provenance() as u64);
            match self.command(BPF_MAP_GET_NEXT_KEY, key, &mut next) {
                Ok(()) => keys.bytes.extend(&next),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keys),
                Err(error) => return Err(error),
            }
            last = Some(next.clone());
        }
    }

    /// Sets the entry of `key` to that of the same key in `from`, cut off or filled up with zeros at its end.
    pub(super) fn take(&mut self, from: &Self, key: &[u8]) -> io::Result<()> {
        let mut old = vec![0; from.stride() * from.values()?];
        let key = key.as_ptr().expose_provenance() as u64;
        from.command(BPF_MAP_LOOKUP_ELEM, key, &mut old)?;
        let kept = usize_of(from.shape.value_size);
        let mut new = fitted(&old, from.stride(), kept, usize_of(self.shape.value_size), self.stride());
        self.command(BPF_MAP_UPDATE_ELEM, key, &mut new)
    }

    /// Bytes from one CPU's value to the next.
    fn stride(&self) -> usize {
        let size = usize_of(self.shape.value_size);
        if self.is_per_cpu() { size.next_multiple_of(8) } else { size }
    }

    /// How many values an entry has.
    fn values(&self) -> io::Result<usize> {
        if self.is_per_cpu() { nr_cpus().map_err(|(_, error)| error) } else { Ok(1) }
    }

    fn is_per_cpu(&self) -> bool {
        self.shape.kind == MapType::PerCpuArray
    }

    /// `key` is the address of a key of this map, or 0. `bytes` is as long as what the command reads or writes.
    fn command(&self, command: libc::c_long, key: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut attributes = Entry {
            map_fd: self.map.fd().as_fd().as_raw_fd().cast_unsigned(),
            padding: 0,
            key,
            value: bytes.as_mut_ptr().expose_provenance() as u64,
            flags: 0,
        };
        // SAFETY: the callers hold the key and the bytes, which are as long as the map's kind, key and value size say.
        unsafe { sys::bpf(command, &raw mut attributes) }.map(drop)
    }
}

/// Keys of one size, end to end.
pub(super) struct Keys {
    size: usize,
    bytes: Vec<u8>,
}

impl Keys {
    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.iter().len()).unwrap_or(u32::MAX)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes.chunks_exact(self.size)
    }
}

/// Values of `kept` bytes, one each `stride` bytes, as values of `size` bytes, one each `new_stride` bytes.
fn fitted(values: &[u8], stride: usize, kept: usize, size: usize, new_stride: usize) -> Vec<u8> {
    let of_one = |value: &[u8]| {
        let mut new = vec![0; new_stride];
        let common = kept.min(size);
        new[..common].copy_from_slice(&value[..common]);
        new
    };
    values.chunks_exact(stride).flat_map(of_one).collect()
}

fn usize_of(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_grow_by_zeros_and_shrink_at_their_end() {
        assert_eq!(fitted(&[1, 2, 3, 4], 4, 4, 6, 6), [1, 2, 3, 4, 0, 0]);
        assert_eq!(fitted(&[1, 2, 3, 4], 4, 4, 3, 3), [1, 2, 3]);
    }

    #[test]
    fn each_cpu_s_value_keeps_its_place_and_what_lies_between_is_not_taken_for_a_value() {
        let two_cpus = [1, 2, 3, 4, 9, 9, 9, 9, 5, 6, 7, 8, 9, 9, 9, 9];
        let longer =
            [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(fitted(&two_cpus, 8, 4, 12, 16), longer);
        assert_eq!(fitted(&two_cpus, 8, 4, 2, 8), [1, 2, 0, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0]);
    }
}
