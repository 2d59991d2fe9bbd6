//! How many tests passed, failed and were skipped, which failed and why, from what `cargo test` prints.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::{fmt, mem, ops};

/// How a test says that the machine lacks what it needs. It then passes in the eyes of `cargo test`.
const SKIPPED: &str = "skipped, because";

/// Lines of a failed test's output that are said again at the end: the last ones, where its error stands.
const REPEATED: usize = 30;

/// Counts over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Ran and held.
    pub(crate) passed: usize,
    /// Ran and did not hold.
    pub(crate) failed: usize,
    /// Did not run: ignored, or the machine lacks what they need.
    pub(crate) skipped: usize,
    failures: Vec<Failure>,
    /// Those of the running binary.
    running: Running,
}

/// A test that failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    name: String,
    /// The last lines of what it printed.
    output: VecDeque<String>,
}

/// What is known of the test binary that is running.
#[derive(Debug, Default, PartialEq, Eq)]
struct Running {
    /// Tests that said they were skipped.
    said_skipped: usize,
    /// Whether the test whose output is being read has said so.
    said_so: bool,
    failures: Vec<Failure>,
    /// The failed test whose output is being read: its place in `failures`.
    reading: Option<usize>,
}

impl Counts {
    /// Takes the next line of output.
    pub(crate) fn handle_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.running.said_so = false;
            self.running.reading = self.running.failures.iter().position(|failure| failure.name == name);
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.running.failures.push(Failure { name: name.to_owned(), ..Failure::default() });
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.end_binary(result);
        } else if line == "failures:" || line == "successes:" {
            self.running.reading = None;
        } else {
            self.running.handle_output(line);
        }
    }

    fn end_binary(&mut self, result: &str) {
        let ended = mem::take(&mut self.running);
        let passed = number(result, "passed");
        let skipped = ended.said_skipped.min(passed);
        self.passed += passed - skipped;
        self.failed += number(result, "failed");
        self.skipped += number(result, "ignored") + skipped;
        self.failures.extend(ended.failures);
    }

    /// Prints which failed and how, and the counts as the last line, and says whether all is well.
    pub(crate) fn conclude(&self) -> ExitCode {
        for Failure { name, output } in &self.failures {
            println!("failed: {name}");
            for line in output {
                println!("    {line}");
            }
        }
        println!("{self}");
        if self.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Whether something ran, and all that ran held.
    pub(crate) fn good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl Running {
    fn handle_output(&mut self, line: &str) {
        if line.contains(SKIPPED) && !self.said_so {
            self.said_so = true;
            self.said_skipped += 1;
        }
        // It is longer than what it is behind, and says less.
        if line.eq_ignore_ascii_case("stack backtrace:") {
            self.reading = None;
        }
        if let Some(failure) = self.reading.and_then(|at| self.failures.get_mut(at)) {
            failure.output.push_back(line.to_owned());
            if failure.output.len() > REPEATED {
                failure.output.pop_front();
            }
        }
    }
}

impl ops::AddAssign for Counts {
    fn add_assign(&mut self, others: Self) {
        self.passed += others.passed;
        self.failed += others.failed;
        self.skipped += others.skipped;
        self.failures.extend(others.failures);
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
    fn those_that_failed_are_named_with_what_they_printed() {
        let output = "\
test far::a ... ok
test far::b ... FAILED
test c - should panic ... FAILED
successes:
---- far::a stdout ----
all is well
successes:
    far::a
failures:
---- far::b stdout ----
Error: one is not two
Stack backtrace:
   0: core::ops::function::FnOnce::call_once
failures:
    c - should panic
    far::b
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
said after the end";
        let counts = read(output);
        let failures: Vec<_> =
            counts.failures.iter().map(|failure| (failure.name.as_str(), &failure.output)).collect();
        let said = VecDeque::from(["Error: one is not two".to_owned()]);
        assert_eq!(failures, [("far::b", &said), ("c - should panic", &VecDeque::new())]);
    }

    #[test]
    fn of_much_output_the_end_is_repeated() {
        let lines: String = (0..100).map(|line| format!("{line}\n")).collect();
        let counts = read(&format!(
            "test a ... FAILED\n---- a stdout ----\n{lines}test result: FAILED. 0 passed; 1 failed;"
        ));
        assert_eq!(counts.failures.len(), 1);
        let expected: Vec<String> = (100 - REPEATED..100).map(|line| line.to_string()).collect();
        assert_eq!(counts.failures[0].output, expected);
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
