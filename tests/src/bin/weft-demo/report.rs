//! What the demo says, and the count of what went wrong.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use weft_tests::cloud::Cloud;

/// Prints a line. A reader that went away, as `head` does, is no reason to stop half-way.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Counts checks and tells their results as they come.
pub(crate) struct Report {
    start: Instant,
    passed: u32,
    failed: u32,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), passed: 0, failed: 0 }
    }

    /// Does a piece of work, says so while it goes on and how long it took; without it nothing goes on.
    pub(crate) fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut out = std::io::stdout();
        // Only the look of it suffers.
        let _ = write!(out, "{what} … ").and_then(|()| out.flush());
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        say(if result.is_ok() { format!("{seconds:.1} s") } else { "FAILED".to_owned() });
        result
    }

    /// Makes a check and tells its result; the demo goes on either way.
    pub(crate) fn check(&mut self, what: &str, check: impl FnOnce() -> Result<String>) {
        match check() {
            Ok(result) => {
                self.passed += 1;
                say(format_args!("  ok    {what:<52} {result}"));
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("  FAIL  {what:<52} {error:#}"));
            }
        }
    }

    /// The last line.
    pub(crate) fn verdict(&self) -> ExitCode {
        let seconds = self.start.elapsed().as_secs_f64();
        let Self { passed, failed, .. } = self;
        if *failed == 0 {
            say(format_args!("\nweft works: all {passed} checks passed, in {seconds:.0} s"));
            ExitCode::SUCCESS
        } else {
            say(format_args!("\nweft does not work: {failed} of {} checks failed", passed + failed));
            ExitCode::FAILURE
        }
    }

    /// The last lines when it could not go on.
    pub(crate) fn failed(&self, error: &anyhow::Error) -> ExitCode {
        say(format_args!("\nthe demo could not go on: {error:#}"));
        ExitCode::FAILURE
    }

    /// What to try on a demo that is left up.
    pub(crate) fn try_these(&self, cloud: &Cloud<'_>) {
        let weft = cloud.daemon(0).weft().program().display().to_string();
        let socket = cloud.daemon(0).settings().socket();
        let first = cloud.pod("red-1");
        let (socket, netns) = (socket.display(), first.namespace.path().display());
        let far = cloud.pod("red-4").v4;
        let router = cloud.underlay.routers[0].path().display().to_string();
        say("\nAll of it is left up. To try:");
        for (command, what) in [
            (format!("{weft} --socket {socket} status"), "host h1; h2 to h4 likewise"),
            (format!("{weft} --socket {socket} routes"), "who is where"),
            (format!("{weft} --socket {socket} counters --watch"), "what moves, what is dropped and why"),
            (
                format!("{weft} --socket {socket} policy test red-2 red-1 tcp 22"),
                "would it pass, and by which rule",
            ),
            (format!("nsenter --net={netns} ping {far}"), "from red-1 to red-4, in the other data centre"),
            (format!("nsenter --net={router} tcpdump -ni wan udp port 4789"), "what travels between them"),
            ("cargo xtask demo --clean".to_owned(), "remove all of it"),
        ] {
            say(format_args!("\n  # {what}\n  {command}"));
        }
    }
}
