//! What a machine said: how each test program ended, which tests failed, and what should have been said and was not.

use std::fmt;

use super::programs::Program;
use crate::counts::Counts;

/// What came of one kernel.
#[derive(Debug)]
pub(crate) struct Report {
    kernel: &'static str,
    /// Programs that have not come to their end.
    missing: Vec<&'static str>,
    running: Option<String>,
    counts: Counts,
    failures: Vec<String>,
    done: bool,
    /// Within what a test program tells of its failed tests.
    telling: bool,
}

impl Report {
    /// Nothing said yet by the machine of the kernel, which is to run `programs`.
    pub(crate) fn new(kernel: &'static str, programs: &[&Program]) -> Self {
        let missing = programs.iter().map(|program| program.name).collect();
        Self {
            kernel,
            missing,
            running: None,
            counts: Counts::default(),
            failures: Vec::new(),
            done: false,
            telling: false,
        }
    }

    /// Takes the next line.
    pub(crate) fn handle_line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["@begin", program] => self.running = Some((*program).to_owned()),
            ["@end", program, status] => self.end(program, status),
            ["@broken", what @ ..] => self.fail(format!("{} does not load", what.join(" "))),
            ["@done"] => self.done = true,
            ["test", test, "...", "FAILED"] => {
                let program = self.running.as_deref().unwrap_or("no program");
                self.failures.push(format!("{program}: {test}"));
            }
            _ => self.counts.handle_line(line),
        }
    }

    /// Whether a line is for those who watch, not only for the log: results, and what is told of failures.
    pub(crate) fn is_news(&mut self, line: &str) -> bool {
        self.telling = match line {
            "failures:" => true,
            line if line.starts_with("test result: ") => false,
            _ => self.telling,
        };
        self.telling
            || line.starts_with("test ")
            || line.starts_with('@')
            || line.contains("skipped, because")
    }

    fn end(&mut self, program: &str, status: &str) {
        self.missing.retain(|missing| *missing != program);
        self.running = None;
        // 101: tests failed, which were counted.
        if status != "0" && status != "101" {
            self.fail(format!("{program} ended with status {status}"));
        }
    }

    /// Something other than a test that went wrong.
    pub(crate) fn fail(&mut self, what: String) {
        self.failures.push(what);
        self.counts.failed += 1;
    }

    /// Nothing more will be said.
    pub(crate) fn close(&mut self) {
        for program in std::mem::take(&mut self.missing) {
            self.fail(format!("{program} did not come to its end"));
        }
        if !self.done {
            self.fail("the machine did not come to its end".to_owned());
        }
        if self.counts.passed == 0 {
            self.fail("no test passed".to_owned());
        }
    }

    /// Whether the machine came to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.done
    }

    /// How many tests passed and failed; what else went wrong counts as a failed one.
    pub(crate) fn into_counts(self) -> Counts {
        self.counts
    }

    /// A line for each failure.
    pub(crate) fn failures(&self) -> String {
        self.failures.iter().map(|failure| format!("kernel {}: failed: {failure}\n", self.kernel)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}: {}", self.kernel, self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::programs::PROGRAMS;

    fn reported(lines: &str) -> Report {
        let mut report = Report::new("6.1", &[&PROGRAMS[0]]);
        lines.lines().for_each(|line| report.handle_line(line));
        report.close();
        report
    }

    const GOOD: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn a_machine_that_says_all_is_good() {
        let name = PROGRAMS[0].name;
        let report = reported(&format!("@begin {name}\ntest a ... ok\n{GOOD}\n@end {name} 0\n@done"));
        assert!(report.counts.good() && report.is_whole() && report.failures().is_empty(), "{report:?}");
    }

    #[test]
    fn what_is_not_said_is_a_failure() {
        let name = PROGRAMS[0].name;
        let cases = [
            (format!("@begin {name}\n{GOOD}"), 2),
            (format!("@begin {name}\n{GOOD}\n@end {name} 0"), 1),
            (format!("@begin {name}\n{GOOD}\n@end {name} 139\n@done"), 1),
            (format!("@begin {name}\n@end {name} 0\n@done"), 1),
            (String::new(), 3),
        ];
        for (said, failed) in cases {
            let report = reported(&said);
            assert_eq!(report.counts.failed, failed, "{said}: {report:?}");
            assert!(!report.counts.good());
        }
    }

    #[test]
    fn results_and_failures_are_news() {
        let mut report = Report::new("6.1", &[&PROGRAMS[0]]);
        let lines = [
            "running 1 test",
            "test a ... FAILED",
            "successes:",
            "",
            "failures:",
            "oh no",
            GOOD,
            "",
            "@end kernel 0",
        ];
        let news: Vec<_> = lines.into_iter().filter(|line| report.is_news(line)).collect();
        assert_eq!(news, ["test a ... FAILED", "failures:", "oh no", GOOD, "@end kernel 0"]);
    }

    #[test]
    fn failed_tests_are_named() {
        let name = PROGRAMS[0].name;
        let report = reported(&format!(
            "@begin {name}\ntest a::b ... FAILED\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 \
             filtered out; finished in 0.00s\n@end {name} 101\n@done"
        ));
        assert_eq!(report.failures(), format!("kernel 6.1: failed: {name}: a::b\n"));
        assert_eq!(report.counts.failed, 1);
    }
}
