//! The bpf(2) calls that aya has no public wrapper for: opening a pin of any kind, asking a tcx link for its device,
//! and attaching to a device without a link.

use std::ffi::CString;
use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BPF_OBJ_GET: libc::c_long = 7;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_LINK_TYPE_TCX: u32 = 11;

/// The start of the kernel's `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct ObjGet {
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

/// The start of the kernel's `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct InfoByFd {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The start of the kernel's `struct bpf_link_info` for a tcx link.
#[repr(C)]
#[derive(Default)]
struct RawLinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    ifindex: u32,
    attach_type: u32,
}

/// What a pinned tcx link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkInfo {
    pub(super) id: u32,
    /// The program that it holds.
    pub(super) program_id: u32,
    /// The device that it is attached to, in the namespace of that device; 0 if the device has gone.
    pub(super) ifindex: u32,
}

/// What is pinned at `path`, or `None` if it is no tcx link.
pub(super) fn tcx_link_at(path: &Path) -> io::Result<Option<LinkInfo>> {
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
        Ok(_) if info.kind == BPF_LINK_TYPE_TCX => {
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

fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = ObjGet { path: path.as_ptr().expose_provenance() as u64, bpf_fd: 0, file_flags: 0 };
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
