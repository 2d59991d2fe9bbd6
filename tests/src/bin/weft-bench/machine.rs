//! What a report's figures depend on.

use std::fs;

use anyhow::{Context as _, Result};
use nix::sys::utsname::uname;
use serde_json::{Value, json};

/// Kernel, processor, memory; no name of the machine.
pub(crate) fn describe() -> Result<Value> {
    let system = uname()?;
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    Ok(json!({
        "kernel": text(system.release()),
        "architecture": text(system.machine()),
        "processor": field("/proc/cpuinfo", "model name")?,
        "cpus": std::thread::available_parallelism()?.get(),
        "memory": field("/proc/meminfo", "MemTotal")?,
        "bpf_jit": fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").unwrap_or_default().trim(),
    }))
}

/// How busy it is: processes that wanted a CPU, on average over 1, 5 and 15 minutes.
pub(crate) fn load() -> Result<Value> {
    let text = fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    let averages: Vec<f64> = text.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect();
    Ok(json!(averages))
}

/// The first line of a file in /proc that starts with `name`, behind its colon.
fn field(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
    Ok(value.unwrap_or_default())
}
