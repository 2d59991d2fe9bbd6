//! The bpf(2) calls that aya has no public wrapper for: opening a pin of any kind, asking a link for its device,
//! attaching to a device without a link, and to XDP with nothing but one.

use std::ffi::CString;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_DETACH: libc::c_long = 34;
const BPF_XDP: u32 = 37;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_LINK_TYPE_XDP: u32 = 6;
const BPF_LINK_TYPE_TCX: u32 = 11;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// The start of the kernel's `union bpf_attr` for `BPF_OBJ_GET` and `BPF_OBJ_PIN`.
#[repr(C)]
struct Obj {
    path: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// The start of the kernel's `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct ProgAttach {
    target_ifindex: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// The start of the kernel's `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// The start of the kernel's `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

/// The start of the kernel's `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoByFd {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The start of the kernel's `struct bpf_link_info` for a link of XDP or tcx.
#[repr(C)]
#[derive(Default)]
struct RawLinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    ifindex: u32,
    /// tcx only.
    attach_type: u32,
}

/// The kernel's `union bpf_attr` for `BPF_PROG_QUERY`, to its end: the kernel writes the revision of a tcx hook there,
/// however long the caller says that its attributes are.
#[repr(C)]
#[derive(Default)]
struct ProgQuery {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    count: u32,
    padding: u32,
    program_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}
const _: () = assert!(size_of::<ProgQuery>() == 64);

impl ProgQuery {
    /// How many programs there are on the ingress of a device, and no more.
    fn tcx_ingress(ifindex: u32) -> Self {
        Self { target_ifindex: ifindex, attach_type: BPF_TCX_INGRESS, ..Self::default() }
    }
}

/// The start of the kernel's `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct RawProgramInfo {
    before: [u64; 6],
    created_by_uid: u32,
    map_count: u32,
    map_ids: u64,
}

/// What a pinned link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkInfo {
    pub(super) id: u32,
    /// The program that it holds.
    pub(super) program_id: u32,
    /// The device that it is attached to, in the namespace of that device; 0 if the device has gone.
    pub(super) ifindex: u32,
}

/// What is pinned at `path`, or `None` if it is no link of XDP or tcx.
pub(super) fn link_at(path: &Path) -> io::Result<Option<LinkInfo>> {
    let pin = open_pin(path)?;
    let mut info = RawLinkInfo::default();
    let mut attributes = InfoByFd {
        bpf_fd: pin.as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of_val(&info)).unwrap_or(0),
        info: (&raw mut info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes, the size of `info`, which outlives the call and in which
    // any bytes are a value.
    let result = unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &raw mut attributes) };
    match result {
        Ok(_) if [BPF_LINK_TYPE_XDP, BPF_LINK_TYPE_TCX].contains(&info.kind) => {
            Ok(Some(LinkInfo { id: info.id, program_id: info.program_id, ifindex: info.ifindex }))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Attaches a program to the ingress of a device, behind those that are there, for as long as the device lives.
pub(super) fn attach_tcx_ingress(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<()> {
    let mut attributes = ProgAttach {
        target_ifindex: ifindex,
        attach_bpf_fd: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_TCX_INGRESS,
        attach_flags: 0,
    };
    // SAFETY: the attributes hold no pointers.
    unsafe { bpf(BPF_PROG_ATTACH, &raw mut attributes) }.map(drop)
}

/// Attaches an XDP program in native mode, by a link. Never in the place of another program.
pub(super) fn attach_xdp_native(program: BorrowedFd<'_>, ifindex: u32) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        target_ifindex: ifindex,
        attach_type: BPF_XDP,
        flags: XDP_FLAGS_DRV_MODE,
    };
    // SAFETY: the attributes hold no pointers.
    let fd = unsafe { bpf(BPF_LINK_CREATE, &raw mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes the program of the link that is pinned at `path` off its device, at once.
pub(super) fn detach_link_at(path: &Path) -> io::Result<()> {
    let link = open_pin(path)?;
    let mut attributes = LinkDetach { link_fd: link.as_fd().as_raw_fd().cast_unsigned() };
    // SAFETY: the attributes hold no pointers.
    unsafe { bpf(BPF_LINK_DETACH, &raw mut attributes) }.map(drop)
}

/// Pins an object at `path`.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Obj {
        path: path.as_ptr().expose_provenance() as u64,
        bpf_fd: object.as_raw_fd().cast_unsigned(),
        file_flags: 0,
    };
    // SAFETY: `path` is a C string that outlives the call; the kernel only reads it.
    unsafe { bpf(BPF_OBJ_PIN, &raw mut attributes) }.map(drop)
}

/// Whether the kernel has tcx, which came with 6.6. Older ones do not know the attach type.
pub(super) fn has_tcx() -> io::Result<bool> {
    /// The loopback device's, in every network namespace.
    const LOOPBACK: u32 = 1;
    let mut attributes = ProgQuery::tcx_ingress(LOOPBACK);
    // SAFETY: without room for ids, which `count` says, the kernel writes none; what else it writes are fields of the
    // attributes, which are as long as it knows them.
    match unsafe { bpf(BPF_PROG_QUERY, &raw mut attributes) } {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ids of the maps that the program with this id uses.
pub(super) fn maps_of(program: u32) -> io::Result<Vec<u32>> {
    let mut id = [program, 0, 0];
    // SAFETY: the attributes hold no pointers.
    let fd = unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &raw mut id) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut ids = [0_u32; 64];
    let mut info = RawProgramInfo {
        map_count: u32::try_from(ids.len()).unwrap_or(0),
        map_ids: ids.as_mut_ptr().expose_provenance() as u64,
        ..RawProgramInfo::default()
    };
    let mut attributes = InfoByFd {
        bpf_fd: fd.as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of_val(&info)).unwrap_or(0),
        info: (&raw mut info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes, the size of `info`, and at most `map_count` ids, the length of
    // `ids`; both outlive the call, and in both any bytes are a value.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &raw mut attributes) }?;
    let count = usize::try_from(info.map_count).unwrap_or(0).min(ids.len());
    Ok(ids[..count].to_vec())
}

fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Obj { path: path.as_ptr().expose_provenance() as u64, bpf_fd: 0, file_flags: 0 };
    // SAFETY: `path` is a C string that outlives the call; the kernel only reads it.
    let fd = unsafe { bpf(BPF_OBJ_GET, &raw mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `attributes` must be what `command` expects, and every pointer in it valid for what the command does.
pub(super) unsafe fn bpf<T>(command: libc::c_long, attributes: *mut T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise, and the size is that of the attributes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    libc::c_int::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever it is told of the length, the kernel writes all that it knows of an answer.
    #[test]
    fn the_kernel_writes_nothing_beyond_its_answer() {
        const UNTOUCHED: [u64; 16] = [0x5a5a_5a5a_5a5a_5a5a; 16];
        #[repr(C)]
        struct Guarded {
            query: ProgQuery,
            beyond: [u64; 16],
        }
        let mut guarded = Guarded { query: ProgQuery::tcx_ingress(1), beyond: UNTOUCHED };
        // SAFETY: as in `has_tcx`; what is written beyond the query is what this looks for, and is within `guarded`.
        let asked = unsafe { bpf(BPF_PROG_QUERY, (&raw mut guarded).cast::<ProgQuery>()) };
        if let Err(error) = asked {
            assert!(std::env::var_os("CI").is_none(), "CI has CAP_BPF and a kernel with TCX: {error}");
            eprintln!("skipped, because the kernel does not answer BPF_PROG_QUERY for TCX: {error}");
            return;
        }
        assert_eq!(guarded.beyond, UNTOUCHED);
    }
}
