//! Runs the command that speaks to a daemon, with a deadline: a daemon that is paused answers nobody.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::Value;

use crate::process::{Lifetime, start};
use crate::{PATIENCE, wait_for};

/// What a command says in `namespace`.
///
/// # Errors
/// It failed, what it complained about; or it does not end in time, which ends it.
pub(super) fn ask(mut command: Command, namespace: &File) -> Result<String> {
    let line = format!("{command:?}");
    // A file: a pipe would have to be emptied while we wait.
    let (mut said, mut complained) = (memory()?, memory()?);
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(complained.try_clone()?);
    let mut child = start(command, namespace, Lifetime::Ours)?;
    let ended = wait_for(PATIENCE, &line, || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err("running".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    if ended.is_err() {
        // It may have ended meanwhile.
        drop(child.kill());
        drop(child.wait());
    }
    let (ended, said, complained) = (ended?, text(&mut said)?, text(&mut complained)?);
    ensure!(ended.success(), "{line}: {ended}: {said}{complained}");
    Ok(said)
}

/// The same for a command that says JSON.
pub(super) fn ask_json(command: Command, namespace: &File) -> Result<Value> {
    let line = format!("{command:?}");
    let said = ask(command, namespace)?;
    serde_json::from_str(&said).with_context(|| format!("{line} says no JSON:\n{said}"))
}

fn memory() -> Result<File> {
    Ok(memfd_create("answer", MFdFlags::MFD_CLOEXEC)?.into())
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
