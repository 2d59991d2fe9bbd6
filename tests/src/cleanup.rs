//! Removes what a lab made, by its name: at its end, on Ctrl-C, and for labs whose process died without a chance.
//!
//! A lab's name is `weft-t<pid>-<n>`, or `weft-demo` for the one that is kept. Everything of it carries the name:
//! `/run/netns/<name>-…`, `/sys/fs/bpf/<name>-…`, and its folder `<temporary folder>/<name>`. Nothing else is
//! touched.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, Once, PoisonError, RwLock, RwLockReadGuard};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

use crate::{PATIENCE, netns, wait_until};

const BPFFS: &str = "/sys/fs/bpf";
const PREFIX: &str = "weft-t";

/// Labs of this process.
static LIVE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Read while something is made that has to be removed, written once a signal came: then nothing more is made.
static MAKING: RwLock<()> = RwLock::new(());

/// To be held while something is made, or removed, that the removal on a signal must not miss. Blocks for ever once
/// that removal has begun; it ends the process.
pub(crate) fn making() -> RwLockReadGuard<'static, ()> {
    MAKING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Name of the `count`th lab of this process.
pub(crate) fn lab_name(count: u32) -> String {
    format!("{PREFIX}{}-{count}", std::process::id())
}

/// Folder of a lab's files.
pub(crate) fn lab_folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// From here on the lab is removed when a signal ends this process.
pub(crate) fn register(name: &str) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(remove_on_signals);
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
}

/// The lab is no longer removed on a signal.
pub(crate) fn unregister(name: &str) {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|live| live != name);
}

/// Removes what the lab named `name` made, also by a process that is gone. Goes on past failures.
pub fn remove(name: &str) {
    end_processes(name);
    for path in entries(netns::FOLDER, name) {
        // What is not mounted, or already gone, needs no unmounting.
        let _ = umount2(&path, MntFlags::MNT_DETACH);
        drop(fs::remove_file(&path));
    }
    for path in entries(BPFFS, name) {
        drop(fs::remove_dir_all(&path));
    }
    drop(fs::remove_dir_all(lab_folder(name)));
}

/// Removes labs of processes that are gone.
pub(crate) fn sweep() {
    let temporary = std::env::temp_dir();
    let mut names: Vec<String> = [Path::new(netns::FOLDER), Path::new(BPFFS), &temporary]
        .into_iter()
        .flat_map(children)
        .filter_map(|path| dead_lab(path.file_name()?))
        .collect();
    names.sort();
    names.dedup();
    names.iter().for_each(|name| remove(name));
}

/// The lab that a file name belongs to, if its process is gone.
fn dead_lab(file: &OsStr) -> Option<String> {
    let mut parts = file.to_str()?.strip_prefix(PREFIX)?.splitn(3, '-');
    let pid: u32 = parts.next()?.parse().ok()?;
    let count: u32 = parts.next()?.parse().ok()?;
    let alive = Path::new("/proc").join(pid.to_string()).exists();
    (!alive).then(|| format!("{PREFIX}{pid}-{count}"))
}

/// Entries of `folder` that belong to the lab `name`.
fn entries(folder: &str, name: &str) -> Vec<PathBuf> {
    let ours = format!("{name}-");
    let belongs =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|file| file.starts_with(&ours));
    children(Path::new(folder)).filter(belongs).collect()
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Daemons that a lab runs, by the names of their files; exabgp is a script.
const DAEMONS: [&str; 6] = ["weftd", "zebra", "bgpd", "gobgpd", "exabgp", "bird"];

/// Ends every daemon that runs on a configuration in the lab's folder.
fn end_processes(name: &str) {
    let folder = lab_folder(name);
    for process in children(Path::new("/proc")) {
        let Some(pid) = process.file_name().and_then(OsStr::to_str).and_then(|pid| pid.parse().ok()) else {
            continue;
        };
        if !is_daemon_of(&process, &folder) || kill(Pid::from_raw(pid), Signal::SIGKILL).is_err() {
            continue;
        }
        // A dead process has no command line, whether or not its parent has taken notice.
        drop(wait_until(PATIENCE, "the end of a daemon", || !is_daemon_of(&process, &folder)));
    }
}

fn is_daemon_of(process: &Path, folder: &Path) -> bool {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<&Path> = line
        .split(|byte| *byte == 0)
        .filter_map(|word| std::str::from_utf8(word).ok())
        .map(Path::new)
        .collect();
    // A script's interpreter stands in front of it.
    let program = words.iter().take(2).any(|word| DAEMONS.iter().any(|daemon| word.ends_with(daemon)));
    program && words.iter().any(|word| word.starts_with(folder))
}

/// The end of a socket pair that the signal handler writes to.
static SIGNALLED: AtomicI32 = AtomicI32::new(-1);

/// Removes the live labs when Ctrl-C, SIGTERM or SIGHUP comes, and ends the process as the signal would have.
fn remove_on_signals() {
    let Ok((mut reader, writer)) = UnixStream::pair() else { return };
    SIGNALLED.store(writer.into_raw_fd(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(note_signal), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only loads an atomic and calls write, both of which signal handlers may do.
        if unsafe { sigaction(signal, &action) }.is_err() {
            return;
        }
    }
    std::thread::spawn(move || {
        let mut signal = [0];
        if reader.read_exact(&mut signal).is_err() {
            return;
        }
        drop(std::io::stderr().write_all(b"\ninterrupted: removing what was made\n"));
        let _nothing_more = MAKING.write().unwrap_or_else(PoisonError::into_inner);
        let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
        live.iter().for_each(|name| remove(name));
        std::process::exit(128 + i32::from(signal[0]));
    });
}

extern "C" fn note_signal(signal: libc::c_int) {
    let byte = signal.to_ne_bytes();
    let first = if cfg!(target_endian = "little") { &byte[0] } else { &byte[3] };
    // SAFETY: `first` is one readable byte; a closed or full socket only makes the call fail.
    unsafe { libc::write(SIGNALLED.load(Ordering::Relaxed), std::ptr::from_ref(first).cast(), 1) };
}
