//! What other people have on a host: a filter on a device, a pinned map. weft must leave it alone.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::errno::Errno;

use crate::Namespace;

const MAP_CREATE: libc::c_int = 0;
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const PROG_QUERY: libc::c_int = 16;
const LINK_CREATE: libc::c_int = 28;

/// `TCX_NEXT` and `TCX_DROP`, which are `TC_ACT_UNSPEC` and `TC_ACT_SHOT`.
const NEXT: i32 = -1;
const DROP: i32 = 2;

const SCHED_CLS: u32 = 3;
const ARRAY: u32 = 2;

/// Where a filter sits on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `BPF_TCX_INGRESS`
    Ingress,
    /// `BPF_TCX_EGRESS`
    Egress,
}

impl Hook {
    fn attach_type(self) -> u32 {
        match self {
            Self::Ingress => 46,
            Self::Egress => 47,
        }
    }
}

/// Somebody else's filter, attached as long as this lives, or on a kernel without tcx as long as the device does. It lets
/// everything pass on to the next filter.
#[derive(Debug)]
pub struct Filter {
    link: Option<OwnedFd>,
}

impl Filter {
    /// Attaches a filter.
    ///
    /// # Errors
    /// The device is missing.
    pub fn attach(namespace: &Namespace, device: &str, hook: Hook) -> Result<Self> {
        Self::attach_answering(NEXT, namespace, device, hook)
    }

    /// Has the kernel of a namespace send nothing out of a device any more, until this is dropped or, without tcx, the device
    /// is. What is [injected directly](Namespace::inject_directly) is sent.
    ///
    /// # Errors
    /// The device is missing.
    pub fn silence(namespace: &Namespace, device: &str) -> Result<Self> {
        Self::attach_answering(DROP, namespace, device, Hook::Egress)
    }

    fn attach_answering(answer: i32, namespace: &Namespace, device: &str, hook: Hook) -> Result<Self> {
        let program = load(answer).context("loading a filter")?;
        let index = namespace.link(device)?.index;
        let attributes = [program.as_raw_fd().cast_unsigned(), index, hook.attach_type(), 0];
        let link = namespace.run(|| bpf(LINK_CREATE, Attributes::of(&attributes)))?;
        if has_no_tcx(&link) {
            namespace.add_bpf_filter(device, hook, program.as_fd())?;
            return Ok(Self { link: None });
        }
        let link = link.with_context(|| format!("attaching a filter to {device}"))?;
        // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
        Ok(Self { link: Some(unsafe { OwnedFd::from_raw_fd(link) }) })
    }
}

impl Filter {
    /// Whether it goes with this value, not with the device.
    #[must_use]
    pub fn ends_with_us(&self) -> bool {
        self.link.is_some()
    }
}

/// Kernels before 6.6 do not know the hook.
fn has_no_tcx<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(|error| error.downcast_ref() == Some(&Errno::EINVAL))
}

/// Ids of the programs attached to a device, in the order that they run in.
///
/// # Errors
/// The device is missing.
pub fn filters(namespace: &Namespace, device: &str, hook: Hook) -> Result<Vec<u32>> {
    let mut ids = [0_u32; 64];
    let mut attributes = Attributes::of(&[namespace.link(device)?.index, hook.attach_type(), 0, 0]);
    attributes.pointer(4, ids.as_mut_ptr().cast());
    attributes.0[6] = 64;
    let answer = namespace.run(|| bpf_in_out(PROG_QUERY, attributes))?;
    let count = if has_no_tcx(&answer) {
        0
    } else {
        usize::try_from(answer.with_context(|| format!("asking for the filters of {device}"))?.0[6])?
    };
    let mut programs: Vec<u32> = ids.iter().take(count).copied().collect();
    programs.extend(namespace.bpf_filters(device, hook)?);
    Ok(programs)
}

/// Pins a map of ours at `path` on a bpffs.
///
/// # Errors
/// The path is taken or on no bpffs.
pub fn pin_map(path: &Path) -> Result<()> {
    // Array of one u32: type, key size, value size, entries.
    let map = bpf(MAP_CREATE, Attributes::of(&[ARRAY, 4, 4, 1])).context("making a map")?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let map = unsafe { OwnedFd::from_raw_fd(map) };
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Attributes::of(&[0, 0, map.as_raw_fd().cast_unsigned(), 0]);
    attributes.pointer(0, name.as_ptr().cast());
    bpf(OBJ_PIN, attributes).with_context(|| format!("pinning {}", path.display()))?;
    Ok(())
}

/// `r0 = answer; exit`
fn load(answer: i32) -> Result<OwnedFd> {
    let [a, b, c, d] = answer.to_ne_bytes();
    let instructions: [u64; 2] =
        [u64::from_ne_bytes([0xb7, 0, 0, 0, a, b, c, d]), u64::from_ne_bytes([0x95, 0, 0, 0, 0, 0, 0, 0])];
    let mut attributes = Attributes::of(&[SCHED_CLS, 2]);
    attributes.pointer(2, instructions.as_ptr().cast());
    attributes.pointer(4, c"Apache-2.0".as_ptr().cast());
    let program = bpf(PROG_LOAD, attributes)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(program) })
}

/// `union bpf_attr` as the words of each command's struct: longer than any of those used here, the rest zero.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Attributes([u32; 32]);

impl Attributes {
    fn of(words: &[u32]) -> Self {
        let mut all = [0; 32];
        for (to, from) in all.iter_mut().zip(words) {
            *to = *from;
        }
        Self(all)
    }

    /// Puts a pointer into words `at` and `at + 1`.
    fn pointer(&mut self, at: usize, pointer: *const libc::c_void) {
        let bytes = (pointer as u64).to_ne_bytes();
        let [a, b, c, d, e, f, g, h] = bytes;
        self.0[at] = u32::from_ne_bytes([a, b, c, d]);
        self.0[at + 1] = u32::from_ne_bytes([e, f, g, h]);
    }
}

/// Calls the kernel; the descriptor that it answers.
fn bpf(command: libc::c_int, attributes: Attributes) -> Result<libc::c_int> {
    call(command, &mut { attributes })
}

/// Calls the kernel; the attributes as it filled them in.
fn bpf_in_out(command: libc::c_int, mut attributes: Attributes) -> Result<Attributes> {
    call(command, &mut attributes)?;
    Ok(attributes)
}

fn call(command: libc::c_int, attributes: &mut Attributes) -> Result<libc::c_int> {
    // SAFETY: the attributes are readable and writable for their size, and the pointers in them are to values that
    // the callers hold until this returns.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<Attributes>())
    };
    Ok(i32::try_from(Errno::result(result)?)?)
}
