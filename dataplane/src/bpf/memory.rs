//! Whether the maps of the configured sizes fit into memory: what they take at once when they are made, and at most when
//! they are full. What cannot fit is refused before anything is made; what may not fit once it is full is warned of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aya::maps::MapType;
use aya::util::nr_cpus;
use weft_dataplane_abi::maps;

use super::maps::{Shape, shapes, size_key};
use crate::Sizes;
use crate::error::OpenError;

/// `struct bucket` of a hash map.
const BUCKET: u64 = 16;
/// `struct htab_elem` without key and value.
const HASH_ELEMENT: u64 = 48;
/// `struct lpm_trie_node` without key and value.
const TRIE_NODE: u64 = 40;
/// What the allocator of maps puts before each element.
const ALLOCATED: u64 = 8;

/// Hash maps whose elements are there from the beginning, as those of LRU hashes are: programs write them.
const PREALLOCATED: [&str; 2] = [maps::FLOWS, maps::HALF_OPEN];

/// The memory of one map, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    map: &'static str,
    /// When it is made.
    at_once: u64,
    /// When it is full.
    full: u64,
}

/// Memory that this process may use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
}

/// Refuses sizes whose maps, but for those that are `there` already, cannot fit.
pub(super) fn check(sizes: &Sizes, there: &BTreeSet<&'static str>) -> Result<(), OpenError> {
    let cpus = nr_cpus().ok().and_then(|cpus| u64::try_from(cpus).ok()).unwrap_or(1);
    let new = shapes(sizes).into_iter().filter(|(name, _)| !there.contains(name));
    let needs: Vec<_> = new.map(|(name, shape)| Need::of(name, &shape, cpus)).collect();
    match Memory::of_this_process(Path::new("/")) {
        Some(memory) => judge(&needs, memory),
        None => Ok(()),
    }
}

fn judge(needs: &[Need], memory: Memory) -> Result<(), OpenError> {
    let sum = |bytes: fn(&Need) -> u64| needs.iter().map(bytes).fold(0, u64::saturating_add);
    let (at_once, full) = (sum(|need| need.at_once), sum(|need| need.full));
    let Some(largest) = needs.iter().max_by_key(|need| need.full) else { return Ok(()) };
    let key = size_key(largest.map).unwrap_or("sizes");
    if at_once > memory.available || full > memory.total {
        return Err(OpenError::Memory {
            at_once: mebibytes(at_once),
            full: mebibytes(full),
            available: mebibytes(memory.available),
            total: mebibytes(memory.total),
            map: largest.map,
            largest: mebibytes(largest.full),
            key,
        });
    }
    if full > memory.available {
        tracing::warn!(
            full_mib = mebibytes(full),
            available_mib = mebibytes(memory.available),
            map = largest.map,
            key,
            "the maps would need more memory, once they are full, than is available now; lower the key in weftd.toml, \
             or give this machine more"
        );
    }
    Ok(())
}

impl Need {
    fn of(map: &'static str, shape: &Shape, cpus: u64) -> Self {
        let entries = u64::from(shape.max_entries);
        let (key, value) = (words(shape.key_size), words(shape.value_size));
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are arrays")]
        let (at_once, each) = match shape.kind {
            kind @ (MapType::Hash | MapType::LruHash)
                if kind == MapType::LruHash || PREALLOCATED.contains(&map) =>
            {
                (entries.next_power_of_two() * BUCKET + entries * (HASH_ELEMENT + key + value), 0)
            }
            MapType::Hash => {
                (entries.next_power_of_two() * BUCKET, allocated(HASH_ELEMENT + key + value + ALLOCATED))
            }
            // An entry can bring another node, where two paths part; the length of a prefix is in the node.
            MapType::LpmTrie => (0, 2 * allocated(TRIE_NODE + key + value + ALLOCATED)),
            MapType::PerCpuArray => (entries * value * cpus, 0),
            // Its size is in bytes.
            MapType::RingBuf => (entries, 0),
            _ => (entries * value, 0),
        };
        Self { map, at_once, full: at_once + entries * each }
    }
}

