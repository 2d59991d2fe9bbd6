//! The two calls of `bpf(2)` that aya has not: a test run on a program of another process, and a program that does
//! nothing. Layouts are those of `union bpf_attr` in `linux/bpf.h`.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use nix::errno::Errno;

const PROG_LOAD: libc::c_int = 5;
const PROG_TEST_RUN: libc::c_int = 10;

/// Where a program meets packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Tc,
    Xdp,
}

impl Hook {
    /// `BPF_PROG_TYPE_SCHED_CLS` and `BPF_PROG_TYPE_XDP`.
    fn program_type(self) -> u32 {
        match self {
            Self::Tc => 3,
            Self::Xdp => 6,
        }
    }

    /// The verdict by which a packet goes on as if there were no program: `TC_ACT_UNSPEC`, `XDP_PASS`.
    pub(crate) fn pass(self) -> u32 {
        match self {
            Self::Tc => u32::MAX,
            Self::Xdp => 2,
        }
    }

    /// The verdict by which it goes to another device: `TC_ACT_REDIRECT`, `XDP_REDIRECT`.
    pub(crate) fn redirect(self) -> u32 {
        match self {
            Self::Tc => 7,
            Self::Xdp => 4,
        }
    }
}

#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    verdict: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
}

/// How a test run ended.
pub(crate) struct Outcome {
    /// What the program answered.
    pub(crate) verdict: u32,
    /// How long it took.
    pub(crate) nanoseconds: u32,
}

/// Loads a program that does nothing.
pub(crate) fn load_empty(hook: Hook) -> Result<OwnedFd> {
    // `r0 = VERDICT; exit`
    load(hook, &[u64::from(hook.pass()) << 32 | 0xb7, 0x95_u64])
}

/// Loads a program of these instructions.
pub(crate) fn load(hook: Hook, instructions: &[u64]) -> Result<OwnedFd> {
    let license = c"Dual MIT/GPL";
    let mut attributes = Load {
        program_type: hook.program_type(),
        instruction_count: u32::try_from(instructions.len())?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
    };
    let fd = bpf(PROG_LOAD, &mut attributes)?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}

/// Runs a program once on a frame, as if it had arrived on the device with this index in the calling thread's namespace.
/// Only once, because the program changes the frame.
pub(crate) fn test_run(hook: Hook, program: BorrowedFd<'_>, frame: &[u8], ifindex: u32) -> Result<Outcome> {
    test_runs(hook, program, frame, ifindex, 1)
}

/// The same so many times in a row, for a program that leaves the frame as it is: the time is that of one, on average.
pub(crate) fn test_runs(
    hook: Hook,
    program: BorrowedFd<'_>,
    frame: &[u8],
    ifindex: u32,
    repeat: u32,
) -> Result<Outcome> {
    // The kernel wants all that it does not take to be zero.
    let mut context = [0_u32; 48];
    let context = match hook {
        // `struct __sk_buff`, whose eleventh word is the device.
        Hook::Tc => {
            context[10] = ifindex;
            &context[..]
        }
        // `struct xdp_md`: where the packet ends, and the device.
        Hook::Xdp => {
            context[1] = frame.len().try_into()?;
            context[3] = ifindex;
            &context[..6]
        }
    };
    let mut run = TestRun {
        program: program.as_raw_fd().try_into()?,
        data_size_in: frame.len().try_into()?,
        data_in: frame.as_ptr() as u64,
        repeat,
        context_size_in: size_of_val(context).try_into()?,
        context_in: context.as_ptr() as u64,
        ..TestRun::default()
    };
    bpf(PROG_TEST_RUN, &mut run).context("a test run")?;
    Ok(Outcome { verdict: run.verdict, nanoseconds: run.duration })
}

fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_long> {
    // SAFETY: the attributes are those of the command, of the length that is given; what they point to outlives the
    // call, and the kernel writes into the attributes alone, as no place for output is named.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    Ok(Errno::result(result)?)
}
