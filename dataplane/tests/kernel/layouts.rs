//! Maps of another build of the same ABI, whose values are longer or shorter at their end: a weftd takes their entries
//! over, at whatever point the other one's opening was cut short, and no packet notices.
//!
//! ```text
//!   pod a 10.0.0.10 ── host ── pod b 10.0.0.11
//! ```

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use aya::maps::{MapData, MapInfo, MapType};
use weft_dataplane::Dataplane;
use weft_dataplane_abi::maps;

use crate::host::{Pod, on_host, owner, reconcile};
use crate::sizes::with_ports;
use crate::traffic::{arrives, socket};

/// Maps of every kind, in the order in which their pins are put in place.
const CHANGED: [&str; 6] =
    [maps::COUNTERS, maps::HOST, maps::HOSTS, maps::LIMITS, maps::PREFIXES, maps::VTEPS];
/// What another build has at the end of its values.
const MARK: u8 = 0x5a;

/// The start of the kernel's `union bpf_attr` for making a map, pinning it, and for its entries.
#[repr(C)]
#[derive(Default)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct Entry {
    fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the attributes are as the command expects them, and their pointers are to what outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap()) }
}

/// Reads (1) or writes (2) an entry, or reads the key after it (4).
fn entry(command: libc::c_long, map: &impl AsFd, key: Option<&[u8]>, value: &mut [u8]) -> io::Result<()> {
    let mut attributes = Entry {
        fd: map.as_fd().as_raw_fd().cast_unsigned(),
        padding: 0,
        key: key.map_or(0, |key| key.as_ptr().expose_provenance() as u64),
        value: value.as_mut_ptr().expose_provenance() as u64,
        flags: 0,
    };
    bpf(command, &mut attributes).map(drop)
}

/// A copy of the map pinned at `from`, pinned at `to`, as another build would make it: its values are longer by `more`
/// bytes of [`MARK`], or shorter.
fn as_of_another_build(from: &Path, to: &Path, more: i32) {
    let info = MapInfo::from_pin(from).unwrap();
    let map = MapData::from_pin(from).unwrap();
    let kind = info.map_type().unwrap();
    let is_array = matches!(kind, MapType::Array | MapType::PerCpuArray);
    let (old, new) = (info.value_size(), info.value_size().checked_add_signed(more).unwrap());
    let mut create = Create {
        kind: kind as u32,
        key_size: info.key_size(),
        value_size: new,
        max_entries: info.max_entries(),
        // BPF_F_NO_PREALLOC
        flags: u32::from(!is_array),
    };
    let fd = bpf(0, &mut create).unwrap();
    // SAFETY: the kernel has just made it for us.
    let made = unsafe { OwnedFd::from_raw_fd(fd) };
    let per_cpu = kind == MapType::PerCpuArray;
    let cpus = if per_cpu { aya::util::nr_cpus().unwrap() } else { 1 };
    let stride = |size: u32| (if per_cpu { size.next_multiple_of(8) } else { size }) as usize;
    let (mut key, mut value) = (vec![0; info.key_size() as usize], vec![0; stride(old) * cpus]);
    let mut last: Option<Vec<u8>> = None;
    while entry(4, &map.fd(), last.as_deref(), &mut key).is_ok() {
        entry(1, &map.fd(), Some(&key), &mut value).unwrap();
        let of_cpu = |value: &[u8]| {
            let mut value = value[..old.min(new) as usize].to_vec();
            value.resize(new as usize, MARK);
            value.resize(stride(new), 0);
            value
        };
        let mut longer: Vec<u8> = value.chunks(stride(old)).flat_map(of_cpu).collect();
        entry(2, &made, Some(&key), &mut longer).unwrap();
        last = Some(key.clone());
    }
    let path = CString::new(to.to_str().unwrap()).unwrap();
    let path_pointer = path.as_ptr().expose_provenance() as u64;
    bpf(6, &mut Pin { path: path_pointer, fd: made.as_raw_fd().cast_unsigned(), flags: 0 }).unwrap();
}

fn value_sizes(folder: &Path) -> Vec<u32> {
    maps::ALL.map(|name| MapInfo::from_pin(folder.join("maps").join(name)).unwrap().value_size()).into()
}

/// In: the pins as another build leaves them when it is killed after `done` of the maps with longer values were put in
/// their place, the others waiting in `resized`, while the programs still use other maps altogether; for each number.
/// Out: the next open has every map as it makes it, nothing to reconcile and the counts, and packets go on all the
/// time, also before it.
#[test]
fn wherever_another_build_was_interrupted_the_next_goes_on() {
    on_host("layouts", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let desired = with_ports(&first.path, &second.path);
        let folder = &host.options.pin_folder;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let from = socket(&first, "10.0.0.10").await;
        let to = socket(&second, "10.0.0.11").await;
        arrives(&from, &to, "10.0.0.11", b"hello").await;
        // It may have been sent more than once.
        while to.recv(&mut [0; 64]).is_ok() {}
        let ours = value_sizes(folder);
        let mut expected = dataplane.counters().unwrap()["a"].from_port.packets;
        drop(dataplane);
        for (done, more) in (0..=CHANGED.len()).flat_map(|done| [(done, 8), (done, 3)]) {
            fs::create_dir(folder.join("resized")).unwrap();
            for name in CHANGED {
                as_of_another_build(
                    &folder.join("maps").join(name),
                    &folder.join("resized").join(name),
                    more,
                );
            }
            for name in &CHANGED[..done] {
                fs::rename(folder.join("resized").join(name), folder.join("maps").join(name)).unwrap();
            }
            assert_eq!(value_sizes(folder) == ours, done == 0);
            // Not counted in the maps that are pinned now, if those of the counters are among them.
            from.send_to(b"between", "10.0.0.11:7000").unwrap();
            assert_eq!(to.recv(&mut [0; 64]).unwrap(), 7);

            let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
            assert_eq!(value_sizes(folder), ours, "{done} in place");
            assert!(!folder.join("resized").exists());
            assert_eq!(reconcile(&mut dataplane, &desired).await.changes, [], "{done} in place");
            expected += u64::from(done == 0);
            assert_eq!(dataplane.counters().unwrap()["a"].from_port.packets, expected, "{done} in place");
            from.send_to(b"after", "10.0.0.11:7000").unwrap();
            assert_eq!(to.recv(&mut [0; 64]).unwrap(), 5);
            expected += 1;
            assert_eq!(dataplane.counters().unwrap()["a"].from_port.packets, expected, "{done} in place");
        }
    });
}

/// In: maps with shorter values, as an older build leaves them. Out: they are taken over; what the older build did not
/// know is zero, and is as desired after the next reconciliation.
#[test]
fn an_older_builds_shorter_values_are_filled_up() {
    on_host("layouts-older", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let desired = with_ports(&first.path, &second.path);
        let folder = &host.options.pin_folder;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        drop(dataplane);
        let ours = value_sizes(folder);
        let pin = folder.join("maps").join(maps::HOST);
        let waiting = folder.join("maps").join("shorter");
        as_of_another_build(&pin, &waiting, -8);
        fs::rename(&waiting, &pin).unwrap();
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        assert_eq!(value_sizes(folder), ours);
        let changes = reconcile(&mut dataplane, &desired).await.changes;
        assert_eq!(changes.len(), 1, "the limits at the end of HOST are written again: {changes:?}");
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
    });
}
