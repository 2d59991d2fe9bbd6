//! Why a request did not succeed, and what to do about it.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::transport::ConnectError;
use crate::view::Problem;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection: nothing was asked and nothing changed.
    #[error("weftd cannot be reached at {}: {source}\n{}", socket.display(), advice(source.kind()))]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The connection broke, or time ran out, before the whole answer was there.
    #[error("{request}: no full answer from weftd: {cause}\n{}", aftermath(request))]
    Interrupted {
        /// Method and path.
        request: String,
        /// What happened.
        cause: String,
    },
    /// The daemon refused; nothing was changed.
    #[error("{}", lines(.problems))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
    /// The answer was not one of weftd's API.
    #[error(
        "{request}: {cause}\nis it weftd that listens on this socket, and of the same version? `weft version` tells"
    )]
    Protocol {
        /// Method and path.
        request: String,
        /// What was wrong.
        cause: String,
    },
}

impl ClientError {
    /// Whether a request certainly never arrived.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// In the form in which the daemon reports what is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Refused { problems, .. } => problems.clone(),
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Protocol { .. } => {
                vec![Problem { object: "weftd".to_owned(), message: self.to_string() }]
            }
        }
    }

    pub(super) fn from_transport(
        socket: &Path,
        request: &str,
        timeout: Duration,
        error: ureq::Error,
    ) -> Self {
        let request = request.to_owned();
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "ureq's other errors all say that HTTP was not spoken well"
        )]
        match error {
            ureq::Error::Other(other) if other.is::<ConnectError>() => {
                let source = match other.downcast::<ConnectError>() {
                    Ok(connect) => connect.0,
                    Err(other) => io::Error::other(other),
                };
                Self::Unreachable { socket: socket.to_owned(), source }
            }
            ureq::Error::Timeout(_) => {
                Self::Interrupted { request, cause: format!("none within {} seconds", timeout.as_secs_f32()) }
            }
            ureq::Error::Io(error) if is_disconnect(error.kind()) => {
                Self::Interrupted { request, cause: "it closed the connection".to_owned() }
            }
            ureq::Error::Io(error) => Self::Interrupted { request, cause: error.to_string() },
            error => Self::Protocol { request, cause: with_sources(&error) },
        }
    }
}

fn is_disconnect(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn with_sources(error: &ureq::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What an interrupted request may have done.
fn aftermath(request: &str) -> &'static str {
    if request.starts_with("GET ") {
        "it only asks, so nothing was changed: ask again"
    } else {
        "whether it was carried out is unknown: `weft get` and weftd's log tell"
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::PermissionDenied {
        "only root, and users that weftd's configuration allows, may ask it: try as root"
    } else if kind == ErrorKind::ConnectionRefused {
        "the socket is there, but nobody listens: weftd has stopped; start it, and see its log for why"
    } else {
        "is weftd running, and is this the socket of its configuration? --socket or WEFT_SOCKET name another one"
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> =
        problems.iter().map(|problem| format!("{}: {}", problem.object, problem.message)).collect();
    if lines.is_empty() { "weftd refused, without a reason".to_owned() } else { lines.join("\n") }
}
