//! Starts programs inside namespaces, so that they never outlive us unless they should.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;

use crate::{PATIENCE, cleanup, wait_for};

/// Whether a program ends with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The kernel kills it when we end, however we end.
    Ours,
    /// It goes on.
    Own,
}

/// Starts `command` inside `namespace`.
pub(crate) fn start(mut command: Command, namespace: &File, lifetime: Lifetime) -> Result<Child> {
    let file = namespace.try_clone()?;
    let enter = move || {
        // SAFETY: setns and prctl are system calls without memory arguments: safe between fork and exec.
        let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        Errno::result(result)?;
        if lifetime == Lifetime::Ours {
            // SAFETY: as above.
            let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Errno::result(result)?;
        } else {
            // SAFETY: as above.
            let result = unsafe { libc::setsid() };
            Errno::result(result)?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(enter) };
    let _making = cleanup::making();
    spawn(command)
}

/// Waits until the process of `name` has ended; one that goes on stays where it is.
pub(crate) fn wait_until_ended(process: &mut Option<Child>, name: &str) -> Result<ExitStatus> {
    let Some(child) = process else { bail!("{name} is not running") };
    let status = wait_for(PATIENCE, &format!("the end of {name}"), || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err("running".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;
    *process = None;
    Ok(status)
}

/// Starts it from a thread that lives as long as this process: "death of the parent" is death of that thread.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, queue) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                // Whoever ordered waits for the answer; it can only be gone after a panic.
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let name = command.get_program().to_owned();
    let (answer, child) = channel();
    let order = (command, answer);
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send(order).map_err(|_| anyhow!("no spawner"))?;
    child.recv()?.with_context(|| format!("starting {}", name.display()))
}

/// Path of one of weft's executables: in the folder `WEFT_BIN_DIR`, or built beside the running one.
///
/// # Errors
/// It is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("WEFT_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let mut folder = std::env::current_exe().context("our own path")?;
            folder.pop();
            // Tests run from target/<profile>/deps.
            if folder.ends_with("deps") {
                folder.pop();
            }
            folder
        }
    };
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(anyhow!(
        "{} is missing: run `cargo xtask test`, or build it and set WEFT_BIN_DIR to its folder",
        path.display()
    ))
}