/// Keys and values are padded.
fn words(bytes: u32) -> u64 {
    u64::from(bytes).next_multiple_of(8)
}

/// The kernel's allocator has sizes of powers of two, and two between.
fn allocated(bytes: u64) -> u64 {
    match bytes {
        65..=96 => 96,
        129..=192 => 192,
        _ => bytes.next_power_of_two(),
    }
}

const fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl Memory {
    /// The machine's, or less if the process' control group (version 2), or one that this is in, is limited: the maps'
    /// memory is charged to it. `None` if the kernel does not say.
    fn of_this_process(root: &Path) -> Option<Self> {
        let machine = fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let field = |name: &str| {
            let line = machine.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
        };
        let mut memory = Self { total: field("MemTotal")?, available: field("MemAvailable")? };
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        for group in Path::new(group).ancestors() {
            let folder = root.join("sys/fs/cgroup").join(group);
            // `max` is no limit.
            let number = |file| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
            if let Some(limit) = number("memory.max") {
                let used = number("memory.current").unwrap_or(0);
                memory.total = memory.total.min(limit);
                memory.available = memory.available.min(limit.saturating_sub(used));
            }
        }
        Some(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn needs(addresses: u32) -> Vec<Need> {
        let sizes = Sizes {
            ports: 4096,
            vnis: 16_384,
            vteps: 4096,
            addresses,
            prefixes: 131_072,
            flows: 1024,
            half_open: 256,
            rules: 1024,
            events: 1 << 20,
        };
        shapes(&sizes).iter().map(|(name, shape)| Need::of(name, shape, 2)).collect()
    }

    #[test]
    fn buckets_at_once_and_elements_as_they_come() {
        let needs = needs(1 << 20);
        let of = |map| *needs.iter().find(|need| need.map == map).unwrap();
        let hosts = Need { map: maps::HOSTS, at_once: 16 * MIB, full: (16 + 192) * MIB };
        assert_eq!(of(maps::HOSTS), hosts);
        assert_eq!(of(maps::PREFIXES), Need { map: maps::PREFIXES, at_once: 0, full: 32 * MIB });
        for map in [maps::COUNTERS, maps::FLOWS, maps::FRAGMENTS] {
            let need = of(map);
            assert!(need.at_once == need.full && need.full > 0, "{need:?}");
        }
        // A key of 44 bytes and a value of 48.
        assert_eq!(of(maps::FLOWS).full, 1024 * (16 + 48 + 48 + 48));
    }

    #[test]
    fn what_cannot_fit_is_refused_by_the_key_to_lower() {
        let memory = Memory { total: 8192 * MIB, available: 4096 * MIB };
        assert!(judge(&needs(1 << 20), memory).is_ok());
        // Too much when it is full, though not at once.
        let refused = judge(&needs(1 << 24), memory).unwrap_err().to_string();
        assert!(refused.contains("8192 MiB") && refused.contains("lower sizes."), "{refused}");
        // Too much at once.
        let memory = Memory { total: 8192 * MIB, available: 16 * MIB };
        assert!(matches!(judge(&needs(1 << 20), memory), Err(OpenError::Memory { .. })));
    }

    #[test]
    fn a_control_group_limits() {
        let root = std::env::temp_dir().join(format!("weft-memory-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("proc/meminfo", "MemTotal:       24684084 kB\nMemAvailable:   23268464 kB\n");
        write("proc/self/cgroup", "0::/system.slice/weftd.service\n");
        write("sys/fs/cgroup/system.slice/weftd.service/memory.max", "max\n");
        let free = Memory::of_this_process(&root);
        write("sys/fs/cgroup/system.slice/memory.max", "1073741824\n");
        write("sys/fs/cgroup/system.slice/memory.current", "73741824\n");
        let limited = Memory::of_this_process(&root);
        fs::remove_dir_all(&root).unwrap();
        let kib = |kib: u64| kib * 1024;
        assert_eq!(free, Some(Memory { total: kib(24_684_084), available: kib(23_268_464) }));
        assert_eq!(limited, Some(Memory { total: 1 << 30, available: 1_000_000_000 }));
    }
}
