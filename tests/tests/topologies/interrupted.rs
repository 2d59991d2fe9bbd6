//! Ctrl-C ends a lab as its end does.
//!
//! ```text
//! red-1 ─ h1 ─────── h2 ─ red-2       in a lab of a child process, which is interrupted
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use weft_tests::{Lab, PATIENCE, binary, wait_for, wait_until};

/// Names of the lab's entries in a folder.
fn entries(folder: &str, lab: &str) -> Vec<PathBuf> {
    let children = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == lab || name.starts_with(&format!("{lab}-"))
    };
    children.filter(ours).collect()
}

/// Processes with the lab's name in their command line.
fn processes(lab: &str) -> Vec<PathBuf> {
    let of_lab = |process: &PathBuf| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("/{lab}/"))
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    all.filter(of_lab).collect()
}

/// All that is there of a lab.
fn traces(lab: &str) -> Vec<PathBuf> {
    let temporary = std::env::temp_dir();
    let mut traces = processes(lab);
    for folder in [Path::new("/run/netns"), Path::new("/sys/fs/bpf"), &temporary] {
        traces.extend(entries(&folder.to_string_lossy(), lab));
    }
    traces
}

/// The demo, in a lab that is named after its process.
fn demo() -> Result<(Child, String)> {
    let mut command = Command::new(binary("weft-demo")?);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("the demo")?;
    let lab = format!("weft-t{}-0", child.id());
    Ok((child, lab))
}

/// Interrupts it and waits for its end; the exit code.
fn interrupt(mut child: Child) -> Result<Option<i32>> {
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    let status = wait_for(PATIENCE * 2, "the end of the demo", || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        other => Err(format!("{other:?}")),
    });
    if status.is_err() {
        child.kill()?;
        child.wait()?;
    }
    Ok(status?.code())
}

/// In: SIGINT to the demo, once as soon as its first namespace is there, in the middle of making more, and once when
/// its workloads are attached. Out: each time it ends as the signal says, and leaves no namespace, pin, file or
/// process.
#[test]
fn ctrl_c_leaves_nothing() -> Result<()> {
    Lab::test(|_| {
        for (stage, folder, count) in [("making", "/run/netns", 1), ("made", "/run/netns", 18)] {
            let (child, lab) = demo()?;
            let there = wait_until(PATIENCE * 3, stage, || entries(folder, &lab).len() >= count);
            if stage == "made" {
                wait_until(PATIENCE, "pins", || entries("/sys/fs/bpf", &lab).len() == 6)?;
                ensure!(processes(&lab).len() >= 6, "{:?}", processes(&lab));
            }
            let code = interrupt(child)?;
            there?;
            ensure!(code == Some(130), "{stage}: it ended with {code:?}");
            let left = traces(&lab);
            ensure!(left.is_empty(), "{stage}: {left:?} is left");
        }
        Ok(())
    })
}
