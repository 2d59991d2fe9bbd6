//! The test programs that run in the machines, as data: which, which of their tests are left out and why, and which
//! are the core that CI runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::build;
use crate::step::{cargo, line, step};

/// weft's own executables, which the topologies start.
const EXECUTABLES: [&str; 3] = ["weftd", "weft", "weft-demo"];

/// A test program.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name, as `cargo test --test` has it.
    pub(crate) name: &'static str,
    /// Tests that do not run in a machine, and why.
    left_out: &'static [(&'static str, &'static str)],
    /// What CI runs of it, parts of tests' names; all if empty.
    core: &'static [&'static str],
}

/// All of them, in the order in which they run: a kernel that does not load the programs says so first.
pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "programs",
        left_out: &[],
        // Every program; what a helper of the kernel has to do; what the maps hold.
        core: &["load::", "firewall::peers::", "icmp_errors::too_big", "seals::an_address"],
    },
    Program {
        name: "kernel",
        left_out: &[],
        core: &["clsact::programs_are", "clsact::what_is_attached", "pins::the_next_adopts", "traffic::"],
    },
    Program {
        name: "topologies",
        left_out: &[(
            "getting_started::",
            "it follows the documentation, which is not in the machine and the same for all kernels",
        )],
        core: &["two_hosts::pods_of", "two_hosts::switched"],
    },
];

/// The names of all of them.
pub(crate) fn names() -> Vec<&'static str> {
    PROGRAMS.iter().map(|program| program.name).collect()
}

impl Program {
    /// The words that it is started with. One test at a time: the machine is slow, and a busy one slower.
    pub(crate) fn arguments(&self, core: bool, tests: &[String]) -> Vec<String> {
        // What passing tests print is shown too: it says which were skipped, and why.
        let mut words = vec!["--show-output".to_owned(), "--test-threads=1".to_owned()];
        words.extend(self.left_out.iter().flat_map(|(test, _)| ["--skip".to_owned(), (*test).to_owned()]));
        let chosen =
            if core { self.core.iter().map(|test| (*test).to_owned()).collect() } else { tests.to_vec() };
        words.extend(chosen);
        words
    }

    /// Says what is left out.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = String> {
        self.left_out
            .iter()
            .map(|(test, reason)| format!("{}: {test} is left out, because {reason}", self.name))
    }
}

/// Builds the programs, and weft's executables; their paths by name.
pub(crate) fn build(programs: &[&Program]) -> Result<BTreeMap<String, PathBuf>> {
    let folder = build::tests()?;
    let mut built: BTreeMap<_, _> =
        EXECUTABLES.iter().map(|name| ((*name).to_owned(), folder.join(name))).collect();
    step("search for the test programs", || {
        let mut cargo = cargo("test");
        // The same as before, so that it is not built again: which file is whose.
        cargo.args(["--workspace", "--no-run", "--locked", "--message-format=json-render-diagnostics"]);
        let output = cargo.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot run {}", line(&cargo)))?;
        ensure!(output.status.success(), "`{}` failed ({})", line(&cargo), output.status);
        let found = String::from_utf8_lossy(&output.stdout);
        // Others are there too, of which one is called as an executable is.
        let ours = |(name, _): &(String, PathBuf)| PROGRAMS.iter().any(|program| program.name == name);
        built.extend(found.lines().filter_map(executable).filter(ours));
        for program in programs {
            ensure!(built.contains_key(program.name), "cargo built no {}", program.name);
        }
        Ok(())
    })?;
    Ok(built)
}

/// The test program that a line of cargo's says was built.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_test = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "test");
    let executable = message["executable"].as_str()?;
    is_test.then(|| Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(executable))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_is_read_from_what_it_says() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/t/kernel-1"}"#;
        assert_eq!(executable(line), Some(("kernel".to_owned(), PathBuf::from("/t/kernel-1"))));
        let library =
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"weft"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("not json"), None);
    }

    #[test]
    fn everything_left_out_has_a_reason() {
        for program in PROGRAMS {
            assert!(program.left_out.iter().all(|(test, reason)| !test.is_empty() && !reason.is_empty()));
        }
    }
}
