//! How many tests passed, failed and were skipped, and which failed, from what `cargo test` prints.

use std::process::ExitCode;
use std::{fmt, ops};

/// How a test says that the machine lacks what it needs. It then passes in the eyes of `cargo test`.
const SKIPPED: &str = "skipped, because";

/// Counts over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Ran and held.
    pub(crate) passed: usize,
    /// Ran and did not hold.
    pub(crate) failed: usize,
    /// Did not run: ignored, or the machine lacks what they need.
    pub(crate) skipped: usize,
    /// Names of those that failed.
    failures: Vec<String>,
    /// Tests of the running binary that said they were skipped.
    said_skipped: usize,
    /// Whether the test whose output is being read has said so.
    said_so: bool,
}

impl Counts {
    /// Takes the next line of output.
    pub(crate) fn handle_line(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            self.said_so = false;
        } else if line.contains(SKIPPED) && !self.said_so {
            self.said_so = true;
            self.said_skipped += 1;
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let passed = number(result, "passed");
            let skipped = self.said_skipped.min(passed);
            self.passed += passed - skipped;
            self.failed += number(result, "failed");
            self.skipped += number(result, "ignored") + skipped;
            (self.said_skipped, self.said_so) = (0, false);
        }
    }

    /// Prints which failed, and the counts as the last line, and says whether all is well.
    pub(crate) fn conclude(&self) -> ExitCode {
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("{self}");
        if self.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Whether something ran, and all that ran held.
    pub(crate) fn good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl ops::AddAssign<&Self> for Counts {
    fn add_assign(&mut self, others: &Self) {
        self.passed += others.passed;
        self.failed += others.failed;
        self.skipped += others.skipped;
        self.failures.extend_from_slice(&others.failures);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The number before a word, as in `ok. 3 passed; 0 failed`.
fn number(result: &str, word: &str) -> usize {
    let words: Vec<&str> = result.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let found = words.windows(2).find_map(|pair| match pair {
        [number, name] if *name == word => number.parse().ok(),
        _ => None,
    });
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> Counts {
        let mut counts = Counts::default();
        output.lines().for_each(|line| counts.handle_line(line));
        counts
    }

    fn counted(output: &str) -> String {
        read(output).to_string()
    }

    #[test]
    fn those_that_failed_are_named() {
        let output = "\
test far::a ... ok
test far::b ... FAILED
test c - should panic ... FAILED
---- far::b stdout ----
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s";
        assert_eq!(read(output).failures, ["far::b", "c - should panic"]);
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let output = "\
running 3 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 10 passed; 2 failed; 4 ignored; 0 measured; 7 filtered out; finished in 1.20s";
        assert_eq!(counted(output), "13 passed, 2 failed, 4 skipped");
    }

    #[test]
    fn a_test_that_says_it_was_skipped_did_not_pass() {
        let output = "\
successes:
---- two_hosts stdout ----
skipped, because it needs root
---- four_hosts stdout ----
here, all is well
---- isolation stdout ----
skipped, because there is no vxlan
skipped, because there is no vxlan
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(counted(output), "1 passed, 0 failed, 3 skipped");
    }

    #[test]
    fn skipped_tests_of_one_binary_are_not_taken_from_the_next() {
        let output = "\
skipped, because it needs root
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(counted(output), "5 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn nothing_run_is_not_good() {
        let ran = |passed, failed| Counts { passed, failed, ..Counts::default() };
        assert!(ran(1, 0).good());
        assert!(!ran(0, 0).good());
        assert!(!ran(1, 1).good());
        assert!(!Counts { skipped: 3, ..Counts::default() }.good());
    }
}
