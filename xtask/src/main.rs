//! `cargo xtask`: set-up, build, demo, test and CI of weft; one file a subcommand. It builds with rustup's stable
//! alone and knows none of weft's crates, because it installs what they need.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "xtask talks to whoever runs it")]

mod bench;
mod bpf_toolchain;
mod build;
mod ci;
mod counts;
mod demo;
mod fuzz;
mod other_build;
mod setup;
mod step;
mod test;
mod vm;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, build, demo, test and CI of weft.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs what weft needs to be built and run here, and says why; what is there already is left alone
    Setup {
        /// Only say what is there and what is missing; fails if something is
        #[arg(long)]
        check: bool,
    },
    /// Builds everything, the eBPF programs included
    Build {
        /// With optimisations, for use
        #[arg(long)]
        release: bool,
    },
    /// Runs the tests of the whole workspace and counts them; `test vm` runs those that need a kernel on Debian's 6.1
    /// and 6.12 in QEMU (`test vm --help`)
    Test {
        /// As for `cargo test`, such as a part of a test's name, or `-p weft-vxlan`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Two data centres on this machine: tenants' workloads talk through weft's eBPF programs
    Demo {
        /// Leave it up and print commands to try
        #[arg(long, conflicts_with = "clean")]
        keep: bool,
        /// Remove what --keep left up
        #[arg(long)]
        clean: bool,
        /// Whose route reflectors: weft's own, FRR's or GoBGP
        #[arg(long, default_value = demo::REFLECTORS[0], value_parser = demo::REFLECTORS)]
        rr: String,
    },
    /// Measures weft's packet path beside kernel vxlan with a bridge and plain routing, its BGP beside FRR and GoBGP
    /// (`bench bgp`), or its security groups beside nftables (`bench policy`), and writes target/bench/NAME.json
    Bench(bench::Options),
    /// Feeds the BGP codec with mutations of its corpus, and keeps in bgp/fuzz/corpus what makes it fail (`decode`); or
    /// compares what it makes of them with two other codecs (`differ`)
    Fuzz {
        /// What is fuzzed
        #[arg(value_parser = fuzz::TARGETS)]
        target: String,
        /// How long
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Also keep inputs that end in a way not seen before (`decode`)
        #[arg(long)]
        keep: bool,
    },
    /// Everything that must hold before a change lands: format, lints, licences, build, tests
    Ci,
}

fn main() -> ExitCode {
    end_with_the_reader();
    let done = match Arguments::parse().task {
        Task::Setup { check: true } => setup::check(),
        Task::Setup { check: false } => setup::setup(),
        Task::Build { release } => build::build(release),
        Task::Test { .. } => match words_after("test").split_first() {
            Some((vm, words)) if vm == "vm" => vm::test(words),
            _ => test::test(&words_after("test")),
        },
        Task::Demo { clean: true, .. } => demo::clean(),
        Task::Demo { keep, clean: false, rr } => demo::demo(keep, &rr),
        Task::Bench(options) => bench::bench(&options),
        Task::Fuzz { target, seconds, keep } => fuzz::fuzz(&target, seconds, keep),
        Task::Ci => ci::ci(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Lets the kernel end this process without a word when nobody reads what it prints any more, as in
/// `cargo xtask setup --check | head`. Rust's default turns that into a panic of `println!`.
fn end_with_the_reader() {
    // SAFETY: no handler is installed, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// The words after a subcommand as they were typed. clap takes a leading `--` for itself, as in `test -- --nocapture`.
fn words_after(subcommand: &str) -> Vec<String> {
    env::args().skip_while(|word| word != subcommand).skip(1).collect()
}

/// The project's root.
fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}
