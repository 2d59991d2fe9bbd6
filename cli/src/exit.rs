//! What a failure prints, and the exit status that it becomes.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use weft_api::client::ClientError;
use weft_api::document::ReadError;
use weft_api::view::{ErrorBody, Problem};

use crate::output::Format;

/// Failures of `weft` itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, and without weftd it cannot be done.
    #[error("{0}")]
    Unreachable(String),
    /// The change is stored, but the kernel does not have all of it.
    #[error("stored, but not yet in the kernel; weftd tries again, and `weft status` tells how it stands")]
    Kernel(Vec<String>),
    /// A packet that was asked about is denied.
    #[error("the packet is denied")]
    Denied,
    /// Rules and programs say different things of it.
    #[error(
        "the stored rules and the programs in the kernel differ; `weft status` tells whether a change is not in the kernel yet, \
         and otherwise it is a defect: please report it with this output"
    )]
    Disagree,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const DENIED: u8 = 4;

/// Prints the reasons to standard error: a line for each, or the API's error body for programs.
pub(crate) fn report(error: &anyhow::Error, format: Format) -> ExitCode {
    if is_closed_pipe(error) {
        // `weft get ports | head -1`: whoever read has read enough.
        return ExitCode::SUCCESS;
    }
    let problems = problems(error);
    let text = match format {
        Format::Json => serde_json::to_string(&ErrorBody { errors: problems }).unwrap_or_default(),
        Format::Table | Format::Yaml => lines(&problems),
    };
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if error.downcast_ref().is_some_and(ClientError::is_unreachable) {
        UNREACHABLE
    } else {
        match error.downcast_ref() {
            Some(Failure::Usage(_)) => USAGE,
            Some(Failure::Unreachable(_)) => UNREACHABLE,
            Some(Failure::Denied) => DENIED,
            Some(Failure::Kernel(_) | Failure::Disagree) | None => FAILED,
        }
    }
}

/// An error of our own output comes bare; one of a file or a socket has a context or a type around it.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn problems(error: &anyhow::Error) -> Vec<Problem> {
    let problem = |message: String| Problem::new("weft", message);
    if let Some(error) = error.downcast_ref::<ClientError>() {
        error.problems()
    } else if let Some(error) = error.downcast_ref::<ReadError>() {
        error.problems()
    } else if let Some(failure @ Failure::Kernel(failures)) = error.downcast_ref() {
        let kernel = failures.iter().map(|words| Problem::new("kernel", words));
        kernel.chain([problem(failure.to_string())]).collect()
    } else {
        vec![problem(format!("{error:#}"))]
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems
        .iter()
        .map(|Problem { object, message, .. }| match object.as_str() {
            "weft" | "weftd" => format!("error: {}", message.replace('\n', "\n  ")),
            object => format!("error: {object}: {}", message.replace('\n', "\n  ")),
        })
        .collect();
    if lines.is_empty() { "error: weftd refused, without a reason".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_problem() {
        let problems = ["subnet/a", "port/b"].map(|object| Problem::new(object, "no"));
        let error = ClientError::Refused { status: 422, problems: problems.to_vec() }.into();
        assert_eq!(lines(&super::problems(&error)), "error: subnet/a: no\nerror: port/b: no");
        assert_eq!(status(&error), FAILED);
    }

    #[test]
    fn advice_stands_under_its_error() {
        let source = io::Error::from(ErrorKind::PermissionDenied);
        let error = ClientError::Unreachable { socket: "/run/x".into(), source }.into();
        assert_eq!(
            lines(&problems(&error)),
            "error: weftd cannot be reached at /run/x: permission denied\n  only root, and users that weftd's \
             configuration allows, may ask it: try as root"
        );
        assert_eq!(status(&error), UNREACHABLE);
        assert_eq!(status(&Failure::Usage("no".to_owned()).into()), USAGE);
    }

    #[test]
    fn only_our_own_pipe_is_forgiven() {
        let pipe = || io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&pipe().into()));
        assert!(!is_closed_pipe(&ClientError::Unreachable { socket: "x".into(), source: pipe() }.into()));
    }
}
