//! A boot: QEMU without KVM, what the machine says on its second serial port, and an end to a machine that hangs.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::kernel::{self, Kernel};
use super::report::Report;
use crate::step::line;

/// How long a machine may say nothing: a boot, or the slowest test.
const SILENCE: Duration = Duration::from_secs(300);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// The end of the kernel's own words that is shown if the machine does not come to its end.
const LAST_WORDS: usize = 30;

/// Boots `kernel` with `image` and completes `report` with what the machine says. All of it is in `target/vm/SERIES.tests`,
/// what the kernel says in `SERIES.log`.
pub(crate) fn boot(kernel: &Kernel, image: &Path, mut report: Report) -> Result<Report> {
    let console = kernel::folder().join(format!("{}.log", kernel.series()));
    let mut machine = start(kernel, image, &console)?;
    let output = machine.0.stdout.take().context("the machine's serial port")?;
    let (lines, said) = channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let path = kernel::folder().join(format!("{}.tests", kernel.series()));
    let mut log = File::create(&path).with_context(|| format!("{}", path.display()))?;
    let limit = Instant::now() + LIMIT;
    loop {
        match said.recv_timeout(SILENCE.min(limit.saturating_duration_since(Instant::now()))) {
            Ok(line) => {
                writeln!(log, "{line}").context("the machine's log")?;
                if report.is_news(&line) {
                    println!("{}| {line}", kernel.series());
                }
                report.handle_line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                report.fail(format!("it said nothing for {SILENCE:?}, or took longer than {LIMIT:?}"));
                break;
            }
        }
    }
    drop(machine);
    // It ends with the machine.
    let _ = reader.join();
    report.close();
    if !report.is_whole() {
        let said = fs::read(&console).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
        println!("the kernel's last words, of {}:\n{}", console.display(), last.join("\n"));
    }
    Ok(report)
}

/// A running QEMU, which ends with this value.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // One that has powered off has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(kernel: &Kernel, image: &Path, console: &Path) -> Result<Machine> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3072"])
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-serial", &format!("file:{}", console.display()), "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel.vmlinuz())
        .arg("-initrd")
        .arg(image)
        // A panic ends the machine. No mitigations: they cost time here and protect nobody. The kernel tries the timer for a
        // moment that a busy machine may not give it.
        .args(["-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off no_timer_check"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let child = qemu.spawn().with_context(|| format!("cannot run {}", line(&qemu)))?;
    Ok(Machine(child))
}
