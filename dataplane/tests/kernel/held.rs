//! Calls of `bpf(2)` that the kernel holds until a test lets them go on (seccomp user notification, seccomp(2)): what would
//! have to happen in that very moment by chance is done meanwhile.

use std::ffi::c_ulong;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `BPF_LINK_UPDATE` of `linux/bpf.h`.
const LINK_UPDATE: u32 = 29;

/// Where calls arrive that put a program into the place of a link's.
pub struct LinkUpdates(AsyncFd<OwnedFd>);

/// A call that waits.
#[must_use = "the call waits"]
pub struct Held<'a> {
    id: u64,
    listener: &'a OwnedFd,
}

impl LinkUpdates {
    /// From here on, this thread and those that it starts wait in each such call. When this is dropped, the calls fail.
    pub fn hold() -> io::Result<Self> {
        let bpf = u32::try_from(libc::SYS_bpf).unwrap();
        let load = |field: usize| statement(BPF_LD | BPF_W | BPF_ABS, u32::try_from(field).unwrap(), 0);
        let or_skip = |value: u32, statements: u8| statement(BPF_JMP | BPF_JEQ | BPF_K, value, statements);
        let mut program = [
            load(offset_of!(libc::seccomp_data, nr)),
            or_skip(bpf, 3),
            // The lower half of the first argument comes first.
            load(offset_of!(libc::seccomp_data, args)),
            or_skip(LINK_UPDATE, 1),
            statement(BPF_RET | BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0),
            statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        ];
        let program =
            libc::sock_fprog { len: u16::try_from(program.len()).unwrap(), filter: program.as_mut_ptr() };
        // SAFETY: the kernel copies the program, which outlives the call.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        let listener =
            RawFd::try_from(listener).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just made it for us.
        let listener = unsafe { OwnedFd::from_raw_fd(listener) };
        // SAFETY: the descriptor is the `OwnedFd`'s own, which lives and dies with what is made of it here.
        Ok(Self(unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }?))
    }

    /// Waits for the next call. Cancel safe.
    pub async fn next(&self) -> io::Result<Held<'_>> {
        self.0.readable().await?.clear_ready();
        let listener = self.0.get_ref();
        // SAFETY: plain integers; the kernel wants zeros.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one notification.
        match unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) } {
            0 => Ok(Held { id: call.id, listener }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Held<'_> {
    /// Lets the kernel do what is called for.
    pub fn go_on(self) -> io::Result<()> {
        let mut answer = libc::seccomp_notif_resp {
            id: self.id,
            val: 0,
            error: 0,
            flags: u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as c_ulong).unwrap(),
        };
        let listener = self.listener.as_raw_fd();
        // SAFETY: the kernel reads one answer.
        match unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// `skip`: how many statements to skip if a comparison does not hold.
fn statement(code: u32, k: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: skip, k }
}
