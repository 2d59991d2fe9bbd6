//! Everything that a thread does to the files of a folder, in order: the kernel holds each of its writes (seccomp user
//! notification, seccomp(2)) until it was noted down. So a disk can be had as it was at any moment.

use std::ffi::c_ulong;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What happened to the one file that is watched, from its making under another name on, and what its writer believes.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// Bytes were written at an offset.
    Write(u64, Vec<u8>),
    /// It was made longer or shorter.
    Length(u64),
    /// What was written before is on the disk from here on.
    Synced,
    /// It has its name from here on, unless the power is cut before [`Event::NameSynced`].
    Named,
    /// Its name is on the disk.
    NameSynced,
    /// The writer was told so: revision, which must never be lost from here on.
    Acknowledged(u64),
}

/// What was noted so far.
pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

/// Runs `work` on a thread of its own and notes what it does to the file `watched`. `work` notes what it believes.
pub(crate) fn record(watched: &Path, work: impl FnOnce(&Events) + Send) -> Vec<Event> {
    let events = Events::default();
    let (listener, notified) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            listener.send(filter().unwrap()).unwrap();
            work(&events);
        });
        let listener: OwnedFd = notified.recv().unwrap();
        while note(&listener, watched, &events).unwrap() {}
        worker.join().unwrap();
    });
    Arc::into_inner(events).unwrap().into_inner().unwrap()
}

/// Makes the kernel ask before each system call of this thread that changes a file's contents or syncs it.
fn filter() -> io::Result<OwnedFd> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let calls =
        [libc::SYS_pwrite64, libc::SYS_ftruncate, libc::SYS_fdatasync, libc::SYS_fsync, libc::SYS_linkat];
    // The number of the call is the first word of what a filter sees.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, call) in calls.into_iter().enumerate() {
        let to_ask = u8::try_from(calls.len() - index).unwrap();
        let call = u32::try_from(call).unwrap();
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call, to_ask, 0));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0));
    let program =
        libc::sock_fprog { len: u16::try_from(program.len()).unwrap(), filter: program.as_mut_ptr() };
    // SAFETY: takes no pointers; it keeps this thread from gaining privileges, which it does not try.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
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
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Notes the next call and lets it happen; false when the thread has ended.
fn note(listener: &OwnedFd, watched: &Path, events: &Events) -> io::Result<bool> {
    let mut ready = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one readable and writable entry, as is said.
    if unsafe { libc::poll(&raw mut ready, 1, -1) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if ready.revents & libc::POLLIN == 0 {
        return Ok(false);
    }
    // SAFETY: plain integers; the kernel wants zeros.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one notification.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(event) = event(&call.data, watched)? {
        events.lock().unwrap().push(event);
    }
    let mut answer = libc::seccomp_notif_resp {
        id: call.id,
        val: 0,
        error: 0,
        flags: u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as c_ulong).unwrap(),
    };
    // SAFETY: the kernel reads one answer.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(true)
}

/// What a call does to the watched file, or to the folder that it is in.
fn event(call: &libc::seccomp_data, watched: &Path) -> io::Result<Option<Event>> {
    let [fd, first, second, third, ..] = call.args;
    let number = libc::c_long::from(call.nr);
    if number == libc::SYS_linkat {
        return Ok(Some(Event::Named));
    }
    let file = fs::read_link(format!("/proc/self/fd/{fd}"))?;
    if Some(file.as_path()) == watched.parent() {
        return Ok(Some(Event::NameSynced));
    }
    // While it is made, its name is longer.
    if !file.to_string_lossy().starts_with(&*watched.to_string_lossy()) {
        return Ok(None);
    }
    Ok(Some(match number {
        libc::SYS_pwrite64 => {
            let mut bytes = vec![0; usize::try_from(second).unwrap()];
            File::open("/proc/self/mem")?.read_exact_at(&mut bytes, first)?;
            Event::Write(third, bytes)
        }
        libc::SYS_ftruncate => Event::Length(first),
        _ => Event::Synced,
    }))
}
