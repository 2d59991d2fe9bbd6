//! `cargo xtask test vm`: the tests that need a kernel, on Debian's kernels 6.1 and 6.12 in QEMU without KVM, whatever
//! kernel this machine runs. For each kernel: its package, an image with the test programs, a boot, a report.

mod boot;
mod cpio;
mod image;
mod kernel;
mod programs;
mod report;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::counts::Counts;
use crate::setup::{self, Purpose};
use crate::step::{shown, step};
use kernel::Kernel;
use programs::{PROGRAMS, Program};
use report::Report;

/// The series of kernels: the oldest that weft supports, which has no tcx, and a newer one that has.
const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// What to run in the machines.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask test vm", bin_name = "cargo xtask test vm")]
pub(crate) struct Options {
    /// Only on this kernel, such as 6.1; may be given more than once
    #[arg(long, value_parser = KERNELS)]
    kernel: Vec<String>,
    /// Only this test program; may be given more than once
    #[arg(long, value_parser = programs::names())]
    only: Vec<String>,
    /// Only what CI runs: load, pins, traffic between two hosts
    #[arg(long, conflicts_with = "tests")]
    core: bool,
    /// Parts of names of tests, as for `cargo test`
    tests: Vec<String>,
}

impl Options {
    /// What CI runs.
    pub(crate) fn core() -> Self {
        Self { kernel: Vec::new(), only: Vec::new(), core: true, tests: Vec::new() }
    }

    fn programs(&self) -> Vec<&'static Program> {
        let chosen =
            |program: &&Program| self.only.is_empty() || self.only.iter().any(|only| only == program.name);
        PROGRAMS.iter().filter(chosen).collect()
    }
}

/// `cargo xtask test vm` with the words after it.
pub(crate) fn test(words: &[String]) -> Result<ExitCode> {
    let name = "cargo xtask test vm".to_owned();
    let options = Options::parse_from(std::iter::once(name).chain(words.iter().cloned()));
    setup::ensure(Purpose::Vm)?;
    Ok(run(&options)?.conclude())
}

/// Runs the tests on each kernel, and counts them.
///
/// # Errors
/// A machine cannot be made. What goes wrong inside one is counted.
pub(crate) fn run(options: &Options) -> Result<Counts> {
    let programs = options.programs();
    let executables = programs::build(&programs)?;
    programs.iter().flat_map(|program| program.left_out()).for_each(|left_out| println!("{left_out}"));
    let mut reports = Vec::new();
    for series in KERNELS {
        if !options.kernel.is_empty() && !options.kernel.iter().any(|kernel| kernel == series) {
            continue;
        }
        let kernel = Kernel::fetch(series)?;
        let image = image::path(&kernel);
        step(&format!("image of kernel {}", kernel.release()), || {
            let script =
                image::script(&kernel, &programs, |program| program.arguments(options.core, &options.tests))?;
            image::write(&image, &kernel, &executables, &script)
        })?;
        println!("==> tests on kernel {}", kernel.release());
        let begun = Instant::now();
        let report = boot::boot(&kernel, &image, Report::new(series, &programs))
            .with_context(|| format!("kernel {}", kernel.release()))?;
        println!("    {report} in {}", shown(begun.elapsed()));
        reports.push(report);
    }
    ensure!(!reports.is_empty(), "no kernel was chosen");
    println!();
    let mut counts = Counts::default();
    for report in reports {
        print!("{}", report.failures());
        println!("{report}");
        counts += report.into_counts();
    }
    Ok(counts)
}
