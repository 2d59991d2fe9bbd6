//! `cargo xtask bench`: set-up, a release build, and the program that measures (`weft-bench` of `tests/`).

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::demo::FOLDER;
use crate::setup::{self, Purpose};
use crate::step::{cargo, run, step};

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often every test is run on every subject
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Only the tests whose name contains this, such as `same-host` or `udp`
    #[arg(long, value_name = "TEST")]
    only: Option<String>,
    /// Name of the report, target/bench/NAME.json
    #[arg(long, default_value = "bench")]
    name: String,
    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What is measured in place of the packet path.
#[derive(Debug, clap::Subcommand)]
enum Instead {
    /// Measures BGP-EVPN beside FRR and GoBGP
    Bgp {
        /// How often every subject is run
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// At most 10,000 routes
        #[arg(long)]
        quick: bool,
        /// Name of the report, target/bench/NAME.json
        #[arg(long, default_value = "bgp")]
        name: String,
    },
    /// Measures security groups beside kernel vxlan with nftables and without rules
    Policy {
        /// How often every test is run on every subject
        #[arg(long, default_value_t = 15)]
        rounds: u32,
        /// Fewer rules and connections, and shorter runs
        #[arg(long)]
        quick: bool,
        /// Name of the report, target/bench/NAME.json
        #[arg(long, default_value = "policy")]
        name: String,
    },
}

/// Measures.
pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    setup::ensure(Purpose::Bench)?;
    let folder = executables()?;
    let program = folder.join("weft-bench");
    let mut bench = Command::new(&program);
    bench.env(FOLDER, &folder).arg("--folder").arg(folder.with_file_name("bench"));
    match &options.instead {
        Some(Instead::Bgp { rounds, quick, name }) => {
            instead(&mut bench, "bgp", *rounds, *quick, name);
        }
        Some(Instead::Policy { rounds, quick, name }) => {
            instead(&mut bench, "policy", *rounds, *quick, name);
        }
        None => {
            bench.args(["--rounds", &options.rounds.to_string(), "--name", &options.name]);
            bench.args(options.only.iter().flat_map(|only| ["--only", only]));
        }
    }
    // In our place, so that Ctrl-C reaches it alone and it can clean up.
    Err(bench.exec()).with_context(|| format!("cannot run {}", program.display()))
}

fn instead(bench: &mut Command, what: &str, rounds: u32, quick: bool, name: &str) {
    bench.args([what, "--rounds", &rounds.to_string(), "--name", name]);
    bench.args(quick.then_some("--quick"));
}

/// Builds what is measured as it is shipped, and what measures, with optimisations; the folder that they are in.
fn executables() -> Result<PathBuf> {
    step("release build of weftd, weft and weft-bench", || {
        let packages = ["-p", "weft-daemon", "-p", "weft-cli", "-p", "weft-tests"];
        let bins = ["--bin", "weftd", "--bin", "weft", "--bin", "weft-bench"];
        run(cargo("build").args(["--locked", "--release"]).args(packages).args(bins))
    })?;
    // Beside the folder of this one, wherever cargo was told to put what it builds.
    let xtask = env::current_exe().context("this program's own place")?;
    Ok(xtask.parent().context("this program's folder")?.with_file_name("release"))
}
